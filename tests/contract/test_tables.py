"""The built-in tables are complete, and what they hold keeps its word."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections import Counter
from types import ModuleType

import pytest

import exporters
import probes
from exporters import EXPORTERS
from probes import PROBES
from quaywatch import __version__
from quaywatch.cli.registry import all_metrics
from quaywatch.contract import Exporter, Probe, Stability

RECORDS = [*EXPORTERS, *PROBES]


def records_in(room: ModuleType, record_type: type) -> list[object]:
    """Every record that a public module of a room defines."""
    names = [info.name for info in pkgutil.iter_modules(room.__path__) if not info.name.startswith("_")]
    modules = [importlib.import_module(f"{room.__name__}.{name}") for name in names]
    return [value for module in modules for value in vars(module).values() if isinstance(value, record_type)]


@pytest.mark.parametrize(
    ("room", "record_type", "table"),
    [(exporters, Exporter, EXPORTERS), (probes, Probe, PROBES)],
    ids=["exporters", "probes"],
)
def test_every_record_of_a_room_is_in_its_table(room: ModuleType, record_type: type, table: tuple[object, ...]) -> None:
    """Writing the file and forgetting the row cannot happen, nor the same row twice."""
    written = records_in(room, record_type)
    assert written
    assert all(record in table for record in written)
    assert len(table) == len({getattr(record, "name", None) for record in table})


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_is_named_like_its_file(record: Exporter[object, object, object] | Probe[object, object]) -> None:
    """One file, one thing, one name: a reader finds an exporter or probe by its name."""
    work = record.collect if isinstance(record, Exporter) else record.run
    assert work.__module__.rpartition(".")[2] == record.name


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_options_are_frozen_and_explained(record: Exporter[object, object, object] | Probe[object, object]) -> None:
    """Every option is immutable and says what it does."""
    assert dataclasses.is_dataclass(record.options)
    assert record.options.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert [field.name for field in dataclasses.fields(record.options) if not field.metadata.get("help")] == []


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda exporter: exporter.name)
def test_an_exporter_ends_before_its_next_turn(exporter: Exporter[object, object, object]) -> None:
    """The default deadline lies inside the default interval."""
    assert 0 < exporter.deadline < exporter.every


def test_metric_names_are_unique() -> None:
    """One name, one meaning, over the whole product."""
    formers = [metric.former.name for metric in all_metrics() if metric.former]
    counts = Counter([*(metric.name for metric in all_metrics()), *formers])
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_former_name_outlives_its_version() -> None:
    """A declaration that this version does not heed any more is deleted."""
    formers = [metric.former for metric in all_metrics() if metric.former]
    assert [former.name for former in formers if not former.is_emitted_by(__version__)] == []


def test_units_are_base_units_and_never_in_the_name() -> None:
    """Wanted 10: seconds and bytes, and the unit is metadata."""
    words = {"seconds", "second", "bytes", "ms", "millis", "total", "count_total", "ratio_percent"}
    wrong = [metric.name for metric in all_metrics() if words & set(metric.name.replace(".", "_").split("_"))]
    assert wrong == []
    assert {metric.unit for metric in all_metrics() if not metric.unit.startswith("{")} <= {"", "1", "s", "By"}


def test_help_is_a_sentence() -> None:
    """Every metric explains itself."""
    assert [metric.name for metric in all_metrics() if not metric.help.endswith(".") or len(metric.help) < 12] == []
    assert all(isinstance(metric.stability, Stability) for metric in all_metrics())
