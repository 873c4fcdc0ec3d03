"""The slow log of a Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from exporters.redis_slowlog import EXPORTER
from quaywatch.contract import Redis, Value
from quaywatch.errors import PermissionDeniedError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Redis]


async def test_only_the_length_is_asked_for(redis: Make, read: Read) -> None:
    """Row 26: the entries, which hold the business's data, are not read."""
    server = redis({"redis_mode": "standalone"}, {("SLOWLOG", "LEN"): 3})
    assert await read(EXPORTER, server) == {("redis.slowlog.length",): 3}


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
