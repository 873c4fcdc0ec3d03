"""The looking around: together, bounded, and with drivers that are let go of again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from quaywatch.contract import Visit
from quaywatch.errors import AuthError, ConfigError, ConnectError, DeadlineError, FaultError, TargetError
from quaywatch.runtime.evidence import LOOK_WITHIN, Investigator, Surroundings
from quaywatch.runtime.evidence.facts import State
from quaywatch.runtime.evidence.gather_postgres import state_of, tables_of
from quaywatch.runtime.evidence.investigation import look_around
from quaywatch.runtime.probing import Cause
from quaywatch.runtime.probing.suspicion import ASK_WITHIN
from tests.unit.runtime.evidence_facts import ANSWER, SLOW
from tests.unit.runtime.fakes import VirtualLoop

LOOP = VirtualLoop


class Backend:
    """A driver of any kind, which takes its time and then raises."""

    def __init__(self, *, takes: float = 0.0, raises: Exception | None = None) -> None:
        self.takes = takes
        self.raises = raises
        self.opened = 0
        self.closed = 0

    def open(self) -> Any:
        """This one, counted."""
        self.opened += 1
        return self

    async def visit(self, _path: str) -> Visit:
        """A page."""
        await self._turn()
        return ANSWER

    async def info(self, _section: str) -> dict[str, str]:
        """Nothing of note."""
        await self._turn()
        return {"used_memory": "10", "maxmemory": "0"}

    async def close(self) -> None:
        """Counted."""
        self.closed += 1

    async def _turn(self) -> None:
        await asyncio.sleep(self.takes)
        if self.raises is not None:
            raise self.raises


async def test_what_does_not_answer_in_time_is_silent() -> None:
    """All are looked at together, within the bound of one, and every driver is let go of."""
    page, cache = Backend(takes=0.5), Backend(takes=60)
    around = Surroundings(front=page.open, direct=page.open, edge=page.open, cache=cache.open)
    began = asyncio.get_running_loop().time()
    facts = await look_around(SLOW, around)
    assert asyncio.get_running_loop().time() - began == pytest.approx(LOOK_WITHIN)
    assert LOOK_WITHIN < ASK_WITHIN
    assert (facts.front, facts.direct, facts.edge, facts.fronted) == (ANSWER, ANSWER, ANSWER, True)
    assert (facts.cache and facts.cache.state, facts.database, facts.standby) == (State.SILENT, None, None)
    assert (page.opened, page.closed, cache.closed) == (3, 3, 1)


async def test_a_back_end_that_cannot_be_asked_is_no_evidence() -> None:
    """A driver that cannot be made, or a page that cannot be asked for, hides nothing else."""

    def refuses() -> Any:
        raise ConfigError("the file of authorities cannot be read")

    around = Surroundings(front=Backend(raises=AuthError("no header")).open, direct=Backend().open, cache=refuses)
    facts = await look_around(SLOW, around)
    assert (facts.front, facts.direct, facts.cache, facts.fronted) == (None, ANSWER, None, False)


async def test_only_known_targets_are_looked_into() -> None:
    """For others there is nothing to say; a reload brings new ones."""
    investigator = Investigator({})
    assert await investigator(SLOW) is None
    investigator.take({"erp": Surroundings(front=Backend().open)})
    evidence = await investigator(SLOW)
    assert evidence is not None
    assert evidence.cause is Cause.UNKNOWN


async def test_not_more_than_four_are_looked_into_at_a_time() -> None:
    """A hundred flows that stall together open no hundred connections at once."""
    page = Backend(takes=1)
    investigator = Investigator({"erp": Surroundings(front=page.open)})
    asking = [asyncio.create_task(_ask(investigator, str(number))) for number in range(10)]
    await asyncio.sleep(0.5)
    assert page.opened == 4
    await asyncio.gather(*asking)
    assert page.opened == 10


async def _ask(investigator: Investigator, run: str) -> None:
    await investigator(replace(SLOW, case=replace(SLOW.case, run_id=run)))


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ConnectError("refused"), State.DOWN),
        (DeadlineError("no answer"), State.SILENT),
        (ConnectError("sorry, too many clients already", code="53300"), State.FULL),
        (ConnectError('too many connections for role "quaywatch"', code="53300"), State.UNREAD),
        (ConnectError("no such database", code="3D000"), State.MISSING),
        (AuthError("wrong password"), State.UNREAD),
        (FaultError("broken"), State.UNREAD),
    ],
)
def test_a_refused_visit_is_a_fact(error: TargetError, state: State) -> None:
    """Of what is our own fault nothing follows for Odoo."""
    assert state_of(error) is state


def test_a_log_in_has_tables_of_its_own() -> None:
    """It writes no orders."""
    assert "sale_order" in tables_of("browser_order_create")
    assert "res_users" in tables_of("browser_login")
