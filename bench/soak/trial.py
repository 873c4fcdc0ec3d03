"""The trial on one Odoo: a series with a janitor and one without, each swept, and everything compared with before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import Postgres

from .business import clock_stopped, trade
from .flows import PER_SHIPMENT, Flow, Turn, flows, in_browser, turns
from .foretold import Range, broken, foretold, promised
from .found import Order, Stock, by_run, orders, stock
from .picture import Change, picture, settled
from .series import Series, series
from .sweeps import Sum, swept
from .worker import Job

Say = Callable[[str], None]

_ALONE: Final = "alone"
_SWEEPS: Final = 3
"""One after each series, and one by a janitor who comes later."""
_TRIES: Final = 3
_SHIPMENT: Final = "shipment-confirm"
_LOGIN: Final = "login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many runs are made on an Odoo.

    ``runs`` have a janitor and ``alone`` have none; one in ``killed_every`` is killed. ``goods`` is how many products
    are traded beside them. ``browser`` is whether some go through a browser. ``installation`` names their marks; it
    must be another one for each trial in the same database.
    """

    runs: int
    alone: int
    goods: int
    killed_every: int
    browser: bool = True
    installation: str = "soak"


@dataclass(frozen=True, slots=True)
class Left:
    """Records that stay: those that could be erased, and those that Odoo keeps for ever."""

    residue: int = 0
    permanent: int = 0

    def __add__(self, other: Left) -> Left:
        return Left(self.residue + other.residue, self.permanent + other.permanent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A series and its sweep: what was foretold of each probe, and what the sweep then counted."""

    has_janitor: bool
    series: Series
    foretold: Mapping[str, Left]
    swept: Mapping[str, Sum]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What became of an Odoo: its two stretches, its tables, and a sentence for whatever was not as foretold."""

    server: str
    stretches: tuple[Stretch, ...]
    tables: int
    rows: int
    foretold: Mapping[str, Range]
    changes: Mapping[str, Change]
    wrong: tuple[str, ...]


async def trial(postgres: Postgres, server: Odoo, version: int, plan: Plan, say: Say) -> Trial:
    """Do all of it on one Odoo that is used for nothing else meanwhile."""
    known = _flows(server, browser=plan.browser)
    with clock_stopped(postgres, server):
        trade(server, plan.goods)
        await _warmed_up(Job(server, f"{plan.installation}-warm-up", has_janitor=True), known, say)
        before = await picture(postgres, server.database)
        stocked = await stock(postgres, server.database)
        field = _Field(postgres, server, known, say)
        stretches, wrong = await field.stretches(plan)
        after = await picture(postgres, server.database)
    expected = foretold(promised(version), [one.series for one in stretches], _SWEEPS)
    changes = before.until(after)
    return Trial(
        server=server.database,
        stretches=stretches,
        tables=len(before.tables),
        rows=before.rows(),
        foretold=expected,
        changes=changes,
        wrong=(*wrong, *broken(expected, changes), *await field.misstocked(plan, stocked)),
    )


def _flows(server: Odoo, *, browser: bool) -> dict[str, Flow]:
    known = flows(server.database)
    left_out = [] if browser else in_browser(list(known))
    return {name: flow for name, flow in known.items() if name not in left_out}


async def _warmed_up(job: Job, known: Mapping[str, Flow], say: Say) -> None:
    """One run of each, after which Odoo has filled its caches: what it keeps there is of the first visitor ever."""
    pending, number = list(known), 0
    while pending and number <= _TRIES * len(known):
        some = [Turn(number := number + 1, name, is_killed=False) for name in pending]
        pending = [run.turn.probe for run in (await series(job, some, say)).failed()]
    if pending:
        raise RuntimeError(f"{job.server.database}: not even the first runs of {', '.join(pending)} succeed")


class _Field:
    """An Odoo on which series are run."""

    def __init__(self, postgres: Postgres, server: Odoo, known: Mapping[str, Flow], say: Say) -> None:
        self._postgres = postgres
        self._server = server
        self._known = known
        self._say = say

    async def stretches(self, plan: Plan) -> tuple[tuple[Stretch, ...], list[str]]:
        """Both series, each with its sweep, and a sentence for whatever was not as foretold."""
        made = list(turns(list(self._known), plan.runs + plan.alone, killed_every=plan.killed_every))
        first, wrong = await self._stretch(Job(self._server, plan.installation, has_janitor=True), made[: plan.runs])
        alone = f"{plan.installation}-{_ALONE}"
        second, more = await self._stretch(Job(self._server, alone, has_janitor=False), made[plan.runs :])
        later = await swept(Job(self._server, alone, has_janitor=True), self._known.values())
        kept = [f"{name}: a later janitor leaves {one.residue}" for name, one in later.items() if one.residue]
        return (first, second), [*wrong, *more, *kept]

    async def misstocked(self, plan: Plan, before: Stock) -> list[str]:
        """A sentence, when the probes' stock has not fallen by what was shipped, or some of it is still reserved."""
        kept = [*await self._orders(plan.installation), *await self._orders(f"{plan.installation}-{_ALONE}")]
        shipped = sum(order.shipped for order in kept) * PER_SHIPMENT
        after = await stock(self._postgres, self._server.database)
        if after == replace(before, quantity=before.quantity - shipped):
            return []
        return [f"the probes' stock was {before} and is {after} after {shipped} were shipped"]

    async def _stretch(self, job: Job, some: Sequence[Turn]) -> tuple[Stretch, list[str]]:
        made = await series(job, some, self._say)
        await settled(self._postgres, self._server.database)
        expected, wrong = self._expected(job, made, by_run(await self._orders(job.installation)))
        sums = await swept(job, self._known.values())
        remaining = await self._orders(job.installation)
        wrong += [f"{order.mark} is left open by the sweep" for order in remaining if not order.over or order.open]
        wrong += _miscounted(expected, sums)
        stretch = Stretch(has_janitor=job.has_janitor, series=made, foretold=expected, swept=sums)
        return stretch, [f"{job.installation}: {sentence}" for sentence in wrong]

    def _expected(self, job: Job, made: Series, found: Mapping[str, list[Order]]) -> tuple[dict[str, Left], list[str]]:
        """What must be left of each probe after the sweep: by the docs of complete runs, by what is there of others."""
        expected = {name: Left() for name in self._known}
        wrong = [f"{run.mark}: {run.step}: {run.message}" for run in made.failed()]
        for run in made.runs:
            there = sum(map(_left, found.get(run.mark, [])), Left())
            promised = _left_by(self._known[run.turn.probe][0].flow, has_janitor=job.has_janitor)
            if run.is_complete and there != promised:
                wrong.append(f"{run.mark}: {there} stayed, {promised} was foretold")
            expected[run.turn.probe] += promised if run.is_complete else _unless_erased(there, job)
        return expected, wrong

    async def _orders(self, installation: str) -> list[Order]:
        return await orders(self._postgres, self._server.database, installation)


def _left_by(flow: str, *, has_janitor: bool) -> Left:
    """What a complete run leaves by docs/residue.md: order and delivery, for ever once shipped; else for a janitor."""
    if flow == _SHIPMENT:
        return Left(permanent=2)
    return Left() if has_janitor or flow == _LOGIN else Left(residue=2)


def _left(order: Order) -> Left:
    return Left(order.residue, order.permanent)


def _unless_erased(left: Left, job: Job) -> Left:
    """What the sweep leaves of what a killed run left."""
    return Left(0 if job.has_janitor else left.residue, left.permanent)


def _miscounted(expected: Mapping[str, Left], sums: Mapping[str, Sum]) -> Iterator[str]:
    for name, left in expected.items():
        counted = Left(sums[name].residue, sums[name].permanent)
        if counted != left:
            yield f"{name}: the sweep counts {counted}, {left} was foretold"


def counts(made: Series) -> Counter[str]:
    """The number of runs of each probe."""
    return Counter(run.turn.probe for run in made.runs)
