"""Redis' memory: INFO in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest

from exporters.redis_memory import EXPORTER
from quaywatch.contract import Redis, Value
from quaywatch.errors import ParseError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[[Mapping[str, str]], Redis]


async def test_an_absent_key_is_absent(redis: Make, read: Read) -> None:
    """A server that reports one thing gives one sample, and no zeros."""
    assert await read(EXPORTER, redis({"used_memory": "1024"})) == {("redis.memory.used",): 1024}


async def test_without_a_limit_there_is_no_utilization(redis: Make, read: Read) -> None:
    """The limit reads 0, as Redis says it, and nothing is divided by it."""
    found = await read(EXPORTER, redis({"used_memory": "1024", "maxmemory": "0"}))
    assert found == {("redis.memory.used",): 1024, ("redis.maxmemory",): 0}


async def test_utilization_is_of_what_counts_for_eviction(redis: Make, read: Read) -> None:
    """Buffers that Redis spares when it evicts are no pressure."""
    info = {"used_memory": "900", "maxmemory": "1000", "mem_not_counted_for_evict": "100"}
    assert (await read(EXPORTER, redis(info)))["redis.memory.utilization",] == 0.8


async def test_the_policy_is_named(redis: Make, read: Read) -> None:
    """One series, the policy in force."""
    assert await read(EXPORTER, redis({"maxmemory_policy": "allkeys-lru"})) == {
        ("redis.memory.policy", "allkeys-lru"): 1
    }


async def test_counters_ratio_and_uptime(redis: Make, read: Read) -> None:
    """Whole numbers stay whole, ratios do not."""
    info = {"evicted_keys": "3", "expired_keys": "4", "uptime_in_seconds": "60", "mem_fragmentation_ratio": "1.25"}
    assert await read(EXPORTER, redis(info)) == {
        ("redis.keys.evicted",): 3,
        ("redis.keys.expired",): 4,
        ("redis.uptime",): 60,
        ("redis.memory.fragmentation_ratio",): 1.25,
    }


async def test_a_number_that_is_none_is_an_error(redis: Make, read: Read) -> None:
    """Nothing is guessed."""
    with pytest.raises(ParseError, match="used_memory"):
        await read(EXPORTER, redis({"used_memory": "lots"}))
