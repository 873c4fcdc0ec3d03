"""The latency of a Redis: INFO in, seconds out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest

from exporters.redis_latency import EXPORTER
from quaywatch.contract import Redis, Value
from quaywatch.errors import ParseError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[[Mapping[str, str]], Redis]


async def test_percentiles_are_seconds_by_command(redis: Make, read: Read) -> None:
    """Row 26: a subcommand is a command of its own; microseconds become seconds."""
    info = {"latency_percentiles_usec_client|list": "p50=10.047,p99=2000.5,p99.9=3000000"}
    assert await read(EXPORTER, redis(info)) == {
        ("redis.cmd.latency", "client|list", "p50"): pytest.approx(10.047e-6),
        ("redis.cmd.latency", "client|list", "p99"): pytest.approx(2000.5e-6),
        ("redis.cmd.latency", "client|list", "p99.9"): pytest.approx(3.0),
    }


async def test_an_old_server_gives_calls_and_their_time(redis: Make, read: Read) -> None:
    """Redis 6 has no failures, no percentiles and no event loop, and none are made up."""
    assert await read(EXPORTER, redis({"cmdstat_get": "calls=4,usec=2000000,usec_per_call=500000.00"})) == {
        ("redis.cmd.calls", "get"): 4,
        ("redis.cmd.time", "get"): pytest.approx(2.0),
    }


async def test_calls_that_came_to_nothing_are_told_apart(redis: Make, read: Read) -> None:
    """Rejected before they ran, failed while they ran."""
    info = {"cmdstat_set": "calls=4,usec=8,usec_per_call=2.00,rejected_calls=1,failed_calls=2"}
    found = await read(EXPORTER, redis(info))
    assert found["redis.cmd.failed", "set", "rejected"] == 1
    assert found["redis.cmd.failed", "set", "failed"] == 2


async def test_the_event_loop_is_turns_and_seconds(redis: Make, read: Read) -> None:
    """Its time, and what of it went to commands."""
    info = {"eventloop_cycles": "12", "eventloop_duration_sum": "3000000", "eventloop_duration_cmd_sum": "1500000"}
    assert await read(EXPORTER, redis(info)) == {
        ("redis.eventloop.cycles",): 12,
        ("redis.eventloop.time",): pytest.approx(3.0),
        ("redis.eventloop.command.time",): pytest.approx(1.5),
    }


async def test_a_line_without_its_numbers_is_an_error(redis: Make, read: Read) -> None:
    """Nothing is guessed."""
    with pytest.raises(ParseError, match="usec"):
        await read(EXPORTER, redis({"cmdstat_get": "calls=4"}))
