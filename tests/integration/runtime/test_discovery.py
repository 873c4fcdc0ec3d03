"""Pods of a node, followed at a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from statistics import median

import pytest
import pytest_asyncio

from quaywatch.clock import SystemClock
from quaywatch.drivers.kubernetes import ApiAddress, ExpiredError, NodePods, Pod, PodChange
from quaywatch.errors import AuthError, PermissionDeniedError
from quaywatch.runtime.catalogue import DISCOVERY_LISTS, DISCOVERY_UP
from quaywatch.runtime.discovery import Following
from quaywatch.runtime.instruments import Instruments
from sandbox.world import World
from tests.adversity.runtime.relay import Relay
from tests.integration.runtime.agents import eventually
from tests.integration.runtime.cluster import Namespace, namespace, port_of, relay_to
from tests.unit.runtime.fakes import value

PARTS = ("kubernetes",)
pytestmark = pytest.mark.timeout(900)
"""The API server is compiled the first time."""
PROMISED = 5.0
"""Seconds in which a change is known."""
WITHIN = 4 * PROMISED
"""Seconds that it may take once on a busy machine."""
FORGOTTEN = "2"
"""A version from before the API server's start."""


@pytest.fixture
def here(world: World) -> Iterator[Namespace]:
    """A namespace."""
    with namespace(world.kubernetes) as made:
        yield made


@pytest.fixture
def address(here: Namespace, tmp_path: Path) -> ApiAddress:
    """The API server, as the namespace's account sees it."""
    token = here.token(tmp_path / "token")
    return ApiAddress(url=here.server.url, token_file=str(token), ca_file=str(here.server.ca_file))


class Follower:
    """What an agent knows of its node."""

    def __init__(self, source: NodePods, *, resync: float = 600.0) -> None:
        self.pods: dict[str, Pod] = {}
        clock = SystemClock()
        self.meter = Instruments("test", clock)
        self._following = Following(source, changed=self._hear, meter=self.meter, clock=clock, resync=resync)

    def _hear(self, pods: Collection[Pod]) -> None:
        self.pods = {pod.name: pod for pod in pods}

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Follower]:
        """Follow while the block runs."""
        task = asyncio.create_task(self._following.follow())
        try:
            await eventually(lambda: self._following.looked, within=WITHIN)
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def lists(self) -> tuple[float, float, float]:
        """How many lists were made: at the start, after a forgotten version, for certainty."""
        causes = ("start", "expired", "resync")
        start, expired, resync = (value(self.meter, DISCOVERY_LISTS, cause=cause) for cause in causes)
        return (start, expired, resync)


async def run(here: Namespace, name: str, node: str = "one", **more: str) -> None:
    """A pod, made without stopping the loop."""
    await asyncio.to_thread(here.run, name, node=node, **{"kind": "redis", **more})


async def test_pods_come_change_and_go(here: Namespace, address: ApiAddress) -> None:
    """Each change of a pod of the node is known within 5 s, one of another node never; who is told to end is left."""
    await run(here, "first")
    async with Follower(NodePods(address, "one")).at_work() as agent:
        took = [await eventually(lambda: list(agent.pods) == ["first"], within=WITHIN)]
        await run(here, "elsewhere", node="two")
        await run(here, "second", address="10.9.9.9", port="6380")
        took.append(await eventually(lambda: "second" in agent.pods, within=WITHIN))
        assert agent.pods["second"].annotations == {"kind": "redis", "port": "6380"}
        await asyncio.to_thread(here.annotate, "second", port="6381")
        took.append(await eventually(lambda: agent.pods["second"].annotations["port"] == "6381", within=WITHIN))
        await asyncio.to_thread(here.set_status, "second", podIP="10.9.9.10", podIPs=[{"ip": "10.9.9.10"}])
        took.append(await eventually(lambda: agent.pods["second"].address == "10.9.9.10", within=WITHIN))
        await asyncio.to_thread(here.end, "second", grace=30)
        took.append(await eventually(lambda: "second" not in agent.pods, within=WITHIN))
        await asyncio.to_thread(here.end, "first")
        took.append(await eventually(lambda: agent.pods == {}, within=WITHIN))
        assert agent.lists == (1, 0, 0)
    assert median(took) < PROMISED


@pytest_asyncio.fixture
async def relay(here: Namespace) -> AsyncIterator[Relay]:
    """The way to the API server."""
    async with relay_to(here.server) as relay:
        yield relay


def through(relay: Relay, address: ApiAddress) -> ApiAddress:
    """The address at the other end of the way."""
    return ApiAddress(url=f"https://127.0.0.1:{relay.port}", token_file=address.token_file, ca_file=address.ca_file)


