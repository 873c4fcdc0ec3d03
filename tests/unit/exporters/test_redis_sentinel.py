"""A Sentinel's primaries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exporters.redis_sentinel import EXPORTER
from quaywatch.contract import Redis, Value
from quaywatch.errors import FaultError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Redis]

INFO = {"redis_mode": "sentinel", "sentinel_masters": "1", "sentinel_tilt": "0"}
QUORUM = ("SENTINEL", "CKQUORUM", "main")


def masters(flags: str) -> dict[tuple[str, ...], Any]:
    """What a Sentinel answers about one primary with these flags."""
    primary = {
        "name": "main",
        "flags": flags,
        "last-ok-ping-reply": "1500",
        "num-slaves": "2",
        "num-other-sentinels": "2",
        "quorum": "2",
        "config-epoch": "4",
    }
    return {("SENTINEL", "MASTERS"): [[word for pair in primary.items() for word in pair]]}


async def test_elsewhere_it_is_nothing(redis: Make, read: Read) -> None:
    """A server that holds data is not asked."""
    assert await read(EXPORTER, redis({"redis_mode": "standalone"})) == {}


async def test_a_primary_that_is_well(redis: Make, read: Read) -> None:
    """Row 28: counts hold the Sentinel itself; milliseconds become seconds."""
    found = await read(EXPORTER, redis(INFO, {**masters("master"), QUORUM: "OK 3 usable Sentinels."}))
    assert found == {
        ("redis.sentinel.masters",): 1,
        ("redis.sentinel.tilt",): 0,
        ("redis.sentinel.master.up", "main"): 1,
        ("redis.sentinel.master.down.agreed", "main"): 0,
        ("redis.sentinel.master.failover", "main"): 0,
        ("redis.sentinel.master.slaves", "main"): 2,
        ("redis.sentinel.master.sentinels", "main"): 3,
        ("redis.sentinel.master.quorum", "main"): 2,
        ("redis.sentinel.master.quorum.ok", "main"): 1,
        ("redis.sentinel.master.config_epoch", "main"): 4,
        ("redis.sentinel.master.last_ok_ping.age", "main"): pytest.approx(1.5),
    }


@pytest.mark.parametrize(
    ("flags", "up", "agreed", "failover"),
    [
        ("s_down,master,disconnected", 0, 0, 0),
        ("s_down,o_down,master", 0, 1, 0),
        ("master,o_down,failover_in_progress", 0, 1, 1),
    ],
)
async def test_flags_are_states(flags: str, up: int, agreed: int, failover: int, redis: Make, read: Read) -> None:
    """Down for one Sentinel, down for enough of them, and being replaced are three things."""
    found = await read(EXPORTER, redis(INFO, {**masters(flags), QUORUM: "OK"}))
    assert found["redis.sentinel.master.up", "main"] == up
    assert found["redis.sentinel.master.down.agreed", "main"] == agreed
    assert found["redis.sentinel.master.failover", "main"] == failover


async def test_too_few_sentinels_are_no_quorum(redis: Make, read: Read) -> None:
    """Redis answers with an error, which is the answer."""
    lacking = FaultError("no", code="NOQUORUM")
    found = await read(EXPORTER, redis(INFO, {**masters("master"), QUORUM: lacking}))
    assert found["redis.sentinel.master.quorum.ok", "main"] == 0


async def test_another_error_is_one(redis: Make, read: Read) -> None:
    """Nothing is published when the Sentinel does not know its own primary."""
    with pytest.raises(FaultError):
        await read(EXPORTER, redis(INFO, {**masters("master"), QUORUM: FaultError("no", code="IDONTKNOW")}))
