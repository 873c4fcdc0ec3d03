"""How the tests run agents on real servers, and look at what these see of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from opentelemetry.trace import NoOpTracer

from exporters.odoo_queue import EXPORTER as QUEUE
from exporters.postgres_locks import EXPORTER as LOCKS
from exporters.redis_memory import EXPORTER as MEMORY
from quaywatch.clock import SystemClock
from quaywatch.contract import Exporter, ExporterTask, Target, TargetKind, Watched
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster, PostgresSession
from quaywatch.drivers.redis import RedisAddress, RedisServer
from quaywatch.runtime.agent import Agent
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.leases import AlwaysHeld, Leases, PostgresLeases
from quaywatch.runtime.readings import Store
from quaywatch.runtime.view import Everything
from quaywatch.secret import Secret
from sandbox.parts.postgres import Postgres
from sandbox.parts.redis import Redis

QUEUE_TABLE = """
create table queue_job (
    id serial primary key, channel text, state text, eta timestamp, date_created timestamp,
    date_enqueued timestamp, date_started timestamp, retry integer
);
insert into queue_job (channel, state, date_created) values ('root', 'pending', now() at time zone 'utc');
"""
"""As much of OCA's queue as its exporter reads, with one job in it."""


class Bench:
    """An agent in this process, and everything it says."""

    def __init__(self, lease: Callable[[Bench], Leases] = lambda _: AlwaysHeld()) -> None:
        self.clock = SystemClock()
        self.meter = Instruments("test", self.clock)
        store = Store("test", self.clock)
        self.everything = Everything(store, self.meter)
        self.leases = lease(self)
        self.agent = Agent(
            installation="runtime-tests",
            store=store,
            instruments=self.meter,
            leases=self.leases,
            tracer=NoOpTracer(),
            clock=self.clock,
        )

    @asynccontextmanager
    async def watching(self, *watched: Watched) -> AsyncIterator[None]:
        """The agent at work, stopped at the end."""
        await self.agent.start(watched)
        try:
            yield
        finally:
            await self.agent.stop()


def leased(address: PostgresAddress, ttl: float, *, fail_open: bool = True) -> Callable[[Bench], Leases]:
    """Leases kept by a server."""

    def make(bench: Bench) -> Leases:
        return PostgresLeases(
            lambda: PostgresSession(address),
            installation="runtime-tests",
            ttl=ttl,
            meter=bench.meter,
            clock=bench.clock,
            fail_open=fail_open,
        )

    return make


def address(server: Postgres, **changed: Any) -> PostgresAddress:
    """How to log in as the watching role, or another."""
    login = {"host": server.host, "port": server.port, "user": server.user, "password": Secret(server.password)}
    return PostgresAddress(**{**login, **changed})


def task(exporter: Exporter[Any, Any, Any], every: float, deadline: float = 2.0) -> ExporterTask:
    """An exporter with its default options."""
    return ExporterTask(exporter, exporter.options(), every, deadline)


def cluster(name: str, where: PostgresAddress, every: float, deadline: float = 2.0, **more: Any) -> Watched:
    """A PostgreSQL target: its locks, and the job queues of its tenants."""
    tasks = (task(LOCKS, every, deadline), task(QUEUE, every, deadline))
    return Watched(Target(name, TargetKind.POSTGRES), lambda: PostgresCluster(where), tasks, fingerprint=name, **more)


def cache(name: str, server: Redis, every: float) -> Watched:
    """A Redis target."""
    where = RedisAddress(host=server.host, port=server.port, password=Secret(server.password))
    opened = lambda: RedisServer(where)  # noqa: E731 - a driver is made on demand
    return Watched(Target(name, TargetKind.REDIS), opened, (task(MEMORY, every),), fingerprint=name)


@asynccontextmanager
async def superuser(server: Postgres, database: str = "postgres") -> AsyncIterator[Any]:
    """A session that may do everything."""
    connection = await asyncpg.connect(server.superuser_dsn(database))
    try:
        yield connection
    finally:
        await connection.close()


async def eventually(condition: Callable[[], Any], *, within: float, every: float = 0.05) -> float:
    """Wait until something is so; the seconds it took.

    Raises:
        AssertionError: when it is not so in time.
    """
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"not so within {within} s"
        await asyncio.sleep(every)
    return time.monotonic() - began


@asynccontextmanager
async def meanwhile(look: Callable[[], Awaitable[None]], every: float) -> AsyncIterator[None]:
    """Look again and again while the block runs."""

    async def watch() -> None:
        while True:
            await look()
            await asyncio.sleep(every)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
