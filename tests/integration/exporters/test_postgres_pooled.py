"""Behind PgBouncer in transaction mode: everything is read, with no more rights, and nothing is left in the pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest

from exporters import EXPORTERS, postgres_heartbeat
from quaywatch.contract import Exporter, Per, TargetKind
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.errors import DeadlineError, FaultError
from quaywatch.secret import Secret
from sandbox.parts import pgbouncer
from sandbox.parts.postgres import Postgres, sql
from sandbox.process import Services, until
from sandbox.world import World

PARTS = ("odoo14", "odoo19")
_DATABASES = ("odoo14", "odoo19")
_SQL = [one for one in EXPORTERS if one.reads is TargetKind.POSTGRES and one.name.startswith(("postgres_", "odoo_"))]
_OPTIONS = {"postgres_heartbeat": postgres_heartbeat.Options(table="pooled_heartbeat")}
_BEAT = """
drop table if exists pooled_heartbeat;
create table pooled_heartbeat (ts timestamptz);
insert into pooled_heartbeat values (now());
grant select (ts) on pooled_heartbeat to quaywatch;
"""
_OURS = "select name, setting from pg_settings where name = any($1) order by name"
_LIMITS = [
    "application_name",
    "default_transaction_read_only",
    "jit",
    "jit_above_cost",
    "lock_timeout",
    "statement_timeout",
    "transaction_read_only",
]
_SLEEPING = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and application_name = 'quaywatch'"

_TRIES = 4
"""Sessions and locks come and go."""

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]
Families = set[tuple[str, str]]


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[Postgres]:
    """The server of both Odoos, asked directly."""
    sql(world.postgres, _BEAT)
    yield world.postgres
    sql(world.postgres, "drop table pooled_heartbeat")


@pytest.fixture(scope="module")
def pooler(services: Services, server: Postgres) -> Postgres:
    """The same server through a pool of one session for each role and database."""
    return pgbouncer.start(services, server, pool_size=1)


def _cluster(server: Postgres, *, pooled: bool, within: float = 5.0) -> PostgresCluster:
    address = PostgresAddress(
        host=server.host,
        port=server.port,
        user=server.user,
        password=Secret(server.password),
        pooled=pooled,
        answer_within=within,
    )
    return PostgresCluster(address)


@pytest.fixture
async def direct(server: Postgres) -> AsyncIterator[PostgresCluster]:
    """The driver as it is usually set."""
    cluster = _cluster(server, pooled=False)
    yield cluster
    await cluster.close()


@pytest.fixture
async def pooled(pooler: Postgres) -> AsyncIterator[PostgresCluster]:
    """The driver behind the pooler, with the same role: it may watch, and read the columns that were granted."""
    cluster = _cluster(pooler, pooled=True)
    yield cluster
    await cluster.close()


async def _families(exporter: Exporter[Any, Any, Any], cluster: PostgresCluster, read: Read) -> Families:
    """The metrics of an exporter's second reading, by database."""
    await cluster.ping()
    options, state = _OPTIONS.get(exporter.name, exporter.options()), exporter.state()
    if exporter.per is Per.TARGET:
        await read(exporter, cluster, options, state)
        return {("", key[0]) for key in await read(exporter, cluster, options, state)}
    found: Families = set()
    for database in _DATABASES:
        async with cluster.visit(database) as visit:
            state = exporter.state()
            await read(exporter, visit, options, state)
            found |= {(database, key[0]) for key in await read(exporter, visit, options, state)}
    return found


@asynccontextmanager
async def _another_client(server: Postgres, database: str = "postgres") -> AsyncIterator[asyncpg.Connection]:
    """Of the same role in the same database, and so of the same pool where there is one."""
    client = await asyncpg.connect(server.dsn(database), statement_cache_size=0)
    try:
        yield client
    finally:
        await client.close()


async def _settings(server: Postgres, database: str) -> dict[str, str]:
    async with _another_client(server, database) as client:
        return {row["name"]: row["setting"] for row in await client.fetch(_OURS, _LIMITS)}


async def _differences(
    exporter: Exporter[Any, Any, Any], direct: PostgresCluster, pooled: PostgresCluster, read: Read
) -> tuple[Families, Families]:
    """What is not there through the pooler though it was before and after; and what is only there."""
    before, through, after = [await _families(exporter, one, read) for one in (direct, pooled, direct)]
    return (before & after) - through, through - (before | after)


@pytest.mark.parametrize("exporter", _SQL, ids=lambda exporter: exporter.name)
async def test_the_same_is_read_through_a_pooler(
    exporter: Exporter[Any, Any, Any],
    direct: PostgresCluster,
    pooled: PostgresCluster,
    pooler: Postgres,
    server: Postgres,
    read: Read,
) -> None:
    """What is there before and after is there through the pooler, and nothing else, but for what comes and goes.

    And the session that we had is as it was before.
    """
    lacking, beyond = await _differences(exporter, direct, pooled, read)
    for _ in range(_TRIES):
        if lacking or beyond:
            lacking, beyond = await _differences(exporter, direct, pooled, read)
    assert (lacking, beyond) == (set(), set())
    for database in _DATABASES if exporter.per is Per.DATABASE else ("postgres",):
        assert await _settings(pooler, database) == await _settings(server, database)


async def _good(pooled: PostgresCluster, _server: Postgres) -> None:
    await pooled.fetch("select 1")


async def _refused(pooled: PostgresCluster, _server: Postgres) -> None:
    with pytest.raises(FaultError):
        await pooled.fetch("create table mine (id int)")


async def _slow(pooled: PostgresCluster, _server: Postgres) -> None:
    with pytest.raises(DeadlineError):
        await pooled.fetch("select pg_sleep(10)")


async def _left(pooled: PostgresCluster, server: Postgres) -> None:
    task = asyncio.create_task(pooled.fetch("select pg_sleep(60)"))
    assert await asyncio.to_thread(until, lambda: bool(sql(server, _SLEEPING)), within=20)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("visit", "within"), [(_good, 5.0), (_refused, 5.0), (_slow, 3.0), (_left, 30.0)])
async def test_the_next_client_of_the_pool_finds_it_as_it_was(
    visit: Callable[[PostgresCluster, Postgres], Awaitable[None]], within: float, pooler: Postgres, server: Postgres
) -> None:
    """Neither name, limits nor read-only stay with the session we had; and the next one may write.

    Whether a read went well, was refused, slow, or left by the one who asked.
    """
    pooled = _cluster(pooler, pooled=True, within=within)
    process = (await pooled.fetch("select pg_backend_pid() as pid"))[0]["pid"]
    await visit(pooled, server)
    await pooled.close()
    async with _another_client(pooler) as client:
        if visit is not _left:  # whose session PgBouncer ends, in the middle of its transaction
            assert await client.fetchval("select pg_backend_pid()") == process
    assert await _settings(pooler, "postgres") == await _settings(server, "postgres")
    async with _another_client(pooler) as client:
        await client.execute("create temporary table written (id int) on commit drop")


async def test_our_reads_bear_our_name(pooled: PostgresCluster) -> None:
    """While we read the session is called quaywatch, so that exporters leave it out."""
    assert await pooled.fetch("select current_setting('application_name') as name") == [{"name": "quaywatch"}]