async def test_a_dropped_watch_loses_nothing(here: Namespace, address: ApiAddress, relay: Relay) -> None:
    """What came, changed and went while nobody could watch is known soon after, and no list was needed for it."""
    await run(here, "stays")
    await run(here, "goes")
    async with Follower(NodePods(through(relay, address), "one")).at_work() as agent:
        await eventually(lambda: value(agent.meter, DISCOVERY_UP) == 1 and len(agent.pods) == 2, within=WITHIN)
        await relay.lead_to("127.0.0.1", 1)
        await eventually(lambda: value(agent.meter, DISCOVERY_UP) == 0, within=WITHIN)
        await run(here, "comes")
        await asyncio.to_thread(here.end, "goes")
        await asyncio.to_thread(here.annotate, "stays", port="6390")
        assert set(agent.pods) == {"stays", "goes"}
        await relay.lead_to("127.0.0.1", port_of(here.server))
        await eventually(lambda: set(agent.pods) == {"stays", "comes"}, within=WITHIN)
        assert agent.pods["stays"].annotations["port"] == "6390"
        assert (agent.lists, value(agent.meter, DISCOVERY_UP)) == ((1, 0, 0), 1)


class LateComer(NodePods):
    """Comes back once with a version that the server has forgotten."""

    returned = False

    async def watch(self, version: str, seconds: float) -> AsyncGenerator[PodChange, None]:
        """What changes; the first watch is over when its first change has come."""
        if self.returned:
            async for change in super().watch(version, seconds):
                yield change
            return
        async for change in super().watch(version, seconds):
            if change.pod is not None:
                break
            yield change
        self.returned = True
        async for change in super().watch(FORGOTTEN, seconds):
            yield change


async def test_a_forgotten_version_is_replaced_by_a_list(here: Namespace, address: ApiAddress) -> None:
    """The server says 410; what went meanwhile is known by its absence, and what changes afterwards is followed."""
    await run(here, "stays")
    await run(here, "goes")
    async with Follower(LateComer(address, "one")).at_work() as agent:
        await eventually(lambda: set(agent.pods) == {"stays", "goes"}, within=WITHIN)
        await asyncio.to_thread(here.end, "goes")
        await eventually(lambda: set(agent.pods) == {"stays"}, within=WITHIN)
        assert agent.lists == (1, 1, 0)
        await run(here, "comes")
        await eventually(lambda: set(agent.pods) == {"stays", "comes"}, within=WITHIN)


async def test_the_server_itself_tells_what_it_forgot(address: ApiAddress) -> None:
    """A watch from long ago is refused as such, at once."""
    pods = NodePods(address, "one")
    with pytest.raises(ExpiredError):
        _ = [change async for change in pods.watch(FORGOTTEN, 5)]
    await pods.close()


async def test_bookmarks_move_the_version_on(here: Namespace, address: ApiAddress) -> None:
    """A watch of a node on which nothing happens comes to newer versions all the same."""
    pods = NodePods(address, "one")
    began = (await pods.list("")).version
    seen: list[PodChange] = []
    async with aclosing(pods.watch(began, 4)) as changes:
        async for change in changes:
            if not seen:
                await run(here, "elsewhere", node="two")
            seen.append(change)
            if int(change.version) > int(began):
                break
    await pods.close()
    assert {change.pod for change in seen} == {None}
    assert int(seen[-1].version) > int(began)


async def test_pods_are_listed_for_certainty(here: Namespace, address: ApiAddress) -> None:
    """Now and then, although nothing seems wrong; nothing changes by it."""
    await run(here, "stays")
    async with Follower(NodePods(address, "one"), resync=0.5).at_work() as agent:
        await eventually(lambda: agent.lists[2] >= 1, within=2 * WITHIN)
        assert set(agent.pods) == {"stays"}


def renewed(address: ApiAddress, token: str) -> str:
    """Write another token, as the kubelet does; the one before."""
    file = Path(address.token_file)
    before = file.read_text()
    file.write_text(token)
    return before


async def test_a_renewed_token_is_read(here: Namespace, address: ApiAddress) -> None:
    """A token that the server refuses is named in the error; once the file has another one, pods are followed."""
    good = renewed(address, "spoiled")
    pods = NodePods(address, "one")
    with pytest.raises(AuthError, match="token"):
        await pods.list("0")
    await pods.close()
    async with Follower(NodePods(address, "one")).at_work() as agent:
        assert value(agent.meter, DISCOVERY_UP) == 0
        renewed(address, good)
        await run(here, "first")
        await eventually(lambda: "first" in agent.pods, within=WITHIN)


async def test_a_missing_right_is_named(world: World, tmp_path: Path) -> None:
    """The error says what the role must hold, and of which kind it must be."""
    with namespace(world.kubernetes, rights=()) as bare:
        token = str(bare.token(tmp_path / "token"))
        pods = NodePods(ApiAddress(url=bare.server.url, token_file=token, ca_file=str(bare.server.ca_file)), "one")
        with pytest.raises(PermissionDeniedError, match="list and watch on pods, in a ClusterRole"):
            await pods.list("0")
        await pods.close()
