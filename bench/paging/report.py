"""What was simulated and what was measured, as the tables of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from alerts.objectives import Objectives, Paging, Unsteady
from probes import PROBES

from .months import MONTHS, false_pages, found_soon
from .outage import DEADLINE, EVERY, READ_EVERY, Told

FLOWS: Final = 12
RATES: Final = (0.002, 0.01, 0.02)
SICK: Final = 0.3
INTERVALS: Final = (30.0, 60.0, 120.0, 300.0, 900.0)
RULES: Final = (Paging(2, 3), Paging(3, 3), Paging(3, 4), Paging(3, 5))
TICKETS: Final = (
    (60.0, Unsteady(5, 30)),
    (120.0, Unsteady(3, 15, 120)),
    (120.0, Unsteady(4, 15)),
    (300.0, Unsteady(2, 6, 300)),
    (300.0, Unsteady(3, 6)),
)
SHIPPED: Final = tuple(probe.every for probe in PROBES)
LOOKS: Final = 5.0
"""Seconds between two evaluations of what pages."""


def simulated() -> str:
    """The three tables of what was simulated."""
    return "\n".join([*_by_interval(), "", *_by_rule(), "", *_tickets(), ""])


def _by_interval() -> Iterator[str]:
    yield f"| {FLOWS} flows every | 0.2 % fail | 1 % | 2 % | an outage fires within | 30 % fail: page | ticket |"
    yield "|---|---|---|---|---|---|---|"
    yield from map(of_interval, INTERVALS)
    yield _line("as shipped", *_false(SHIPPED, Objectives().pages), "as each of them", "", "")


def of_interval(every: float) -> str:
    """The line of flows that run so often."""
    objectives = Objectives()
    name = f"{every:g} s" + (", the default" if every == EVERY else "")
    soon = [f"{found_soon(every, SICK, rule):.2f}" for rule in (objectives.pages, objectives.tickets_of(every))]
    fires = f"{objectives.pages.failures * every + DEADLINE + READ_EVERY + LOOKS:.0f} s"
    return _line(name, *_false([every] * FLOWS, objectives.pages), fires, *soon)


def _by_rule() -> Iterator[str]:
    yield f"| {FLOWS} flows every {EVERY:g} s | 0.2 % fail | 1 % | 2 % | 30 % fail: page |"
    yield "|---|---|---|---|---|"
    for rule in RULES:
        name = f"{rule.failures} of {rule.runs}" + (", the default" if rule == Objectives().pages else "")
        yield _line(name, *_false([EVERY] * FLOWS, rule), f"{found_soon(EVERY, SICK, rule):.2f}")


def _tickets() -> Iterator[str]:
    yield f"| {FLOWS} flows every | ticket at | 0.2 % fail | 1 % | 2 % | 30 % fail: ticket |"
    yield "|---|---|---|---|---|---|"
    for every, rule in TICKETS:
        name = f"{rule.failures} of {rule.runs}" + (", the default" if rule == Objectives().tickets_of(every) else "")
        yield _line(f"{every:g} s", name, *_false([every] * FLOWS, rule), f"{found_soon(every, SICK, rule):.2f}")


def _false(intervals: Sequence[float], rule: Paging) -> list[str]:
    return [str(false_pages(intervals, rate, rule, MONTHS)) for rate in RATES]


def measured(outages: Sequence[Told], facts: str) -> str:
    """The table of real outages; ``facts`` says when and on what they were measured."""
    lines = [_line(one.fault, f"{one.fired:.0f} s", f"{one.paged:.0f} s") for one in outages]
    return "\n".join([facts, "", "| Fault | rule fires after | webhook, after that |", "|---|---|---|", *lines, ""])


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
