"""What docs/residue.md foretells of a number of runs: new rows, table by table, and never anything else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .picture import Change
from .series import Series

PAGE: Final = Path(__file__).parents[2] / "docs" / "residue.md"
IN_BROWSER, KILLED, START = "in a browser", "killed", "a start"
"""Columns that are no flow: what a user leaves in a browser besides, what a killed run may, what the agent's start."""
_BROWSER: Final = "browser_"
_LOGIN: Final = "login"
_NOBODY: Final = {"portal_lookup"}
"""Flows in which nobody logs in."""
_UP_TO: Final = "up to "


@dataclass(frozen=True, slots=True)
class Range:
    """At least and at most so many rows."""

    low: int = 0
    high: int = 0

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __str__(self) -> str:
        return str(self.high) if self.low == self.high else f"{self.low} to {self.high}"

    def times(self, count: int) -> Range:
        """So often."""
        return Range(self.low * count, self.high * count)

    def perhaps(self) -> Range:
        """As much or less."""
        return Range(0, self.high)


Rows = Mapping[str, Mapping[str, Range]]
"""For each table of the database the new rows of a run by the column of the page."""


def promised(version: int, page: Path = PAGE) -> Rows:
    """What the page says that runs leave in the tables of an Odoo of this version.

    Raises:
        ValueError: when the page does not say it.
    """
    _, found, after = page.read_text().partition(f"### Odoo {version}, in rows\n")
    if not found:
        raise ValueError(f"{page} does not say what is left in Odoo {version}")
    lines = [_cells(line) for line in after.partition("\n#")[0].splitlines() if line.startswith("|")]
    header, _, *body = lines
    return {
        cells[0].strip("`"): {name.strip("`"): _range(text) for name, text in zip(header[1:], cells[1:], strict=True)}
        for cells in body
    }


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _range(text: str) -> Range:
    if not re.fullmatch(rf"({_UP_TO})?\d*", text):
        raise ValueError(f"{text!r}: a number, {_UP_TO!r} and a number, or nothing is expected")
    high = int(text.removeprefix(_UP_TO) or 0)
    return Range(0 if text.startswith(_UP_TO) else high, high)


def foretold(rows: Rows, series: Iterable[Series], sweeps: int) -> dict[str, Range]:
    """The new rows in each table after these series, everything swept by a janitor in so many sweeps.

    A run that was killed may have left all that a complete one leaves, and what only killed ones do, or nothing. Who
    sweeps is an agent that was started.
    """
    parts = [*(part for one in series for part in _parts(one)), (START, sweeps, True)]
    return {table: sum((_one(cells, *part) for part in parts), Range()) for table, cells in rows.items()}


def _parts(series: Series) -> Iterator[tuple[str, int, bool]]:
    """Columns of the page, how often each counts, and whether it does for certain."""
    complete = Counter(run.turn.probe for run in series.complete())
    others = Counter(run.turn.probe for run in series.runs if not run.is_complete)
    for counts, certain in ((complete, True), (others, False)):
        for probe, count in counts.items():
            for column in _columns(probe):
                yield column, count, certain
    yield KILLED, others.total(), False
    yield START, series.starts, True


def _columns(probe: str) -> tuple[str, ...]:
    if not probe.startswith(_BROWSER):
        return (probe,)
    plain = probe.removeprefix(_BROWSER)
    if plain == _LOGIN:
        return (IN_BROWSER,)
    return (plain, probe) if plain in _NOBODY else (plain, probe, IN_BROWSER)


def _one(cells: Mapping[str, Range], column: str, count: int, certain: bool) -> Range:  # noqa: FBT001 - of a tuple
    part = cells.get(column, Range()).times(count)
    return part if certain else part.perhaps()


def broken(foretold: Mapping[str, Range], changes: Mapping[str, Change]) -> list[str]:
    """A sentence for each table in which something else happened."""
    said = []
    for table in sorted({*foretold, *changes}):
        change, expected = changes.get(table, Change(0, 0)), foretold.get(table, Range())
        if change.gone:
            said.append(f"{table}: {change.gone} rows of before are gone or changed")
        if not expected.low <= change.new <= expected.high:
            said.append(f"{table}: {change.new} new rows, {expected} were foretold")
    return said
