"""Replication of a Redis: INFO in, raw parts out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from exporters.redis_replication import EXPORTER
from quaywatch.contract import Redis, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[[Mapping[str, str]], Redis]


async def test_a_primary_says_what_each_replica_lacks(redis: Make, read: Read) -> None:
    """Row 26: bytes are counted from the primary's own offset; addresses of both kinds name a replica."""
    info = {
        "role": "master",
        "master_repl_offset": "1000",
        "slave0": "ip=10.0.0.1,port=6379,state=online,offset=900,lag=1",
        "slave1": "ip=::1,port=6380,state=online,offset=1000,lag=0,type=replica",
    }
    assert await read(EXPORTER, redis(info)) == {
        ("redis.replication.is_replica",): 0,
        ("redis.replication.offset",): 1000,
        ("redis.replication.replica.online", "10.0.0.1:6379"): 1,
        ("redis.replication.replica.lag", "10.0.0.1:6379"): 1,
        ("redis.replication.replica.behind", "10.0.0.1:6379"): 100,
        ("redis.replication.replica.online", "::1:6380"): 1,
        ("redis.replication.replica.lag", "::1:6380"): 0,
        ("redis.replication.replica.behind", "::1:6380"): 0,
    }


async def test_a_replica_that_copies_has_no_lag(redis: Make, read: Read) -> None:
    """Redis reports 0 for it, which would read as being up to date."""
    line = "ip=10.0.0.1,port=6379,state=wait_bgsave,offset=0,lag=0"
    found = await read(EXPORTER, redis({"role": "master", "master_repl_offset": "1000", "slave0": line}))
    assert found["redis.replication.replica.online", "10.0.0.1:6379"] == 0
    assert not [key for key in found if key[0].endswith((".lag", ".behind"))]


async def test_a_replica_that_is_cut_off(redis: Make, read: Read) -> None:
    """The link is down, for how long is known, and when it last heard of its primary is not."""
    info = {
        "role": "slave",
        "master_link_status": "down",
        "master_last_io_seconds_ago": "-1",
        "master_link_down_since_seconds": "7",
        "slave_repl_offset": "500",
    }
    assert await read(EXPORTER, redis(info)) == {
        ("redis.replication.is_replica",): 1,
        ("redis.replication.link.up",): 0,
        ("redis.replication.link.down.duration",): 7,
        ("redis.replication.replica_offset",): 500,
    }


async def test_a_replica_that_never_had_a_link(redis: Make, read: Read) -> None:
    """Redis says -1: it is not known for how long."""
    found = await read(
        EXPORTER, redis({"role": "slave", "master_link_status": "down", "master_link_down_since_seconds": "-1"})
    )
    assert found == {("redis.replication.is_replica",): 1, ("redis.replication.link.up",): 0}


async def test_a_sentinel_replicates_nothing(redis: Make, read: Read) -> None:
    """Its statistics have counts of copies, which are not its own."""
    assert await read(EXPORTER, redis({"sync_full": "0"})) == {}
