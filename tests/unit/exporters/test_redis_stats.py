"""The work of a Redis: INFO in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from exporters.redis_stats import EXPORTER
from quaywatch.contract import Redis, Value
from quaywatch.errors import PermissionDeniedError, VersionError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Redis]

_LIMIT = ("CONFIG", "GET", "maxclients")


async def test_counts_are_as_the_server_has_them(redis: Make, read: Read) -> None:
    """Row 26: hits and misses stay counts; a ratio is made where they are read."""
    info = {"keyspace_hits": "7", "keyspace_misses": "3", "rejected_connections": "0", "maxclients": "100"}
    assert await read(EXPORTER, redis(info)) == {
        ("redis.keyspace.hits",): 7,
        ("redis.keyspace.misses",): 3,
        ("redis.connections.rejected",): 0,
        ("redis.clients.max",): 100,
    }


async def test_an_old_server_tells_its_limit_in_its_configuration(redis: Make, read: Read) -> None:
    """Row 26: clients against their limit on Redis 6 too."""
    server = redis({"connected_clients": "3"}, {_LIMIT: ["maxclients", "4064"]})
    assert await read(EXPORTER, server) == {("redis.clients.connected",): 3, ("redis.clients.max",): 4064}


@pytest.mark.parametrize("refusal", [PermissionDeniedError("no"), VersionError("renamed")])
async def test_a_refusal_is_an_absence_and_is_not_provoked_again(refusal: Exception, redis: Make, read: Read) -> None:
    """The right to INFO is enough for the rest, and the log of refusals is not filled."""
    memory, info = EXPORTER.state(), {"connected_clients": "3"}
    assert await read(EXPORTER, redis(info, {_LIMIT: refusal}), None, memory) == {("redis.clients.connected",): 3}
    assert await read(EXPORTER, redis(info, {}), None, memory) == {("redis.clients.connected",): 3}


async def test_processor_time_is_by_its_state(redis: Make, read: Read) -> None:
    """The names are those that the server has itself."""
    info = {"used_cpu_sys": "1.5", "used_cpu_user_main_thread": "2.25", "maxclients": "9"}
    assert await read(EXPORTER, redis(info)) == {
        ("redis.cpu.time", "sys"): 1.5,
        ("redis.cpu.time", "user_main_thread"): 2.25,
        ("redis.clients.max",): 9,
    }


async def test_what_an_old_server_does_not_report_is_absent(redis: Make, read: Read) -> None:
    """No zeros are made up."""
    assert await read(EXPORTER, redis({})) == {}
