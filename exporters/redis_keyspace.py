"""The keys of a Redis or Valkey server, by database.

From ``INFO keyspace``; the right to run ``INFO`` is enough. A database without keys is not reported, and absent here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind

from .redis_info import fields, number

KEYS = Metric("redis.db.keys", Kind.GAUGE, "{key}", "Keys of a database.", ("db",))
EXPIRES = Metric("redis.db.expires", Kind.GAUGE, "{key}", "Keys of a database that have a time to live.", ("db",))
TTL = Metric(
    "redis.db.ttl.average",
    Kind.GAUGE,
    "s",
    "Mean time to live of these, estimated by the server. Absent before it has an estimate.",
    ("db",),
)

_DATABASE: Final = re.compile(r"db(\d+)")
_SECONDS: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(server: Redis, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Every database that has keys.

    Raises:
        ParseError: when a number is none.
    """
    for key, line in (await server.info("keyspace")).items():
        if found := _DATABASE.fullmatch(key):
            for sample in _database(found[1], fields(line)):
                yield sample


def _database(name: str, line: Mapping[str, str]) -> Iterator[Sample]:
    yield KEYS(number(line, "keys"), name)
    yield EXPIRES(number(line, "expires"), name)
    if line.get("avg_ttl", "0") != "0":
        yield TTL(number(line, "avg_ttl") * _SECONDS, name)


EXPORTER: Exporter[Redis, Options, None] = Exporter(
    name="redis_keyspace",
    reads=TargetKind.REDIS,
    metrics=(KEYS, EXPIRES, TTL),
    options=Options,
    collect=collect,
    state=lambda: None,
)
