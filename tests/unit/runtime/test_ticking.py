"""The ticks of a probe: each is run, skipped or missed, and counted once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from quaywatch.contract import Outcome, Reach, Transaction, Watched
from quaywatch.runtime.catalogue import MAINTENANCE_ACTIVE, PROBE_RUNS, PROBE_SUCCESS
from quaywatch.runtime.maintenance import Maintenance, Mode, Window
from tests.unit.runtime.fakes import EPOCH, FakeDriver, VirtualLoop, value
from tests.unit.runtime.probe_fakes import TARGET, Spans, task
from tests.unit.runtime.test_agent import Bench, HandLeases

LOOP = VirtualLoop
EVERY = 60.0


class Flow:
    """A flow that takes its time."""

    def __init__(self) -> None:
        self.takes = 1.0
        self.runs = 0

    async def run(self, _driver: Any, _options: Any, tx: Transaction) -> None:
        """One step."""
        self.runs += 1
        async with tx.step("one"):
            await asyncio.sleep(self.takes)

    def watched(self, *, reach: Reach = Reach.SHARED) -> Watched:
        """The target with this flow, each minute."""
        flow = replace(task(self.run, deadline=300), every=EVERY)
        return Watched(replace(TARGET, reach=reach), FakeDriver, probes=(flow,))


class Ticking(Bench):
    """An agent beside others, with maintenance."""

    def __init__(self, leases: HandLeases) -> None:
        self.spans = Spans()
        self.maintenance = Maintenance()
        super().__init__(leases, tracer=self.spans.tracer, maintenance=self.maintenance)

    def counted(self) -> dict[str, float]:
        """How many ticks ended in which way, without those in which none did."""
        counts = {outcome.value: value(self.everything, PROBE_RUNS, outcome=outcome) for outcome in Outcome}
        return {outcome: count for outcome, count in counts.items() if count}


@pytest.fixture
def leases() -> HandLeases:
    """Leases held by nobody."""
    return HandLeases()


@pytest_asyncio.fixture
async def agent(leases: HandLeases) -> AsyncIterator[Ticking]:
    """An agent beside others."""
    bench = Ticking(leases)
    yield bench
    await bench.agent.stop()


async def test_who_takes_over_counts_what_nobody_ran(leases: HandLeases, agent: Ticking) -> None:
    """The ticks since the holder before was last known to live are missed, and none before it, nor any later."""
    leases.before = before = EPOCH - 3.5 * EVERY
    leases.mine = {"erp"}
    flow = Flow()
    await agent.agent.start([flow.watched()])
    await asyncio.sleep(3 * EVERY)
    first = agent.runs[0].tick
    missed = sum(first - number * EVERY > before for number in range(1, 10))
    assert agent.counted() == {"success": 3, "missed": missed}
    assert missed in {3, 4}


async def test_an_agent_that_starts_alone_misses_nothing(leases: HandLeases, agent: Ticking) -> None:
    """Nothing is known of the time before it."""
    leases.mine = {"erp"}
    await agent.agent.start([Flow().watched()])
    await asyncio.sleep(2 * EVERY)
    assert agent.counted() == {"success": 2}


async def test_a_run_that_takes_longer_than_the_interval_misses_ticks(agent: Ticking) -> None:
    """They are never made up for, and each is counted."""
    flow = Flow()
    await agent.agent.start([flow.watched(reach=Reach.LOCAL)])
    await asyncio.sleep(EVERY)
    assert flow.runs == 1
    flow.takes = 2.5 * EVERY
    await asyncio.sleep(4 * EVERY)
    flow.takes = 1.0
    await asyncio.sleep(4 * EVERY)
    ticks = 1 + round((agent.runs[-1].tick - agent.runs[0].tick) / EVERY)
    assert agent.counted()["missed"] >= 2
    assert sum(agent.counted().values()) == ticks


async def test_a_lease_that_was_lost_meanwhile_is_not_acted_on(leases: HandLeases, agent: Ticking) -> None:
    """Each tick asks first: an agent whose lease another has taken since its last beat runs nothing."""
    leases.mine, leases.lost = {"erp"}, {"erp"}
    flow = Flow()
    await agent.agent.start([flow.watched()])
    await asyncio.sleep(3 * EVERY)
    assert (flow.runs, agent.counted()) == (0, {})


async def test_who_does_not_hold_the_lease_says_nothing_of_ticks(leases: HandLeases, agent: Ticking) -> None:
    """So over all agents each tick has one outcome."""
    leases.mine = {"erp"}
    await agent.agent.start([Flow().watched()])
    await asyncio.sleep(2 * EVERY)
    leases.now()
    await asyncio.sleep(1)
    assert [one for one in agent.everything.series() if one.metric.name.startswith("quaywatch.probe.")] == []


async def test_maintenance_that_skips(agent: Ticking) -> None:
    """Nothing is run, each tick is counted as skipped, and it is not claimed that the flow works."""
    flow = Flow()
    await agent.agent.start([flow.watched(reach=Reach.LOCAL)])
    await asyncio.sleep(EVERY)
    assert value(agent.everything, PROBE_SUCCESS) == 1
    agent.maintenance.take([Window(name="w", mode=Mode.SKIP, targets=("*",), probes=("*",))])
    await asyncio.sleep(2 * EVERY)
    assert (flow.runs, agent.counted()) == (1, {"success": 1, "skipped": 2})
    assert [record.outcome for record in agent.runs[1:]] == [Outcome.SKIPPED] * 2
    assert value(agent.everything, PROBE_SUCCESS) is None
    assert value(agent.everything, MAINTENANCE_ACTIVE, mode="skip") == 1
    agent.maintenance.take([])
    await asyncio.sleep(EVERY)
    assert agent.counted() == {"success": 2, "skipped": 2}


async def test_maintenance_that_mutes(agent: Ticking) -> None:
    """The flow is run and counted as ever; the gauge says it within seconds, and so does the trace."""
    agent.maintenance.take([Window(name="w", mode=Mode.MUTE, targets=("*",), probes=("*",))])
    await agent.agent.start([Flow().watched(reach=Reach.LOCAL)])
    await asyncio.sleep(3)
    assert value(agent.everything, MAINTENANCE_ACTIVE, mode="mute") == 1
    await asyncio.sleep(EVERY)
    assert agent.counted() == {"success": 1}
    assert (agent.spans.one("probe small_flow").attributes or {})["quaywatch.maintenance"] == "mute"
