"""Replication of a Redis or Valkey, seen from both ends, as raw parts.

A primary says of each replica that is online when it last acknowledged and how many bytes it lacks; for one that is not
online Redis reports a lag of 0, which is left out. A replica says whether its link is up and when it last heard of its
primary. From ``INFO replication``; the right to run ``INFO`` is enough.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind

from .redis_info import fields, number, plain, words

IS_REPLICA = Metric("redis.replication.is_replica", Kind.GAUGE, "", "1 if this server follows another, 0 if it leads.")
CONNECTED = Metric("redis.slaves.connected", Kind.UPDOWN, "{replica}", "Replicas that are connected.")
OFFSET = Metric("redis.replication.offset", Kind.GAUGE, "By", "How far the stream of changes has come on this server.")
BACKLOG_ACTIVE = Metric(
    "redis.replication.backlog.active", Kind.GAUGE, "", "1 if changes are kept for replicas that come back."
)
BACKLOG_SIZE = Metric("redis.replication.backlog.size", Kind.GAUGE, "By", "The most that is kept for them.")
BACKLOG_USED = Metric(
    "redis.replication.backlog.used",
    Kind.GAUGE,
    "By",
    "What is kept for them now. Who lacks more copies everything anew.",
)
BACKLOG_FIRST = Metric(
    "redis.replication.backlog_first_byte_offset", Kind.GAUGE, "By", "Where in the stream that which is kept begins."
)
SYNC_FULL = Metric("redis.replication.sync.full", Kind.COUNTER, "{sync}", "Times a replica copied everything.")
SYNC_PARTIAL = Metric(
    "redis.replication.sync.partial",
    Kind.COUNTER,
    "{sync}",
    "Times a replica that came back asked for what it lacks alone: granted (ok) or not (error).",
    ("outcome",),
)
LINK_UP = Metric("redis.replication.link.up", Kind.GAUGE, "", "1 if this replica's link to its primary is up.")
LINK_SYNCING = Metric("redis.replication.link.syncing", Kind.GAUGE, "", "1 while this replica copies everything.")
LINK_HEARD = Metric(
    "redis.replication.link.last_io.age",
    Kind.GAUGE,
    "s",
    "Time since this replica last heard of its primary. Absent while the link is down.",
)
LINK_DOWN = Metric(
    "redis.replication.link.down.duration",
    Kind.GAUGE,
    "s",
    "How long this replica's link is down. Absent while it is up.",
)
REPLICA_OFFSET = Metric(
    "redis.replication.replica_offset", Kind.GAUGE, "By", "How far this replica has applied the stream of changes."
)
ONLINE = Metric(
    "redis.replication.replica.online",
    Kind.GAUGE,
    "",
    "1 if a replica of this primary follows the stream, 0 while it copies everything.",
    ("replica",),
    budget=200,
)
LAG = Metric(
    "redis.replication.replica.lag",
    Kind.GAUGE,
    "s",
    "Time since a replica last acknowledged, in whole seconds; it does once a second, so that more than 2 is late.",
    ("replica",),
    budget=200,
)
BEHIND = Metric(
    "redis.replication.replica.behind",
    Kind.GAUGE,
    "By",
    "Bytes of the stream that a replica has not acknowledged.",
    ("replica",),
    budget=200,
)

_PLAIN: Final = {
    "connected_slaves": CONNECTED,
    "master_repl_offset": OFFSET,
    "repl_backlog_active": BACKLOG_ACTIVE,
    "repl_backlog_size": BACKLOG_SIZE,
    "repl_backlog_histlen": BACKLOG_USED,
    "repl_backlog_first_byte_offset": BACKLOG_FIRST,
    "sync_full": SYNC_FULL,
    "master_sync_in_progress": LINK_SYNCING,
    "slave_repl_offset": REPLICA_OFFSET,
}
_WORDS: Final = {"role": (IS_REPLICA, "slave"), "master_link_status": (LINK_UP, "up")}
_SINCE: Final = {"master_last_io_seconds_ago": LINK_HEARD, "master_link_down_since_seconds": LINK_DOWN}
_PARTIAL: Final = {"sync_partial_ok": "ok", "sync_partial_err": "error"}
_REPLICA: Final = re.compile(r"slave\d+")


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(server: Redis, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Role, link, backlog, and each replica.

    Raises:
        ParseError: when a number is none.
    """
    info = await server.info("replication", "stats")
    if "role" not in info:  # a Sentinel replicates nothing
        return
    for sample in (*plain(info, _PLAIN), *words(info, _WORDS), *_since(info), *_replicas(info)):
        yield sample


def _since(info: Mapping[str, str]) -> Iterator[Sample]:
    """Times since something, of which -1 says that it is not so; and partial copies."""
    yield from (metric(number(info, key)) for key, metric in _SINCE.items() if info.get(key, "-1") != "-1")
    yield from (SYNC_PARTIAL(number(info, key), outcome) for key, outcome in _PARTIAL.items() if key in info)


def _replicas(info: Mapping[str, str]) -> Iterator[Sample]:
    for key in filter(_REPLICA.fullmatch, info):
        replica = fields(info[key])
        name = f"{replica.get('ip', '')}:{replica.get('port', '')}"
        online = replica.get("state") == "online"
        yield ONLINE(int(online), name)
        if online:
            yield LAG(number(replica, "lag"), name)
            yield BEHIND(max(0, number(info, "master_repl_offset") - number(replica, "offset")), name)


EXPORTER: Exporter[Redis, Options, None] = Exporter(
    name="redis_replication",
    reads=TargetKind.REDIS,
    metrics=(
        *_PLAIN.values(),
        *_SINCE.values(),
        SYNC_PARTIAL,
        IS_REPLICA,
        LINK_UP,
        ONLINE,
        LAG,
        BEHIND,
    ),
    options=Options,
    collect=collect,
    state=lambda: None,
)
