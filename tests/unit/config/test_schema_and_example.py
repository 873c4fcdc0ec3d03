"""The schema and the example are made from the same models as the settings, and agree with them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
import yaml
from jsonschema import Draft202012Validator

from quaywatch.config import example, json_schema, load_text
from quaywatch.config.assignments import exporter_table
from quaywatch.contract import TargetKind
from quaywatch.errors import ConfigError
from tests.unit.config.registry import EXPORTERS, PROBES, exporter

SCHEMA = json_schema(EXPORTERS, PROBES)
EXAMPLE = example(EXPORTERS, PROBES)
ENVIRON = dict.fromkeys(re.findall(r"\$\{env:([A-Z_]+)\}", EXAMPLE), "value")


def is_valid(text: str) -> bool:
    """Whether the schema takes a configuration."""
    return bool(Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text)))


def test_the_schema_is_one() -> None:
    """Draft 2020-12 takes it."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_explains_every_option() -> None:
    """An editor shows what an option does and which values it takes."""
    (options,) = [table for name, table in SCHEMA["$defs"].items() if name == "exporter_locks"]
    assert options["properties"]["top"]["description"] == "how many"
    assert options["properties"]["top"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 50}
    assert set(options["properties"]) >= {"enabled", "every", "deadline", "targets", "top", "share", "depth", "names"}


def test_the_example_loads() -> None:
    """With its variables set, nothing is wrong with it; both exporters and the probe are at work."""
    given = load_text(EXAMPLE, "example.yaml", ENVIRON, EXPORTERS, PROBES)
    assert [task.exporter.name for tasks in given.exporters.values() for task in tasks] == ["locks", "memory"]
    assert [task.probe.name for tasks in given.probes.values() for task in tasks] == ["order"]


def test_the_schema_takes_the_example() -> None:
    """As it is: references stand for numbers or names, and a table whose entries are comments is empty."""
    assert list(Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(EXAMPLE))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("host: db.internal", "hots: db.internal"),
        ("kind: redis", "kind: reddis"),
        ("# top: 5", "top: 0"),
        ("# port: 5432", "port: high"),
        ("environment: production", "environment: 5"),
    ],
)
def test_the_schema_refuses_what_is_wrong(old: str, new: str) -> None:
    """Editors mark unknown keys, kinds, ranges and types."""
    assert old in EXAMPLE
    assert not is_valid(EXAMPLE.replace(old, new, 1))


def test_the_schema_takes_references_and_no_lease() -> None:
    """A reference may stand for a number; ``lease: none`` is a word of its own."""
    text = """
environment: test
installation: "${env:NAME}"
targets: {db: {kind: postgres, host: db, port: "${env:PORT}", pooled: "${env:POOLED:-false}"}}
lease: none
"""
    assert is_valid(text)


@pytest.mark.parametrize(
    ("more", "valid"),
    [
        ("discovery: {node: worker-1, credentials: {db: {namespaces: [erp], password: word}}}", True),
        ("discovery: {node: worker-1, credentials: {db: {password: word}}}", False),
        ("lease: {ttl: 15}", False),
    ],
    ids=["pods alone", "a credential for nobody", "nothing to watch"],
)
def test_the_schema_wants_something_to_watch(more: str, valid: bool) -> None:  # noqa: FBT001 - a case
    """Targets or discovery; a credential names the namespaces that it is for."""
    assert is_valid(f"environment: test\ninstallation: acme\n{more}\n") is valid


def test_the_example_shows_every_key_with_its_default() -> None:
    """Whoever reads the example has seen all there is."""
    keys = set(re.findall(r"^[ #]*([a-z0-9_]+):", EXAMPLE, re.MULTILINE))
    known = {name for table in SCHEMA["$defs"].values() for name in table.get("properties", {})}
    assert known - keys == set()
    assert "# top: 5 " in EXAMPLE
    assert "partner: QUAYWATCH " in EXAMPLE


def test_every_line_of_the_example_is_explained() -> None:
    """No key stands there without saying what it does, but those that are but names."""
    bare = [line.strip() for line in EXAMPLE.splitlines() if line and "# " not in line]
    assert [line for line in bare if not line.endswith(":") and not line.startswith(("#", "kind:"))] == []


def test_an_option_with_the_name_of_a_common_key_is_refused() -> None:
    """An exporter's author hears of it at once."""

    @dataclass(frozen=True, slots=True)
    class Clashing:
        every: int = field(default=1, metadata={"help": "taken"})

    with pytest.raises(ConfigError, match="clash: the options"):
        exporter_table(exporter("clash", TargetKind.REDIS, Clashing))
