"""Whether a Redis or Valkey server could be restarted without loss: snapshots, the append-only file, forks.

From ``INFO persistence stats server``; the right to run ``INFO`` is enough. A server that takes no snapshots (``save
""``) reports them all the same: its last one is its start, and changes only grow.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind

from .redis_info import number, plain, words

LOADING = Metric("redis.loading", Kind.GAUGE, "", "1 while the server loads its data and serves nobody.")
CHANGES = Metric(
    "redis.rdb.changes_since_last_save", Kind.UPDOWN, "{change}", "Changes that the last snapshot does not hold."
)
SAVE_OK = Metric("redis.rdb.last_save.ok", Kind.GAUGE, "", "1 if the last attempt at a snapshot succeeded.")
SAVE_AGE = Metric(
    "redis.rdb.last_save.age",
    Kind.GAUGE,
    "s",
    "Time since the last snapshot that succeeded, or since the start. By the agent's clock before Redis 6.2.",
)
SAVE_TOOK = Metric(
    "redis.rdb.last_save.duration", Kind.GAUGE, "s", "How long the last snapshot took. Absent before one."
)
SAVING = Metric("redis.rdb.saving", Kind.GAUGE, "", "1 while a snapshot is written.")
AOF = Metric("redis.aof.enabled", Kind.GAUGE, "", "1 if changes are appended to a file.")
WRITE_OK = Metric(
    "redis.aof.last_write.ok",
    Kind.GAUGE,
    "",
    "1 if the last write to the append-only file succeeded; 0 refuses writes.",
)
REWRITE_OK = Metric("redis.aof.last_rewrite.ok", Kind.GAUGE, "", "1 if the last rewrite of the file succeeded.")
REWRITE_TOOK = Metric("redis.aof.last_rewrite.duration", Kind.GAUGE, "s", "How long it took. Absent before one.")
AOF_SIZE = Metric("redis.aof.size", Kind.GAUGE, "By", "Size of the append-only file.")
AOF_BASE = Metric("redis.aof.base_size", Kind.GAUGE, "By", "Its size after the last rewrite, or at the start.")
FSYNC_DELAYED = Metric("redis.aof.fsync.delayed", Kind.COUNTER, "{fsync}", "Writes that waited for a slow disk.")
FORK = Metric(
    "redis.fork.duration", Kind.GAUGE, "s", "How long the last fork held everybody up. Absent before the first one."
)

_PLAIN: Final = {
    "loading": LOADING,
    "rdb_changes_since_last_save": CHANGES,
    "rdb_bgsave_in_progress": SAVING,
    "aof_enabled": AOF,
}
_WITH_FILE: Final = {
    "aof_current_size": AOF_SIZE,
    "aof_base_size": AOF_BASE,
    "aof_delayed_fsync": FSYNC_DELAYED,
}
_WORDS: Final = {"rdb_last_bgsave_status": (SAVE_OK, "ok")}
_WORDS_WITH_FILE: Final = {"aof_last_write_status": (WRITE_OK, "ok"), "aof_last_bgrewrite_status": (REWRITE_OK, "ok")}
_TOOK: Final = {"rdb_last_bgsave_time_sec": SAVE_TOOK, "aof_last_rewrite_time_sec": REWRITE_TOOK}
_SECONDS: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(server: Redis, _options: Options, clock: Callable[[], float]) -> AsyncIterator[Sample]:
    """Snapshots, the append-only file if there is one, and the last fork.

    Raises:
        ParseError: when a number is none.
    """
    info = await server.info("persistence", "stats", "server")
    samples = [*plain(info, _PLAIN), *words(info, _WORDS), *_durations(info), *_age(info, clock)]
    if info.get("aof_enabled") == "1":
        samples += [*plain(info, _WITH_FILE), *words(info, _WORDS_WITH_FILE)]
    for sample in samples:
        yield sample


def _durations(info: Mapping[str, str]) -> Iterator[Sample]:
    """What never happened yet is reported as -1, a fork as 0."""
    yield from (metric(number(info, key)) for key, metric in _TOOK.items() if info.get(key, "-1") != "-1")
    if info.get("latest_fork_usec", "0") != "0":
        yield FORK(number(info, "latest_fork_usec") * _SECONDS)


def _age(info: Mapping[str, str], clock: Callable[[], float]) -> Iterator[Sample]:
    if "rdb_last_save_time" in info:
        now = number(info, "server_time_usec") * _SECONDS if "server_time_usec" in info else clock()
        yield SAVE_AGE(max(0.0, now - number(info, "rdb_last_save_time")))


EXPORTER: Exporter[Redis, Options, Callable[[], float]] = Exporter(
    name="redis_persistence",
    reads=TargetKind.REDIS,
    metrics=(
        *_PLAIN.values(),
        *_WITH_FILE.values(),
        *_TOOK.values(),
        SAVE_OK,
        WRITE_OK,
        REWRITE_OK,
        SAVE_AGE,
        FORK,
    ),
    options=Options,
    collect=collect,
    state=lambda: time.time,
)
