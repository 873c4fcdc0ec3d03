"""Agents that contend for a Lease object at a real API server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from quaywatch.clock import SystemClock
from quaywatch.drivers.kubernetes import KubernetesLease, KubernetesMembers, LeaseAddress
from quaywatch.runtime.catalogue import LEASE_UNREACHABLE
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.leases import KubernetesLeases, KubernetesShards
from sandbox.world import World
from tests.adversity.runtime.relay import Relay
from tests.integration.runtime.agents import eventually
from tests.integration.runtime.cluster import Namespace, namespace, port_of, relay_to
from tests.unit.runtime.fakes import value

PARTS = ("kubernetes",)
pytestmark = pytest.mark.timeout(900)
"""The API server is compiled the first time."""
TTL = 3.0
WITHIN = 20.0
"""Seconds that a few beats may take on a busy machine."""
TARGETS = [f"db-{number}" for number in range(20)]
EVERY = 6.0
"""Seconds from reading to reading of a target, as somebody would choose them who chose `TTL`."""


def address(here: Namespace, token: Path, port: int) -> LeaseAddress:
    """Where the objects are, on the way through a port."""
    return LeaseAddress(
        name="quaywatch",
        namespace=here.name,
        url=f"https://127.0.0.1:{port}",
        token_file=str(token),
        ca_file=str(here.server.ca_file),
    )


class Contender:
    """One agent's leases, and its numbers."""

    def __init__(self, name: str, here: Namespace, relay: Relay, token: Path) -> None:
        clock = SystemClock()
        self.name = name
        self.meter = Instruments("test", clock)
        lease = KubernetesLease(address(here, token, relay.port))
        self.leases = KubernetesLeases(lease, identity=name, ttl=TTL, meter=self.meter, clock=clock)
        self.leases.want(["db"])
        self.leases.start(lambda: None)

    @property
    def acts(self) -> bool:
        """Whether it acts."""
        return self.leases.held("db")


@pytest.fixture
def here(world: World) -> Iterator[Namespace]:
    """A namespace."""
    with namespace(world.kubernetes) as made:
        yield made


async def test_the_lease_passes_from_hand_to_hand(here: Namespace, tmp_path: Path) -> None:
    """One acts; while the API is silent the same one goes on; when it stops, the other follows with its next beat."""
    token = here.token(tmp_path / "token")
    async with relay_to(here.server) as relay:
        agents = [Contender(name, here, relay, token) for name in ("anna", "bert")]
        try:
            await eventually(lambda: [agent.acts for agent in agents].count(True) == 1, within=WITHIN)
            holder, other = sorted(agents, key=lambda agent: not agent.acts)
            assert await holder.leases.confirm("db")
            relay.dark = True
            await eventually(lambda: [value(one.meter, LEASE_UNREACHABLE) for one in agents] == [1, 1], within=WITHIN)
            assert (holder.acts, other.acts) == (True, False)
            relay.dark = False
            await eventually(lambda: [value(one.meter, LEASE_UNREACHABLE) for one in agents] == [0, 0], within=WITHIN)
            await holder.leases.close()
            assert here.lease("quaywatch")["spec"].get("holderIdentity") != holder.name
            await eventually(lambda: other.acts, within=WITHIN)
            assert here.lease("quaywatch")["spec"]["leaseTransitions"] >= 1
        finally:
            for agent in agents:
                await agent.leases.close()


class Member:
    """One agent of several that share targets; one behind a relay leaves them without the API server."""

    def __init__(self, name: str, here: Namespace, token: Path, relay: Relay | None = None) -> None:
        clock = SystemClock()
        store = KubernetesMembers(address(here, token, relay.port if relay else port_of(here.server)), name)
        meter, stays = Instruments("test", clock), relay is None
        self.shards = KubernetesShards(store, identity=name, ttl=TTL, meter=meter, clock=clock, fail_open=stays)
        self.shards.want(TARGETS)
        self.shards.start(lambda: None)

    @property
    def share(self) -> list[str]:
        """What it acts on."""
        return [name for name in TARGETS if self.shards.held(name)]


def shared_out(members: list[Member]) -> bool:
    """Whether each has something, and every target one of them; never has one two."""
    shares = [member.share for member in members]
    assert none_twice(shares)
    return all(shares) and sum(map(len, shares)) == len(TARGETS)


def none_twice(shares: list[list[str]]) -> bool:
    """Whether no target is in two shares."""
    return max(Counter(name for share in shares for name in share).values(), default=0) <= 1


async def test_targets_are_shared_out_by_objects_of_their_own(here: Namespace, tmp_path: Path) -> None:
    """Each agent has an object; none acts on another's target, one that stops leaves it to the other, and no object."""
    token = here.token(tmp_path / "token")
    members = [Member(name, here, token) for name in ("anna", "bert")]
    try:
        await eventually(lambda: shared_out(members), within=WITHIN)
        assert {one["metadata"]["name"] for one in here.leases()} == {"quaywatch-anna", "quaywatch-bert"}
        here.label_lease("quaywatch-bert")
        await members.pop(0).shards.close()
        await eventually(lambda: shared_out(members), within=WITHIN)
        (left,) = here.leases()
        assert (left["metadata"]["name"], left["metadata"]["labels"]["team"]) == ("quaywatch-bert", "logistics")
    finally:
        for member in members:
            await member.shards.close()
    assert here.leases() == []


async def test_a_killed_members_targets_are_resumed_within_two_intervals(here: Namespace, tmp_path: Path) -> None:
    """From one moment to the next it is silent. The others take what it had, and keep theirs; none is ever with two.

    The silent one goes on for as long as it may, as one does whose network died alone.
    """
    token = here.token(tmp_path / "token")
    async with relay_to(here.server) as relay:
        killed = Member("anna", here, token, relay)
        others = [Member(name, here, token) for name in ("bert", "cleo")]
        everybody = [killed, *others]
        try:
            await eventually(lambda: shared_out(everybody), within=WITHIN)
            before = [set(member.share) for member in others]
            relay.dark = True

            def resumed() -> bool:
                assert none_twice([member.share for member in everybody])
                assert all(had <= set(member.share) for had, member in zip(before, others, strict=True))
                return shared_out(others)

            await eventually(resumed, within=2 * EVERY)
        finally:
            for member in everybody:
                await member.shards.close()
