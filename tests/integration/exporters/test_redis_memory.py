"""The memory of a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from exporters.redis_memory import EXPORTER
from quaywatch.drivers.redis import RedisAddress, RedisServer
from quaywatch.secret import Secret
from sandbox.parts import redis
from sandbox.process import Services

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]


@pytest.fixture(scope="module")
def server(services: Services) -> redis.Redis:
    """A fresh Redis with a limit."""
    return redis.start(services, None, None)


@pytest.fixture
async def driver(server: redis.Redis) -> AsyncIterator[RedisServer]:
    """Logged in."""
    opened = RedisServer(RedisAddress(host=server.host, port=server.port, password=Secret(server.password)))
    yield opened
    await opened.close()


async def test_everything_is_there(driver: RedisServer, read: Read) -> None:
    """Row 26: a Redis of today reports every metric that is declared."""
    found = await read(EXPORTER, driver)
    assert {key[0] for key in found} == {metric.name for metric in EXPORTER.metrics}
    assert found["redis.memory.policy", "volatile-lru"] == 1
    assert found["redis.maxmemory",] == redis.MAXMEMORY
    assert 0 < found["redis.memory.utilization",] < 0.5


async def test_without_a_limit_utilization_ends(server: redis.Redis, driver: RedisServer, read: Read) -> None:
    """There is nothing to be a share of."""
    redis.command(server, "CONFIG", "SET", "maxmemory", "0")
    try:
        found = await read(EXPORTER, driver)
    finally:
        redis.command(server, "CONFIG", "SET", "maxmemory", str(redis.MAXMEMORY))
    assert found["redis.maxmemory",] == 0
    assert ("redis.memory.utilization",) not in found


async def test_evictions_count_and_reset_statistics_start_anew(
    server: redis.Redis, driver: RedisServer, read: Read
) -> None:
    """Row 23: at the limit keys go; after CONFIG RESETSTAT the count is smaller while the uptime runs on."""
    for number in range(50):
        redis.command(server, "SET", f"session:{number}", "x" * 1_000_000, "EX", "3600")
    full = await read(EXPORTER, driver)
    assert full["redis.memory.utilization",] > 0.9
    assert full["redis.keys.evicted",] > 10
    redis.command(server, "CONFIG", "RESETSTAT")
    reset = await read(EXPORTER, driver)
    assert reset["redis.keys.evicted",] == 0
    assert reset["redis.uptime",] >= full["redis.uptime",]
