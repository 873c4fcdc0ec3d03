"""Four targets break at the same moment beside a healthy one, and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import quantiles

import pytest_asyncio

from quaywatch.contract import Reason
from quaywatch.runtime.catalogue import SCRAPE_ERROR, SCRAPE_SUCCESS, SNAPSHOT_AGE, TARGET_UP
from sandbox.parts import redis
from sandbox.parts.postgres import Postgres
from sandbox.parts.redis import Redis
from sandbox.process import Services
from tests.adversity.runtime.relay import Relay
from tests.integration.runtime.agents import (
    QUEUE_TABLE,
    Bench,
    address,
    cache,
    cluster,
    eventually,
    meanwhile,
    superuser,
)
from tests.unit.runtime.fakes import matching, value

EVERY = 2.0
DEADLINE = 2.0
SLACK = 4.0
"""Seconds that a busy machine may take more."""
MENDED_WITHIN = 20.0
"""Seconds in which all is well again: an interval and a deadline, and what a busy machine takes more."""
TENANT = "runtime_faults"
READERS = ("reader_wrong", "reader_denied", "reader_hole")


@dataclass
class Scene:
    """A healthy target and four that will break."""

    bench: Bench
    server: Postgres
    relay: Relay
    services: Services

    def up(self, target: str) -> int | None:
        """The target's state."""
        state: int | None = value(self.bench.everything, TARGET_UP, target=target)
        return state

    def errors(self, target: str, exporter: str, reason: Reason) -> int:
        """Errors so far."""
        count: int = value(self.bench.everything, SCRAPE_ERROR, target=target, exporter=exporter, reason=reason)
        return count

    def readings(self, target: str) -> set[str]:
        """The metrics read from the target itself that are exported now."""
        series = [one for one in self.bench.everything.series() if ("target", target) in one.attributes]
        return {one.metric.name for one in series if not one.metric.name.startswith("quaywatch.")}

    def success(self, target: str, exporter: str) -> set[int]:
        """How the exporter fared last."""
        return {one.value for one in matching(self.bench.everything, SCRAPE_SUCCESS, target=target, exporter=exporter)}  # type: ignore[misc]

    async def sql(self, *statements: str, database: str = "postgres") -> None:
        """Do something as the superuser."""
        async with superuser(self.server, database) as session:
            for statement in statements:
                await session.execute(statement)

    async def break_everything(self) -> None:
        """The network swallows, a password changes, a grant is revoked, a server stops."""
        self.relay.dark = True
        await self.sql(
            "alter role reader_wrong password 'rotated'",
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader_wrong'",
        )
        await self.sql("revoke select on queue_job from reader_denied", database=TENANT)
        await asyncio.to_thread(self.services.stop, redis.NAME)

    async def mend_everything(self) -> None:
        """As it was before."""
        self.relay.dark = False
        await self.sql("alter role reader_wrong password 'quaywatch'")
        await self.sql("grant select on queue_job to reader_denied", database=TENANT)
        await asyncio.to_thread(self.services.resume, redis.NAME)


@pytest_asyncio.fixture
async def scene(server: Postgres, services: Services, relay: Relay) -> AsyncIterator[Scene]:
    """Five targets, all of them up and read."""
    redis.prepare(None)
    cache_server = redis.start(services, None, None)
    scene = Scene(Bench(), server, relay, services)
    await scene.sql(*(f"create role {name} login password 'quaywatch' in role pg_monitor" for name in READERS))
    await scene.sql(f"create database {TENANT}")
    await scene.sql(QUEUE_TABLE, f"grant select on queue_job to quaywatch, {', '.join(READERS)}", database=TENANT)
    try:
        async with watched(scene, cache_server):
            yield scene
    finally:
        relay.dark = False
        await scene.sql(f"drop database {TENANT} with (force)", *(f"drop role {name}" for name in READERS))


@asynccontextmanager
async def watched(scene: Scene, cache_server: Redis) -> AsyncIterator[None]:
    """The five targets, as soon as all of them are up and read."""
    server, relay = scene.server, scene.relay
    bounds = {"connect_within": DEADLINE, "answer_within": DEADLINE}
    ways = {
        "healthy": address(server, **bounds),
        "wrong": address(server, user="reader_wrong", **bounds),
        "denied": address(server, user="reader_denied", **bounds),
        "hole": address(server, user="reader_hole", port=relay.port, **bounds),
    }
    clusters = [cluster(name, way, EVERY, tenants=lambda name: name == TENANT) for name, way in ways.items()]
    async with scene.bench.watching(*clusters, cache("cache", cache_server, EVERY)):
        await eventually(lambda: all(scene.readings(name) for name in (*ways, "cache")), within=60)
        await eventually(lambda: all(scene.up(name) == 1 for name in (*ways, "cache")), within=60)
        yield


async def test_each_fault_is_told_in_time_and_nobody_else_is_held_up(scene: Scene) -> None:
    """Rows 18, 19 and 20: within an interval and the deadline each target is down for the right reason.

    None of its values is left.

    The healthy one is read on time all the while. When all is mended, all are up and read again.
    """
    ages: list[list[float]] = []

    async def look() -> None:
        ages.append([one.value for one in matching(scene.bench.everything, SNAPSHOT_AGE, target="healthy")])  # type: ignore[misc]

    told: dict[str, Callable[[], bool]] = {
        "hole": lambda: (
            scene.up("hole") == 0 and scene.errors("hole", "ping", Reason.TIMEOUT) > 0 and not scene.readings("hole")
        ),
        "wrong": lambda: (
            scene.up("wrong") == 0 and scene.errors("wrong", "ping", Reason.AUTH) > 0 and not scene.readings("wrong")
        ),
        "denied": lambda: (
            scene.success("denied", "odoo_queue") == {0}
            and scene.errors("denied", "odoo_queue", Reason.PERMISSION) > 0
            and not any(name.startswith("odoo.queue") for name in scene.readings("denied"))
        ),
        "cache": lambda: (
            scene.up("cache") == 0 and scene.errors("cache", "ping", Reason.CONNECT) > 0 and not scene.readings("cache")
        ),
    }
    async with meanwhile(look, every=0.05):
        await scene.break_everything()
        await asyncio.gather(*(eventually(so, within=EVERY + DEADLINE + SLACK) for so in told.values()))
        all_told = time.monotonic()
        while time.monotonic() - all_told < EVERY:
            await asyncio.sleep(0.05)
            assert [name for name, so in told.items() if not so()] == []
        assert scene.success("denied", "postgres_locks") == {1}
        assert (scene.up("denied"), scene.up("healthy")) == (1, 1)
        await scene.mend_everything()
        names = ("hole", "wrong", "denied", "cache")
        await eventually(lambda: all(scene.up(name) == 1 for name in names), within=MENDED_WITHIN)
        await eventually(lambda: all(scene.readings(name) for name in names), within=MENDED_WITHIN)
        await eventually(lambda: scene.success("denied", "odoo_queue") == {1}, within=MENDED_WITHIN)
    # Who waits for another's deadline is read late again and again, and who is forgotten has no age at all.
    assert all(ages)
    assert quantiles(map(max, ages), n=10)[-1] < EVERY + DEADLINE / 2
    assert max(map(max, ages)) < 2.5 * EVERY
    assert scene.errors("healthy", "ping", Reason.TIMEOUT) == 0
    assert scene.success("healthy", "odoo_queue") == {1}
