"""Leases in a Lease object: one agent at a time, whatever their clocks say, and never nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from quaywatch.drivers.kubernetes import LeaseObject
from quaywatch.errors import ConnectError
from quaywatch.runtime.catalogue import LEASE_CHANGES, LEASE_HELD, LEASE_UNCONFIRMED, LEASE_UNREACHABLE
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.leases import KubernetesLeases
from quaywatch.runtime.leases.contention import PATIENCE
from tests.unit.runtime.fakes import FakeClock, VirtualLoop, value

LOOP = VirtualLoop
TTL = 15.0


class Store:
    """A Lease object in memory, seen by one agent; ``reachable`` is this agent's own line."""

    def __init__(self, objects: dict[str, LeaseObject]) -> None:
        self.objects = objects
        self.reachable = True
        self.touched_before_writes = 0

    async def read(self) -> LeaseObject | None:
        """The object as it is."""
        self._reach()
        await asyncio.sleep(0)
        return self.objects.get("it")

    async def create(self, **spec: Any) -> LeaseObject | None:
        """A new one, unless it is there."""
        self._reach()
        return None if "it" in self.objects else self._write({"spec": spec})

    async def update(self, changed: LeaseObject) -> LeaseObject | None:
        """Written, unless it is another version by now."""
        self._reach()
        if self.touched_before_writes:
            self.touched_before_writes -= 1
            self._write(dict(self.objects["it"].raw))
        if changed.raw["version"] != self.objects["it"].raw["version"]:
            return None
        return self._write(dict(changed.raw))

    async def close(self) -> None:
        """There is no line."""

    def _reach(self) -> None:
        if not self.reachable:
            raise ConnectError("refused")

    def _write(self, raw: dict[str, Any]) -> LeaseObject:
        before = self.objects.get("it")
        self.objects["it"] = LeaseObject({**raw, "version": before.raw["version"] + 1 if before else 1})
        return self.objects["it"]


class Agent:
    """One contender."""

    def __init__(self, name: str, objects: dict[str, LeaseObject], chance: float) -> None:
        self.clock = FakeClock()
        self.meter = Instruments("", self.clock)
        self.store = Store(objects)
        self.leases = KubernetesLeases(
            self.store, identity=name, ttl=TTL, meter=self.meter, clock=self.clock, chance=lambda: chance
        )

    def start(self) -> None:
        """Contend."""
        self.leases.want(["db", "erp"])
        self.leases.start(lambda: None)

    @property
    def acts(self) -> bool:
        """On both targets, or on none."""
        (acts,) = {self.leases.held(name) for name in ("db", "erp")}
        return acts

    def says(self, metric: Any, **attributes: str) -> Any:
        """The value of one series."""
        return value(self.meter, metric, **attributes)

    async def die(self) -> None:
        """End as a killed process does."""
        self.store.reachable = False
        await self.leases.close()


@pytest.fixture
def objects() -> dict[str, LeaseObject]:
    """What the API server holds."""
    return {}


@pytest_asyncio.fixture
async def agents(objects: dict[str, LeaseObject]) -> AsyncIterator[list[Agent]]:
    """Three agents that contend, the first one first."""
    agents = [Agent(name, objects, chance) for name, chance in (("anna", 0.2), ("bert", 0.5), ("cleo", 0.8))]
    for agent in agents:
        agent.start()
        await asyncio.sleep(0.1)
    yield agents
    for agent in agents:
        await agent.leases.close()


def acting(agents: list[Agent]) -> list[bool]:
    """Who acts."""
    return [agent.acts for agent in agents]


async def test_one_agent_acts_on_everything(agents: list[Agent], objects: dict[str, LeaseObject]) -> None:
    """For as long as it lives, and it says so."""
    for _ in range(60):
        await asyncio.sleep(60)
        assert acting(agents) == [True, False, False]
    assert [agent.says(LEASE_HELD, target="db") for agent in agents] == [1, 0, 0]
    assert (objects["it"].holder, objects["it"].transitions) == ("anna", 0)


async def test_a_dead_holder_is_followed_after_its_time(agents: list[Agent], objects: dict[str, LeaseObject]) -> None:
    """Not before the time to live is over, a beat later at most; the change of hands is counted."""
    await asyncio.sleep(60)
    await agents[0].die()
    await asyncio.sleep(TTL - 5)
    assert acting(agents)[1:] == [False, False]
    await asyncio.sleep(5 + 6.5)
    assert sorted(acting(agents)[1:]) == [False, True]
    assert objects["it"].transitions == 1
    follower = next(agent for agent in agents[1:] if agent.acts)
    assert follower.says(LEASE_CHANGES, target="db") == 1


