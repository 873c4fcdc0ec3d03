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


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Where the servers of these tests run; all are ended after them."""
    state = Services(tmp_path_factory.mktemp("drivers"))
    yield state
    state.stop_all()


@pytest.fixture(scope="session")
def postgres_server(services: Services) -> postgres.Postgres:
    """A PostgreSQL with an extra database that anybody may enter, one that is shut, and one that is closed to us."""
    postgres.prepare(None)
    server = postgres.start(services, None, None)
    for statement in (
        "create database acme",
        "create database shut allow_connections false",
        "create database private",
        "revoke connect on database private from public",
    ):
        postgres.sql(server, statement)
    postgres.sql(server, "create table ledger (id int); insert into ledger values (1)", "acme")
    return server


@pytest.fixture(scope="session")
def postgres_log(services: Services) -> Callable[[], str]:
    """Gives what the server wrote so far."""
    return services.log(postgres.PRIMARY).read_text


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


@pytest.fixture(scope="session")
def redis_server(services: Services) -> redis.Redis:
    """A Redis with a password."""
    redis.prepare(None)
    return redis.start(services, None, None)


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
