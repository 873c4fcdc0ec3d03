"""Real servers that freeze, die and come back under a connected driver."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from quaywatch.contract import Driver
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.drivers.redis import RedisAddress, RedisServer
from quaywatch.errors import ConnectError, DeadlineError, TargetError
from quaywatch.secret import Secret
from sandbox.parts import postgres, redis
from sandbox.process import Services, until

WITHIN = 2.0
SLACK = 3.0


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Where the servers of these tests run; all are ended after them."""
    state = Services(tmp_path_factory.mktemp("frozen"))
    yield state
    state.stop_all()


@pytest.fixture(params=[postgres.PRIMARY, redis.NAME])
def watched(request: pytest.FixtureRequest, services: Services) -> tuple[str, Driver]:
    """The name of a running server, and a driver of it."""
    name: str = request.param
    if name == redis.NAME:
        redis.prepare(None)
        cache = redis.start(services, None, None)
        return name, RedisServer(
            RedisAddress(
                host=cache.host,
                port=cache.port,
                password=Secret(cache.password),
                connect_within=WITHIN,
                answer_within=WITHIN,
            )
        )
    postgres.prepare(None)
    server = postgres.start(services, None, None)
    return name, PostgresCluster(
        PostgresAddress(
            host=server.host,
            port=server.port,
            password=Secret(server.password),
            connect_within=WITHIN,
            answer_within=WITHIN,
        )
    )


@contextmanager
def frozen(services: Services, name: str) -> Iterator[None]:
    """The server and all its children stand still for the block."""
    services.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        services.kill(name, signal.SIGCONT)


async def recovered(driver: Driver, within: float = 60.0) -> bool:
    """Whether the driver gets an answer in time, trying again while it does not."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            await driver.ping()
        except TargetError:
            await asyncio.sleep(0.05)
        else:
            return True
    return False


async def test_a_frozen_server_costs_the_deadline_and_is_found_again(
    watched: tuple[str, Driver], services: Services
) -> None:
    """Row 17: all callers fail in time while a connected server stands still; when it moves again, the driver works."""
    name, driver = watched
    await driver.ping()
    started = time.monotonic()
    with frozen(services, name):
        outcomes = await asyncio.gather(*(driver.ping() for _ in range(10)), return_exceptions=True)
        assert time.monotonic() - started < WITHIN + SLACK
    assert {type(outcome) for outcome in outcomes} == {DeadlineError}
    assert await recovered(driver)
    await driver.close()


async def test_a_server_that_is_killed_is_a_connect_error_and_is_found_again(
    watched: tuple[str, Driver], services: Services
) -> None:
    """While nobody listens each call says so at once; when the server is back the driver finds it."""
    name, driver = watched
    await driver.ping()
    services.kill(name, signal.SIGKILL)
    for _ in range(3):
        with pytest.raises(ConnectError):
            await driver.ping()
    assert until(lambda: not services.alive(name), within=60)
    services.resume(name)
    assert await recovered(driver)
    await driver.close()


async def test_closing_does_not_wait_for_a_frozen_server(watched: tuple[str, Driver], services: Services) -> None:
    """The agent can stop while a server stands still."""
    name, driver = watched
    await driver.ping()
    with frozen(services, name):
        started = time.monotonic()
        await driver.close()
        assert time.monotonic() - started < WITHIN
    with pytest.raises(ConnectError, match="closed"):
        await driver.ping()


async def test_a_cancelled_read_leaves_a_driver_that_works(services: Services) -> None:
    """A caller that is cancelled in a statement takes its connection along, and the next one gets another."""
    server = postgres.start(services, None, None)
    cluster = PostgresCluster(
        PostgresAddress(host=server.host, port=server.port, password=Secret(server.password), answer_within=30.0)
    )
    (before,) = await cluster.fetch("select pg_backend_pid() as pid")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cluster.fetch("select pg_sleep(20)"), 0.3)
    (after,) = await cluster.fetch("select pg_backend_pid() as pid")
    assert after["pid"] != before["pid"]
    await cluster.close()
