"""The slow log of a Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from exporters.redis_slowlog import EXPORTER
from quaywatch.contract import Redis, Value
from quaywatch.errors import ParseError, PermissionDeniedError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Redis]


def server_with(redis: Make, length: int, *entries: object) -> Redis:
    """A server with a slow log, of which one entry at most is asked for."""
    return redis({"redis_mode": "standalone"}, {("SLOWLOG", "LEN"): length, ("SLOWLOG", "GET", 1): list(entries)})


async def test_the_newest_number_counts_all(redis: Make, read: Read) -> None:
    """Row 26: also those that a full log has forgotten; the first one has the number 0."""
    entry = [4711, 1700000000, 12000, ["GET", "name"], "10.0.0.7:1", ""]
    assert await read(EXPORTER, server_with(redis, 128, entry)) == {
        ("redis.slowlog.length",): 128,
        ("redis.slowlog.commands",): 4712,
    }


async def test_an_empty_log_does_not_count(redis: Make, read: Read) -> None:
    """It may have been reset: how many there were is not known, and not 0."""
    assert await read(EXPORTER, server_with(redis, 0)) == {("redis.slowlog.length",): 0}


async def test_an_entry_without_a_number_is_an_error(redis: Make, read: Read) -> None:
    """It is not taken for a count."""
    with pytest.raises(ParseError):
        await read(EXPORTER, server_with(redis, 1, ["odd"]))


@pytest.mark.parametrize("mode", ["redis_mode", "server_mode"])
async def test_a_sentinel_has_none(mode: str, redis: Make, read: Read) -> None:
    """It is not asked, whether it is a Redis or a Valkey."""
    assert await read(EXPORTER, redis({mode: "sentinel"})) == {}


async def test_a_missing_right_is_an_error(redis: Make, read: Read) -> None:
    """Nothing is published, and the reason is told."""
    server = redis({}, {("SLOWLOG", "LEN"): PermissionDeniedError("no")})
    with pytest.raises(PermissionDeniedError):
        await read(EXPORTER, server)


def test_it_is_off_unless_turned_on() -> None:
    """It needs a right that a user made for watching does not have."""
    assert not EXPORTER.on
