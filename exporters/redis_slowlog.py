"""How many slow commands a Redis or Valkey server remembers.

Off unless it is turned on, since ``SLOWLOG LEN`` needs a right beyond ``INFO``: ``ACL SETUSER <user> +slowlog|len``.
The entries themselves hold keys and values of the business and are not read. A Sentinel has no slow log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind

from .redis_info import is_sentinel

LENGTH = Metric(
    "redis.slowlog.length",
    Kind.GAUGE,
    "{command}",
    "Commands in the slow log; it stays at slowlog-max-len (128 unless set) until somebody resets it.",
)


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(server: Redis, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The length of the slow log."""
    if not await is_sentinel(server):
        yield LENGTH(await server.command("SLOWLOG", "LEN"))


EXPORTER: Exporter[Redis, Options, None] = Exporter(
    name="redis_slowlog",
    reads=TargetKind.REDIS,
    metrics=(LENGTH,),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=60.0,
    on=False,
)
