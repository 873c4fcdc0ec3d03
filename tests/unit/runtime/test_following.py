"""Following pods while the API server is well, slow, forgetful or away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

from quaywatch.drivers.kubernetes import ExpiredError, Pod, PodChange, PodList
from quaywatch.errors import ConnectError
from quaywatch.runtime.catalogue import DISCOVERY_LISTS, DISCOVERY_UP
from quaywatch.runtime.discovery import Following
from quaywatch.runtime.instruments import Instruments
from tests.unit.runtime.fakes import FakeClock, VirtualLoop, value

LOOP = VirtualLoop
RESYNC = 600.0


def pod(name: str, *, address: str = "10.0.0.1", running: bool = True, kind: str = "redis") -> Pod:
    """A pod with an annotation."""
    return Pod("erp", name, address, running=running, annotations={"kind": kind} if kind else {})


class Source:
    """An API server; what it holds, and what a test lets it do."""

    def __init__(self) -> None:
        self.pods: tuple[Pod, ...] = ()
        self.away = False
        self.forgetful = False
        self.silent = False
        self.asked: list[tuple[float, str]] = []
        """When it was asked, and for what."""
        self.changes: asyncio.Queue[PodChange | None] = asyncio.Queue()
        self.closed = False

    async def list(self, since: str) -> PodList:
        """All pods."""
        self._hear(f"list {since}")
        return PodList("10", self.pods)

    async def watch(self, version: str, seconds: float) -> AsyncGenerator[PodChange, None]:
        """What a test puts in; its end for None."""
        self._hear(f"watch {version}")
        if self.forgetful:
            raise ExpiredError("forgotten")
        yield PodChange(version)
        if self.silent:
            await asyncio.sleep(10 * seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (change := await self.changes.get()) is not None:
                    yield change

    async def close(self) -> None:
        """Note it."""
        self.closed = True

    def _hear(self, what: str) -> None:
        self.asked.append((asyncio.get_running_loop().time(), what))
        if self.away:
            raise ConnectError("nobody listens there")


class Agent:
    """Who follows."""

    def __init__(self, source: Source) -> None:
        clock = FakeClock()
        self.heard: list[list[str]] = []
        self.meter = Instruments("", clock)
        self.following = Following(
            source, changed=self._hear, meter=self.meter, clock=clock, resync=RESYNC, chance=lambda: 1.0
        )

    def _hear(self, pods: Collection[Pod]) -> None:
        self.heard.append([pod.name for pod in pods])

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Follow while the block runs."""
        task = asyncio.create_task(self.following.follow())
        await asyncio.sleep(0.01)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_only_pods_that_matter_are_told_and_only_when_they_change() -> None:
    """Not those that end, have no address or say nothing to us; what changes elsewhere in a pod is no news."""
    source = Source()
    source.pods = (pod("b"), pod("a"), pod("ends", running=False), pod("new", address=""), pod("other", kind=""))
    agent = Agent(source)
    async with agent.at_work():
        for change in (
            PodChange("11", pod("a")),
            PodChange("12", pod("b", address="10.0.0.2")),
            PodChange("13", pod("a", running=False)),
            PodChange("14", pod("never"), gone=True),
        ):
            source.changes.put_nowait(change)
        await asyncio.sleep(1)
    assert agent.heard == [["a", "b"], ["a", "b"], ["b"]]
    assert source.closed


async def test_a_watch_that_ends_goes_on_where_it_stood() -> None:
    """From the version of the last change or bookmark, without a list."""
    source = Source()
    agent = Agent(source)
    async with agent.at_work():
        source.changes.put_nowait(PodChange("42"))
        source.changes.put_nowait(None)
        await asyncio.sleep(1)
    assert [what for _, what in source.asked] == ["list 0", "watch 10", "watch 42"]


async def test_an_api_server_that_is_away_is_asked_less_and_less_often() -> None:
    """It was looked at once, what was known stays, and the waits double up to half a minute."""
    source = Source()
    source.pods = (pod("a"),)
    source.away = True
    agent = Agent(source)
    async with agent.at_work():
        assert (agent.following.looked, agent.heard, value(agent.meter, DISCOVERY_UP)) == (True, [], 0)
        await asyncio.sleep(300)
        times = [at for at, _ in source.asked]
        waits = [round(later - at, 2) for at, later in pairwise(times)]
        assert waits[:8] == [0.25, 0.5, 1, 2, 4, 8, 16, 30]
        source.away = False
        await asyncio.sleep(31)
        assert (agent.heard, value(agent.meter, DISCOVERY_UP)) == ([["a"]], 1)
        source.away = True
        source.changes.put_nowait(None)
        await asyncio.sleep(100)
        assert (agent.heard, value(agent.meter, DISCOVERY_UP)) == ([["a"]], 0)


async def test_an_outage_of_a_day_ends_nothing() -> None:
    """However often nobody answered, the server is asked again within half a minute, and its pods are heard of."""
    source = Source()
    source.pods = (pod("a"),)
    source.away = True
    agent = Agent(source)
    async with agent.at_work():
        await asyncio.sleep(86_400)
        assert len(source.asked) > 2000
        source.away = False
        await asyncio.sleep(31)
    assert agent.heard == [["a"]]


async def test_a_forgetful_server_is_not_asked_in_a_hurry() -> None:
    """Each time it forgets, the newest list is asked for, and the next watch waits longer."""
    source = Source()
    source.forgetful = True
    agent = Agent(source)
    async with agent.at_work():
        await asyncio.sleep(60)
        assert len(source.asked) < 20
    assert source.asked[2][1] == "list "
    assert value(agent.meter, DISCOVERY_LISTS, cause="expired") > 1


async def test_a_server_that_neither_speaks_nor_ends_is_left() -> None:
    """A watch is over some seconds after the time for which it was asked, whatever the server does."""
    source = Source()
    source.silent = True
    agent = Agent(source)
    async with agent.at_work():
        await asyncio.sleep(2 * RESYNC)
    assert [what for _, what in source.asked][:3] == ["list 0", "watch 10", "list 10"]


async def test_a_defect_ends_nothing() -> None:
    """An answer that nobody expected is an outage like any other, and followed by another try."""
    source = Source()
    agent = Agent(source)
    async with agent.at_work():
        source.changes.put_nowait("nonsense")  # type: ignore[arg-type]  # as meant
        await asyncio.sleep(5)
        source.changes.put_nowait(PodChange("11", pod("a")))
        await asyncio.sleep(1)
    assert agent.heard[-1] == ["a"]
