"""The PostgreSQL driver behind PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.errors import ConnectError, DeadlineError, FaultError
from quaywatch.secret import Secret
from sandbox.parts import pgbouncer
from sandbox.parts.postgres import Postgres
from sandbox.process import LOOPBACK, Services

PARTS = ("postgres",)


@pytest.fixture(scope="module")
def pooler_port(services: Services, postgres_server: Postgres) -> int:
    """The port of a PgBouncer that lends two server connections, each for one transaction."""
    return pgbouncer.start(services, postgres_server).port


@pytest_asyncio.fixture
async def pooled(pooler_port: int, postgres_server: Postgres) -> AsyncIterator[PostgresCluster]:
    """The driver under test."""
    cluster = PostgresCluster(_address(pooler_port, postgres_server))
    yield cluster
    await cluster.close()


def _address(port: int, server: Postgres) -> PostgresAddress:
    return PostgresAddress(
        host=LOOPBACK,
        port=port,
        user=server.superuser,
        password=Secret(server.superuser_password),
        database="drivers_tenant",
        pooled=True,
        answer_within=4.0,
    )


async def test_reads_are_bounded_behind_a_pooler(pooled: PostgresCluster) -> None:
    """Each read is a transaction that sets its own limits."""
    names = ("statement_timeout", "lock_timeout", "transaction_read_only")
    rows = await pooled.fetch("select name, setting from pg_settings where name = any($1)", list(names))
    assert {row["name"]: row["setting"] for row in rows} == {
        "statement_timeout": "3600",
        "lock_timeout": "100",
        "transaction_read_only": "on",
    }


async def test_many_readers_share_few_server_connections(pooler_port: int, postgres_server: Postgres) -> None:
    """Statements of several clients take turns on the same backends, and none is mistaken for another's."""
    clusters = [PostgresCluster(_address(pooler_port, postgres_server)) for _ in range(6)]
    reads = [cluster.fetch("select $1::int as n", n) for n, cluster in enumerate(clusters * 5)]
    answers = await asyncio.gather(*reads)
    assert [row["n"] for (row,) in answers] == list(range(30))
    for cluster in clusters:
        await cluster.close()


async def test_an_error_rolls_back_and_the_session_lives_on(pooled: PostgresCluster) -> None:
    """After a refused write and a slow statement the next read works."""
    with pytest.raises(FaultError):
        await pooled.fetch("create table mine (id int)")
    with pytest.raises(DeadlineError):
        await pooled.fetch("select pg_sleep(10)")
    assert await pooled.fetch("select 1 as one") == [{"one": 1}]


async def test_an_unsaid_pooler_is_named(pooler_port: int, postgres_server: Postgres) -> None:
    """Without the option the error tells it."""
    cluster = PostgresCluster(replace(_address(pooler_port, postgres_server), pooled=False))
    with pytest.raises(ConnectError, match="pooled"):
        await cluster.ping()
