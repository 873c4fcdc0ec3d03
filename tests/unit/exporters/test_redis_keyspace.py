"""The keys of a Redis: INFO in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest

from exporters.redis_keyspace import EXPORTER
from quaywatch.contract import Redis, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[[Mapping[str, str]], Redis]


async def test_databases_are_told_apart(redis: Make, read: Read) -> None:
    """Each by its number; a mean time to live is there where the server has one, in seconds."""
    info = {"db0": "keys=3,expires=2,avg_ttl=90000,subexpiry=0", "db11": "keys=1,expires=0,avg_ttl=0"}
    assert await read(EXPORTER, redis(info)) == {
        ("redis.db.keys", "0"): 3,
        ("redis.db.expires", "0"): 2,
        ("redis.db.ttl.average", "0"): pytest.approx(90.0),
        ("redis.db.keys", "11"): 1,
        ("redis.db.expires", "11"): 0,
    }


async def test_an_empty_server_has_no_databases(redis: Make, read: Read) -> None:
    """What else stands in the section is no database: Redis 8 adds counts of sizes there."""
    assert await read(EXPORTER, redis({"db0_distrib_strings_sizes": "1=2"})) == {}
