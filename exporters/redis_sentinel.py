"""The primaries that a Sentinel watches, and whether the Sentinels could agree on a failover; nothing elsewhere.

``SENTINEL MASTERS`` and ``SENTINEL CKQUORUM`` need rights beyond ``INFO``; on the Sentinel: ``ACL SETUSER <user>
+sentinel|masters +sentinel|ckquorum``. A Sentinel keeps no count of failovers: the epoch of a primary's configuration
grows with each one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind
from quaywatch.errors import FaultError

from .redis_info import is_sentinel, number, pairs, plain

MASTERS = Metric("redis.sentinel.masters", Kind.GAUGE, "{master}", "Primaries that this Sentinel watches.")
TILT = Metric(
    "redis.sentinel.tilt", Kind.GAUGE, "", "1 while this Sentinel trusts no clock, its own included, and does nothing."
)
UP = Metric(
    "redis.sentinel.master.up", Kind.GAUGE, "", "0 if this Sentinel cannot reach the primary, else 1.", ("master",)
)
DOWN_AGREED = Metric(
    "redis.sentinel.master.down.agreed",
    Kind.GAUGE,
    "",
    "1 if enough Sentinels say that the primary is down.",
    ("master",),
)
FAILING_OVER = Metric("redis.sentinel.master.failover", Kind.GAUGE, "", "1 while a failover goes on.", ("master",))
REPLICAS = Metric("redis.sentinel.master.slaves", Kind.GAUGE, "{replica}", "Replicas that are known.", ("master",))
SENTINELS = Metric(
    "redis.sentinel.master.sentinels",
    Kind.GAUGE,
    "{sentinel}",
    "Sentinels that watch the primary, this one included.",
    ("master",),
)
QUORUM = Metric(
    "redis.sentinel.master.quorum",
    Kind.GAUGE,
    "{sentinel}",
    "Sentinels that have to agree that the primary is down.",
    ("master",),
)
QUORUM_OK = Metric(
    "redis.sentinel.master.quorum.ok",
    Kind.GAUGE,
    "",
    "1 if enough Sentinels can be reached to agree and to elect who does a failover, else 0.",
    ("master",),
)
EPOCH = Metric(
    "redis.sentinel.master.config_epoch",
    Kind.GAUGE,
    "{epoch}",
    "Epoch of the primary's configuration; it grows with each failover.",
    ("master",),
)
ANSWERED = Metric(
    "redis.sentinel.master.last_ok_ping.age",
    Kind.GAUGE,
    "s",
    "Time since the primary last answered this Sentinel's ping well.",
    ("master",),
)

_PLAIN: Final = {"sentinel_masters": MASTERS, "sentinel_tilt": TILT}
_COUNTS: Final = {"num-slaves": REPLICAS, "quorum": QUORUM, "config-epoch": EPOCH}
_DOWN: Final = frozenset({"s_down", "o_down", "disconnected"})
_NO_QUORUM: Final = "NOQUORUM"


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(server: Redis, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Every primary that the Sentinel watches.

    Raises:
        ParseError: when a number is none.
    """
    if not await is_sentinel(server):
        return
    for sample in plain(await server.info("sentinel"), _PLAIN):
        yield sample
    for answer in await server.command("SENTINEL", "MASTERS"):
        master = pairs(answer)
        for sample in _master(master["name"], master):
            yield sample
        yield QUORUM_OK(int(await _has_quorum(server, master["name"])), master["name"])


def _master(name: str, master: Mapping[str, str]) -> Iterator[Sample]:
    flags = set(master["flags"].split(","))
    yield UP(int(not flags & _DOWN), name)
    yield DOWN_AGREED(int("o_down" in flags), name)
    yield FAILING_OVER(int("failover_in_progress" in flags), name)
    yield SENTINELS(number(master, "num-other-sentinels") + 1, name)
    yield ANSWERED(number(master, "last-ok-ping-reply") / 1000, name)
    yield from (metric(number(master, key), name) for key, metric in _COUNTS.items())


async def _has_quorum(server: Redis, name: str) -> bool:
    try:
        await server.command("SENTINEL", "CKQUORUM", name)
    except FaultError as error:
        if error.code != _NO_QUORUM:
            raise
        return False
    return True


EXPORTER: Exporter[Redis, Options, None] = Exporter(
    name="redis_sentinel",
    reads=TargetKind.REDIS,
    metrics=(*_PLAIN.values(), *_COUNTS.values(), UP, DOWN_AGREED, FAILING_OVER, SENTINELS, QUORUM_OK, ANSWERED),
    options=Options,
    collect=collect,
    state=lambda: None,
)
