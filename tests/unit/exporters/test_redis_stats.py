"""The work of a Redis: INFO in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from exporters.redis_stats import EXPORTER
from quaywatch.contract import Redis, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[[Mapping[str, str]], Redis]


async def test_counts_are_as_the_server_has_them(redis: Make, read: Read) -> None:
    """Row 26: hits and misses stay counts; a ratio is made where they are read."""
    info = {"keyspace_hits": "7", "keyspace_misses": "3", "rejected_connections": "0", "maxclients": "100"}
    assert await read(EXPORTER, redis(info)) == {
        ("redis.keyspace.hits",): 7,
        ("redis.keyspace.misses",): 3,
        ("redis.connections.rejected",): 0,
        ("redis.clients.max",): 100,
    }


async def test_processor_time_is_by_its_state(redis: Make, read: Read) -> None:
    """The names are those that the server has itself."""
    info = {"used_cpu_sys": "1.5", "used_cpu_user_main_thread": "2.25"}
    assert await read(EXPORTER, redis(info)) == {
        ("redis.cpu.time", "sys"): 1.5,
        ("redis.cpu.time", "user_main_thread"): 2.25,
    }


async def test_what_an_old_server_does_not_report_is_absent(redis: Make, read: Read) -> None:
    """No zeros are made up."""
    assert await read(EXPORTER, redis({})) == {}
