"""What a Redis would lose: INFO in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest

from exporters.redis_persistence import EXPORTER
from quaywatch.contract import Redis, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[[Mapping[str, str]], Redis]


async def test_what_never_happened_is_absent(redis: Make, read: Read) -> None:
    """Redis says -1 for a snapshot that never was and 0 for a fork: neither is a duration."""
    info = {"rdb_last_bgsave_time_sec": "-1", "aof_last_rewrite_time_sec": "-1", "latest_fork_usec": "0"}
    assert await read(EXPORTER, redis(info)) == {}


async def test_durations_are_seconds(redis: Make, read: Read) -> None:
    """The fork's too, which Redis gives in microseconds."""
    found = await read(EXPORTER, redis({"rdb_last_bgsave_time_sec": "4", "latest_fork_usec": "250000"}))
    assert found == {("redis.rdb.last_save.duration",): 4, ("redis.fork.duration",): pytest.approx(0.25)}


async def test_the_age_is_by_the_servers_own_clock(redis: Make, read: Read) -> None:
    """The agent's clock does not matter where the server tells its own."""
    info = {"rdb_last_save_time": "1000", "server_time_usec": "1060500000"}
    found = await read(EXPORTER, redis(info), state=lambda: 5.0)
    assert found == {("redis.rdb.last_save.age",): pytest.approx(60.5)}


@pytest.mark.parametrize(("now", "age"), [(1010.0, 10.0), (990.0, 0.0)])
async def test_an_old_servers_age_is_by_the_agents_clock(redis: Make, read: Read, now: float, age: float) -> None:
    """Redis 6.0 does not tell the time; a clock that is behind makes no age below 0."""
    found = await read(EXPORTER, redis({"rdb_last_save_time": "1000"}), state=lambda: now)
    assert found == {("redis.rdb.last_save.age",): age}


@pytest.mark.parametrize(("status", "ok"), [("ok", 1), ("err", 0)])
async def test_a_failed_snapshot_is_0(redis: Make, read: Read, status: str, ok: int) -> None:
    """Whatever word stands for the failure."""
    assert await read(EXPORTER, redis({"rdb_last_bgsave_status": status})) == {("redis.rdb.last_save.ok",): ok}


async def test_without_an_append_only_file_nothing_is_said_of_it(redis: Make, read: Read) -> None:
    """Redis reports "ok" for a file that it does not write: that is no news."""
    info = {"aof_enabled": "0", "aof_last_write_status": "ok", "aof_last_bgrewrite_status": "ok"}
    assert await read(EXPORTER, redis(info)) == {("redis.aof.enabled",): 0}
    found = await read(EXPORTER, redis({**info, "aof_enabled": "1", "aof_current_size": "9"}))
    assert found == {
        ("redis.aof.enabled",): 1,
        ("redis.aof.last_write.ok",): 1,
        ("redis.aof.last_rewrite.ok",): 1,
        ("redis.aof.size",): 9,
    }
