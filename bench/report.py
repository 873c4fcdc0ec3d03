"""What was measured, as the tables of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from .families import FAMILIES
from .gauge import Cost, Held
from .trial import Round

OURS: Final = "Quaywatch"
PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_BEGIN: Final = "<!-- figures: begin -->"
_END: Final = "<!-- figures: end -->"
_MEBIBYTE: Final = 2**20
_MILLI: Final = 1000


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One line of a table: what it tells, how it is taken and how it is shown."""

    label: str
    unit: str
    value: Callable[[Cost], float]


_ROWS: Final = (
    _Row(label="cycle", unit="s", value=lambda cost: cost.wall),
    _Row(label="database time", unit="ms", value=lambda cost: cost.database * _MILLI),
    _Row(label="statements", unit="", value=lambda cost: cost.statements),
    _Row(label="connections opened", unit="", value=lambda cost: cost.connections),
    _Row(label="sessions at a time, at most", unit="", value=lambda cost: cost.most_sessions),
    _Row(label="processor time of PostgreSQL, connecting included", unit="ms", value=lambda c: c.server * _MILLI),
    _Row(label="processor time of the tool", unit="ms", value=lambda cost: cost.processor * _MILLI),
    _Row(label="commands to Redis", unit="", value=lambda cost: cost.commands),
    _Row(label="series", unit="", value=lambda cost: cost.series),
)
_HELD: Final[Mapping[str, Callable[[Held], float]]] = {
    "resident memory of the tool, MiB": lambda held: held.resident / _MEBIBYTE,
    "of that its own (USS), MiB": lambda held: held.own / _MEBIBYTE,
    "sessions between cycles": lambda held: held.sessions,
    "memory of these sessions in PostgreSQL (USS), MiB": lambda held: held.session_memory / _MEBIBYTE,
}
_SUMMED_UP: Final = (
    "cycle",
    "database time",
    "connections opened",
    "sessions at a time, at most",
    "processor time of PostgreSQL, connecting included",
    "processor time of the tool",
)


def write(rounds: Sequence[Round], facts: str, page: Path = PAGE) -> None:
    """Put the tables between the page's markers.

    Raises:
        ValueError: when the page has no markers.
    """
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page} lacks {_BEGIN} or {_END}")
    page.write_text(f"{before}{begin}\n{tables(rounds, facts)}{end}{after}")


def tables(rounds: Sequence[Round], facts: str) -> str:
    """All tables; ``facts`` says when and on what they were measured."""
    each = (line for one in rounds for line in _table(one))
    return "\n".join([facts, "", *_families(), "", *_summary(rounds), *each]) + "\n"


def _families() -> Iterator[str]:
    yield "### What all of them read\n"
    yield "| Family | Quaywatch, among others | exporters, among others | |"
    yield "|---|---|---|---|"
    for family in FAMILIES:
        yield f"| {family.name} | `{family.ours}` | `{family.theirs}` | {family.differs} |"


def _summary(rounds: Sequence[Round]) -> Iterator[str]:
    rows = {row.label: row for row in _ROWS}
    yield "### Ratios, Quaywatch to the exporters"
    for peer in (name for name in rounds[0].costs if name != OURS):
        yield f"\nExporters, {peer}:\n"
        yield "| Tenants | " + " | ".join([*_SUMMED_UP, "resident memory"]) + " |"
        yield "|---" * (len(_SUMMED_UP) + 2) + "|"
        for one in rounds:
            ratios = [_ratio(one, rows[label], peer) for label in _SUMMED_UP]
            memory = one.held[OURS].resident / one.held[peer].resident
            yield f"| {one.tenants} | " + " | ".join([*ratios, f"{memory:.2f}"]) + " |"
    yield "\n### Quaywatch's cost of one tenant\n"
    yield "| Tenants | cycle, ms | database time, ms | processor time of PostgreSQL, ms | of the agent, ms |"
    yield "|---|---|---|---|---|"
    for one in rounds:
        yield f"| {one.tenants} | " + " | ".join(_each(one)) + " |"


def _each(one: Round) -> Iterator[str]:
    for value in (lambda c: c.wall, lambda c: c.database, lambda c: c.server, lambda c: c.processor):
        yield _number(median(map(value, one.costs[OURS])) / one.tenants * _MILLI)


def _table(one: Round) -> Iterator[str]:
    names = list(one.costs)
    peers = [name for name in names if name != OURS]
    cycles = len(one.costs[OURS])
    yield f"\n### {one.tenants} {'tenant' if one.tenants == 1 else 'tenants'}, {cycles} cycles each\n"
    ratios = [f"Quaywatch / {peer}" for peer in peers]
    yield "| Per cycle, the median | " + " | ".join([*names, *ratios]) + " |"
    yield "|---" * (1 + len(names) + len(ratios)) + "|"
    for row in _ROWS:
        label = f"{row.label}, {row.unit}" if row.unit else row.label
        values = [_number(median(map(row.value, one.costs[name]))) for name in names]
        yield f"| {label} | " + " | ".join([*values, *(_ratio(one, row, peer) for peer in peers)]) + " |"
    for label, held in _HELD.items():
        values = [_number(held(one.held[name])) for name in names]
        against = [f"{held(one.held[OURS]) / held(one.held[peer]):.2f}" for peer in peers]
        yield f"| {label} | " + " | ".join([*values, *against]) + " |"


def _ratio(one: Round, row: _Row, peer: str) -> str:
    """The median of the ratios cycle by cycle, and between which they lie."""
    pairs = zip(one.costs[OURS], one.costs[peer], strict=True)
    ratios = [row.value(ours) / row.value(theirs) for ours, theirs in pairs if row.value(theirs)]
    if not ratios:
        return ""
    middle, low, high = (f"{value:.2f}" for value in (median(ratios), min(ratios), max(ratios)))
    return middle if low == high else f"{middle} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"  # noqa: PLR2004 - three digits
