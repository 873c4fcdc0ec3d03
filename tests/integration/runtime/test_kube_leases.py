"""Agents that contend for a Lease object over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from quaywatch.drivers.kubernetes import KubernetesLease, LeaseAddress
from quaywatch.runtime.catalogue import LEASE_UNREACHABLE
from quaywatch.runtime.clock import SystemClock
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.kube_leases import KubernetesLeases
from tests.integration.runtime.agents import eventually
from tests.integration.runtime.lease_api import LeaseApi
from tests.unit.runtime.fakes import value

TTL = 3.0


class Contender:
    """One agent's leases, and its numbers."""

    def __init__(self, name: str, api: LeaseApi, token: Path) -> None:
        clock = SystemClock()
        self.meter = Instruments("test", clock)
        address = LeaseAddress(name="quaywatch", namespace="monitoring", url=api.url, token_file=str(token))
        self.leases = KubernetesLeases(KubernetesLease(address), identity=name, ttl=TTL, meter=self.meter, clock=clock)
        self.leases.want(["db"])
        self.leases.start(lambda: None)

    @property
    def acts(self) -> bool:
        """Whether it acts."""
        return self.leases.held("db")


@pytest_asyncio.fixture
async def api() -> AsyncIterator[LeaseApi]:
    """A server without objects."""
    api = LeaseApi()
    async with api.serving():
        yield api


async def test_the_lease_passes_from_hand_to_hand(api: LeaseApi, tmp_path: Path) -> None:
    """One acts; while the API is silent the same one goes on; when it stops, the other follows with its next beat."""
    token = tmp_path / "token"
    token.write_text(api.token)
    agents = [Contender(name, api, token) for name in ("anna", "bert")]
    try:
        await eventually(lambda: [agent.acts for agent in agents].count(True) == 1 and api.objects, within=5)
        holder, other = sorted(agents, key=lambda agent: not agent.acts)
        assert await holder.leases.confirm("db")
        api.answers.clear()
        await eventually(lambda: [value(one.meter, LEASE_UNREACHABLE) for one in agents] == [1, 1], within=5)
        assert (holder.acts, other.acts) == (True, False)
        api.answers.set()
        await eventually(lambda: [value(one.meter, LEASE_UNREACHABLE) for one in agents] == [0, 0], within=5)
        await holder.leases.close()
        await eventually(lambda: other.acts, within=3)
        assert api.spec()["leaseTransitions"] >= 1
    finally:
        for agent in agents:
            await agent.leases.close()
