"""What is wrong with a configuration: faults with their place, and the one error that tells them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from quaywatch.errors import ConfigError

Key = tuple[str | int, ...]
"""The way to a value through tables and lists, from the root."""


class TextRule(StrEnum):
    """What can be wrong with the text itself, before any value is looked at."""

    SYNTAX = "syntax"
    DUPLICATE = "duplicate"
    MERGE = "merge"
    ALIAS_LOOP = "alias_loop"
    SCALAR = "scalar"
    TAG = "tag"
    REFERENCE = "reference"
    VARIABLE = "variable"
    FILE = "file"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault. ``rule`` names the sentence it was told with; ``key`` is empty for the file as a whole."""

    line: int
    key: Key
    what: str
    rule: str

    def told(self, file: str) -> str:
        """The fault as one line: place, key, what is wrong, what is allowed."""
        place = f"{file}:{self.line}: "
        return f"{place}{dotted(self.key)}: {self.what}" if self.key else place + self.what


class FaultyFileError(ConfigError):
    """A configuration file with faults. ``str()`` is one line for each, in the order of the file.

    ``files`` are those it refers to, whether they could be read or not: a change of one may mend it.
    """

    def __init__(self, file: str, faults: Iterable[Fault], files: Iterable[Path] = ()) -> None:
        self.files = frozenset(files)
        self.faults = tuple(sorted(set(faults), key=lambda fault: (fault.line, str(fault.key), fault.what)))
        super().__init__("\n".join(fault.told(file) for fault in self.faults))


def dotted(key: Key) -> str:
    """The key as a reader writes it: words joined by dots, places in lists counted from 0."""
    return ".".join(str(part) for part in key)
