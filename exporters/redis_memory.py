"""The memory of a Redis or Valkey server: how much, how fragmented, and what was thrown out to stay within the limit.

From ``INFO memory stats server``. A key that the server does not report is absent, never 0. Counters carry no start
time: Redis reports none, ``CONFIG RESETSTAT`` sets them to 0 while the run id stays, and now minus uptime would move
by a second from read to read; the store takes a decrease for the restart it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind

from .redis_info import number, plain

USED = Metric("redis.memory.used", Kind.GAUGE, "By", "Memory that Redis has allocated.")
PEAK = Metric("redis.memory.peak", Kind.GAUGE, "By", "The most memory that Redis ever had allocated since its start.")
RSS = Metric("redis.memory.rss", Kind.GAUGE, "By", "Memory of the process as the operating system sees it.")
LUA = Metric("redis.memory.lua", Kind.GAUGE, "By", "Memory of the Lua engine.")
LIMIT = Metric("redis.maxmemory", Kind.GAUGE, "By", "The configured limit of memory; 0 is no limit.")
RATIO = Metric(
    "redis.memory.fragmentation_ratio",
    Kind.GAUGE,
    "1",
    "Resident over allocated memory. Says little on a small data set: see the allocator's fragmentation in bytes.",
)
ALLOCATOR = Metric(
    "redis.memory.allocator.fragmentation", Kind.GAUGE, "By", "Memory lost to fragmentation inside the allocator."
)
UTILIZATION = Metric(
    "redis.memory.utilization",
    Kind.GAUGE,
    "1",
    "Memory that counts for eviction over the limit; at 1 keys are evicted or writes refused. Absent without a limit.",
)
POLICY = Metric("redis.memory.policy", Kind.GAUGE, "", "1 for the eviction policy in force.", ("policy",))
EVICTED = Metric("redis.keys.evicted", Kind.COUNTER, "{key}", "Keys thrown out to stay within the limit.")
EXPIRED = Metric("redis.keys.expired", Kind.COUNTER, "{key}", "Keys that reached the end of their time to live.")
UPTIME = Metric("redis.uptime", Kind.COUNTER, "s", "Seconds since the server's start.")

_PLAIN = {
    "used_memory": USED,
    "used_memory_peak": PEAK,
    "used_memory_rss": RSS,
    "used_memory_lua": LUA,
    "maxmemory": LIMIT,
    "mem_fragmentation_ratio": RATIO,
    "allocator_frag_bytes": ALLOCATOR,
    "evicted_keys": EVICTED,
    "expired_keys": EXPIRED,
    "uptime_in_seconds": UPTIME,
}


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(server: Redis, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Memory, evictions and uptime.

    Raises:
        ParseError: when a number is none.
    """
    info = await server.info("memory", "stats", "server")
    for sample in (*plain(info, _PLAIN), *_derived(info)):
        yield sample


def _derived(info: Mapping[str, str]) -> Iterator[Sample]:
    if "maxmemory_policy" in info:
        yield POLICY(1, info["maxmemory_policy"])
    limit = number(info, "maxmemory") if "maxmemory" in info else 0
    if limit > 0 and "used_memory" in info:
        # Buffers for replicas and the append-only file do not count when Redis decides whether to evict.
        spared = number(info, "mem_not_counted_for_evict") if "mem_not_counted_for_evict" in info else 0
        yield UTILIZATION(max(0, number(info, "used_memory") - spared) / limit)


EXPORTER: Exporter[Redis, Options, None] = Exporter(
    name="redis_memory",
    reads=TargetKind.REDIS,
    metrics=(*_PLAIN.values(), UTILIZATION, POLICY),
    options=Options,
    collect=collect,
    state=lambda: None,
)
