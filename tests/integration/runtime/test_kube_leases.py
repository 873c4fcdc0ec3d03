"""Agents that contend for a Lease object at a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quaywatch.drivers.kubernetes import KubernetesLease, LeaseAddress
from quaywatch.runtime.catalogue import LEASE_UNREACHABLE
from quaywatch.runtime.clock import SystemClock
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.kube_leases import KubernetesLeases
from sandbox.world import World
from tests.adversity.runtime.relay import Relay
from tests.integration.runtime.agents import eventually
from tests.integration.runtime.cluster import Namespace, namespace, relay_to
from tests.unit.runtime.fakes import value

PARTS = ("kubernetes",)
TTL = 3.0


class Contender:
    """One agent's leases, and its numbers."""

    def __init__(self, name: str, here: Namespace, relay: Relay, token: Path) -> None:
        clock = SystemClock()
        self.meter = Instruments("test", clock)
        address = LeaseAddress(
            name="quaywatch",
            namespace=here.name,
            url=f"https://127.0.0.1:{relay.port}",
            token_file=str(token),
            ca_file=str(here.server.ca_file),
        )
        self.leases = KubernetesLeases(KubernetesLease(address), identity=name, ttl=TTL, meter=self.meter, clock=clock)
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
            await eventually(lambda: [agent.acts for agent in agents].count(True) == 1, within=5)
            holder, other = sorted(agents, key=lambda agent: not agent.acts)
            assert await holder.leases.confirm("db")
            relay.dark = True
            await eventually(lambda: [value(one.meter, LEASE_UNREACHABLE) for one in agents] == [1, 1], within=5)
            assert (holder.acts, other.acts) == (True, False)
            relay.dark = False
            await eventually(lambda: [value(one.meter, LEASE_UNREACHABLE) for one in agents] == [0, 0], within=5)
            await holder.leases.close()
            await eventually(lambda: other.acts, within=3)
            assert here.lease("quaywatch")["spec"]["leaseTransitions"] >= 1
        finally:
            for agent in agents:
                await agent.leases.close()
