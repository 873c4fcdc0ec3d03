"""A file as a record: defaults where it is silent, every fault with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from quaywatch.config import faulty_record, load_record
from quaywatch.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    """Refuses what is not positive."""

    size: float = 1.0
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise ValueError("size: more than 0 is expected")


@dataclass(frozen=True)
class Outer:
    """Holds others by name."""

    parts: Mapping[str, Inner] = field(default_factory=lambda: {"usual": Inner(5.0)})
    one: Inner = field(default_factory=Inner)
    limits: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[Inner, ...] = ()

    def __post_init__(self) -> None:
        for name in self.parts:
            if name.isupper():
                raise ValueError(f"parts: {name}: small letters are expected")


def written(tmp_path: Path, text: str) -> Path:
    """The text as a file."""
    path = tmp_path / "record.yaml"
    path.write_text(text)
    return path


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    """An empty file is the record as it is; an empty key too; a mapping is replaced as a whole."""
    assert load_record(written(tmp_path, ""), Outer) == Outer()
    assert load_record(written(tmp_path, "one:\n"), Outer) == Outer()
    made = load_record(written(tmp_path, "parts: {x: {kind: b}}\nlimits: {y: 2}"), Outer)
    assert made == Outer({"x": Inner(kind="b")}, Inner(), {"y": 2.0})
    assert load_record(written(tmp_path, "steps: [{kind: b}, {}]"), Outer).steps == (Inner(kind="b"), Inner())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("one:\n  size: -1", "2: one.size: more than 0 is expected"),
        ("parts:\n  x:\n    size: much", "3: parts.x.size: 'much' is a text; a number is expected"),
        ("one: {kind: c}", "1: one.kind: 'c' is not known; allowed are a, b"),
        ("one: {sice: 1}", "1: one.sice: this key is not known; allowed are size, kind; did you mean size?"),
        ("\nparts: {X: {}}", "2: parts.X: small letters are expected"),
        ("steps:\n  - {}\n  - {size: 0}", "3: steps.1.size: more than 0 is expected"),
        ("steps:\n  - {sice: 1}", "2: steps.0.sice: this key is not known; allowed are size, kind; did you mean size?"),
        ("one: 3", "1: one: 3 is a number; a table is expected"),
        ("one: [", "1: this is not YAML: "),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, fault: str, tmp_path: Path) -> None:
    """Line, key, what is wrong and what is expected."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as told:
        load_record(path, Outer)
    assert str(told.value).startswith(f"{path}:{fault}")


def test_what_turns_out_later_is_told_alike(tmp_path: Path) -> None:
    """A key of the file has its line; one that is not there, that of the table around it."""
    path = written(tmp_path, "\none: {size: 3}")
    told = str(faulty_record(path, [(("one", "size"), "less is expected"), (("one", "kind"), "b is expected")]))
    assert told == f"{path}:2: one.kind: b is expected\n{path}:2: one.size: less is expected"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read"):
        load_record(tmp_path / "gone.yaml", Outer)