async def test_a_follower_knows_until_when_the_holder_lived(agents: list[Agent]) -> None:
    """The last renewal that it saw, by its own clock."""
    await asyncio.sleep(60)
    died = agents[0].clock.time()
    await agents[0].die()
    await asyncio.sleep(TTL + 6.5)
    follower = next(agent for agent in agents[1:] if agent.acts)
    before = follower.leases.taken_over("db")
    assert before is not None
    assert died - 6.5 < before < died + 6.5


@pytest.mark.parametrize("shift", [-7200.0, 7200.0])
async def test_no_clock_is_compared(shift: float, agents: list[Agent]) -> None:
    """An agent whose clock is hours off neither takes a lease that is renewed nor waits longer for one that is not."""
    for agent in agents[1:]:
        agent.clock.shift = shift
    await asyncio.sleep(120)
    assert acting(agents) == [True, False, False]
    await agents[0].die()
    await asyncio.sleep(TTL + 6.5)
    assert sorted(acting(agents)[1:]) == [False, True]


async def test_a_holder_that_stops_hands_over_at_once(agents: list[Agent], objects: dict[str, LeaseObject]) -> None:
    """It says that nobody holds the lease, and the next beat of another takes it."""
    await asyncio.sleep(60)
    await agents[0].leases.close()
    assert objects["it"].holder == ""
    await asyncio.sleep(6.5)
    assert sorted(acting(agents)[1:]) == [False, True]


async def test_contention_never_ends(agents: list[Agent]) -> None:
    """Who lost the lease contends for it again, and a waiting agent does so after hours."""
    await asyncio.sleep(7200)
    agents[0].store.reachable = False
    await asyncio.sleep(TTL + 12)
    assert sorted(acting(agents)[1:]) == [False, True]
    agents[0].store.reachable = True
    await asyncio.sleep(6.5)
    assert acting(agents).count(True) == 1
    for agent in agents[1:]:
        await agent.leases.close()
    await asyncio.sleep(6.5)
    assert agents[0].acts


async def test_who_is_cut_off_alone_goes_on_and_counts_its_runs(agents: list[Agent]) -> None:
    """It cannot know that another has taken over; each run says that nobody confirmed it, until the line is back."""
    await asyncio.sleep(60)
    agents[0].store.reachable = False
    await asyncio.sleep(TTL + 12)
    assert acting(agents).count(True) == 2
    assert not await agents[0].leases.confirm("db")
    assert agents[0].says(LEASE_UNCONFIRMED, target="db") == 1
    agents[0].store.reachable = True
    await asyncio.sleep(6.5)
    assert acting(agents).count(True) == 1
    assert not agents[0].acts


async def test_the_api_is_away_for_everybody(agents: list[Agent]) -> None:
    """The holder goes on, the others trust it for four times to live, and one is left when the API is back."""
    await asyncio.sleep(60)
    for agent in agents:
        agent.store.reachable = False
    await asyncio.sleep((PATIENCE - 1) * TTL)
    assert acting(agents) == [True, False, False]
    assert [agent.says(LEASE_UNREACHABLE) for agent in agents] == [1, 1, 1]
    await asyncio.sleep(TTL + 12)
    assert acting(agents) == [True, True, True]
    for agent in agents:
        agent.store.reachable = True
    await asyncio.sleep(6.5)
    assert acting(agents).count(True) == 1


async def test_somebody_who_labels_the_object_disturbs_nobody(agents: list[Agent]) -> None:
    """A version that changed under the holder is read again."""
    await asyncio.sleep(60)
    agents[0].store.touched_before_writes = 1
    for _ in range(10):
        await asyncio.sleep(1)
        assert acting(agents) == [True, False, False]


async def test_a_race_has_one_winner(objects: dict[str, LeaseObject]) -> None:
    """Agents that start at the same moment, with the same beat, are told apart by the version."""
    agents = [Agent(name, objects, 0.5) for name in ("anna", "bert", "cleo")]
    for agent in agents:
        agent.start()
    for _ in range(50):
        await asyncio.sleep(1)
        assert acting(agents).count(True) == 1
    for agent in agents:
        await agent.leases.close()


async def test_who_wants_nothing_holds_nothing(agents: list[Agent]) -> None:
    """An agent whose configuration has no shared target any more lets others have the lease."""
    await asyncio.sleep(60)
    agents[0].leases.want([])
    await asyncio.sleep(6.5)
    assert sorted(agent.leases.held("db") for agent in agents) == [False, False, True]
    assert not agents[0].leases.held("db")


async def test_who_closes_can_be_cancelled(objects: dict[str, LeaseObject]) -> None:
    """A beat that is slow to end keeps nobody who is told to go, and the next close lets go of everything."""
    agent = Agent("anna", objects, 0.5)
    agent.start()
    await asyncio.sleep(1)
    closing = asyncio.create_task(agent.leases.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await agent.leases.close()
    assert objects["it"].holder == ""
