"""How many slow commands a Redis or Valkey server had, and how many of them it remembers.

Off unless it is turned on, since it needs rights beyond ``INFO``: ``ACL SETUSER <user> +slowlog|len +slowlog|get``.
Of the newest entry nothing but its number is kept: it counts all slow commands since the server's start, also when
the log is full. The rest of it, which holds keys and values of the business, is discarded unread. A Sentinel has no
slow log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind
from quaywatch.errors import ParseError

from .redis_info import is_sentinel

LENGTH = Metric(
    "redis.slowlog.length",
    Kind.GAUGE,
    "{command}",
    "Commands in the slow log; it stays at slowlog-max-len (128 unless set) until somebody resets it.",
)
COUNT = Metric(
    "redis.slowlog.commands",
    Kind.COUNTER,
    "{command}",
    "Slow commands since the server's start. Absent while the log is empty, as after a reset: none tells the number.",
)

_GET = ("SLOWLOG", "GET", 1)


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(server: Redis, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The length of the slow log, and the number of its newest entry.

    Raises:
        ParseError: when an entry has no number.
    """
    if await is_sentinel(server):
        return
    yield LENGTH(await server.command("SLOWLOG", "LEN"))
    for number, *_discarded in await server.command(*_GET):
        yield COUNT(_counted(number))


def _counted(number: object) -> int:
    """How many there were when the entry with this number, which begins at 0, was written."""
    if not isinstance(number, int):
        raise ParseError("the newest entry of the slow log has no number")
    return number + 1


EXPORTER: Exporter[Redis, Options, None] = Exporter(
    name="redis_slowlog",
    reads=TargetKind.REDIS,
    metrics=(LENGTH, COUNT),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=60.0,
    on=False,
)
