"""Real servers for the drivers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.drivers.redis import RedisAddress, RedisServer
from quaywatch.secret import Secret
from sandbox.parts import postgres, redis
from sandbox.process import Services
from sandbox.world import World


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Where a module runs servers of its own; all are ended after it."""
    state = Services(tmp_path_factory.mktemp("drivers"))
    yield state
    state.stop_all()


@pytest.fixture(scope="module")
def postgres_server(world: World) -> Iterator[postgres.Postgres]:
    """A PostgreSQL with a tenant that anybody may enter, one that is shut, and one that is closed to us."""
    server = world.postgres
    names = ("drivers_tenant", "drivers_shut", "drivers_private")
    for statement in (
        *(f"drop database if exists {name} with (force)" for name in names),
        "create database drivers_tenant",
        "create database drivers_shut allow_connections false",
        "create database drivers_private",
        "revoke connect on database drivers_private from public",
    ):
        postgres.sql(server, statement)
    table = "create table ledger (id int); insert into ledger values (1); grant all on ledger to odoo"
    postgres.sql(server, table, "drivers_tenant")
    yield server
    for name in names:
        postgres.sql(server, f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def postgres_log(world: World) -> Callable[[], str]:
    """Gives what the server wrote so far."""
    return world.services.log(postgres.PRIMARY).read_text


@pytest.fixture
def postgres_address(postgres_server: postgres.Postgres) -> PostgresAddress:
    """How to log in as the watching role."""
    return PostgresAddress(
        host=postgres_server.host,
        port=postgres_server.port,
        user=postgres_server.user,
        password=Secret(postgres_server.password),
    )


@pytest_asyncio.fixture
async def cluster(postgres_address: PostgresAddress) -> AsyncIterator[PostgresCluster]:
    """The driver under test."""
    driver = PostgresCluster(postgres_address)
    yield driver
    await driver.close()


@pytest.fixture(scope="module")
def redis_server(world: World) -> redis.Redis:
    """A Redis with a password."""
    return world.redis


@pytest.fixture
def redis_address(redis_server: redis.Redis) -> RedisAddress:
    """How to log in as the default user."""
    return RedisAddress(host=redis_server.host, port=redis_server.port, password=Secret(redis_server.password))


@pytest_asyncio.fixture
async def cache(redis_address: RedisAddress) -> AsyncIterator[RedisServer]:
    """The driver under test."""
    driver = RedisServer(redis_address)
    yield driver
    await driver.close()
