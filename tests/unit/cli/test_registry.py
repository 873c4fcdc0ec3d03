"""Exporters and probes of other packages join the built-in ones, or are refused with advice."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from quaywatch.cli.registry import EXPORTER_GROUP, collected
from quaywatch.contract import Exporter
from quaywatch.errors import ConfigError
from tests.unit.config.registry import LOCKS, MEMORY

HERE = "tests.unit.config.registry"


def point(name: str, value: str) -> EntryPoint:
    """An entry point as a package would declare it."""
    return EntryPoint(name=name, value=value, group=EXPORTER_GROUP)


def test_an_outsiders_exporter_joins_after_the_built_in_ones() -> None:
    """By its name, as any other."""
    found = collected([LOCKS], EXPORTER_GROUP, Exporter, [point("memory", f"{HERE}:MEMORY")])
    assert list(found.items()) == [("locks", LOCKS), ("memory", MEMORY)]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (point("locks", f"{HERE}:LOCKS"), "the name is taken"),
        (point("absent", "no_such_package:EXPORTER"), "cannot be loaded: ModuleNotFoundError"),
        (point("absent", f"{HERE}:ABSENT"), "cannot be loaded: AttributeError"),
        (point("order", f"{HERE}:ORDER"), "is a Probe"),
        (point("other", f"{HERE}:MEMORY"), "calls itself memory"),
    ],
)
def test_a_bad_entry_point_is_refused_with_group_name_and_advice(entry: EntryPoint, told: str) -> None:
    """Whoever installed it knows what to do."""
    with pytest.raises(ConfigError) as caught:
        collected([LOCKS], EXPORTER_GROUP, Exporter, [entry])
    assert str(caught.value).startswith(f"quaywatch.exporters: {entry.name} ({entry.value}): {told}")
    assert caught.value.remedy
