"""A Redis Cluster, seen from one node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from exporters.redis_cluster import EXPORTER
from quaywatch.contract import Redis, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Redis]

ON = {"cluster_enabled": "1"}


@pytest.mark.parametrize("info", [{}, {"cluster_enabled": "0"}])
async def test_without_cluster_mode_nothing_is_asked(info: dict[str, str], redis: Make, read: Read) -> None:
    """A server alone, or a Sentinel, has no cluster: no sample, no error, no right needed."""
    assert await read(EXPORTER, redis(info)) == {}


@pytest.mark.parametrize(("state", "ok"), [("ok", 1), ("fail", 0)])
async def test_state_and_slots(state: str, ok: int, redis: Make, read: Read) -> None:
    """Row 28: what is not known to the exporter is left out."""
    answer = (
        f"cluster_state:{state}\r\ncluster_slots_assigned:16384\r\ncluster_slots_fail:5461\r\ncluster_my_epoch:1\r\n"
    )
    assert await read(EXPORTER, redis(ON, {("CLUSTER", "INFO"): answer})) == {
        ("redis.cluster.ok",): ok,
        ("redis.cluster.slots_assigned",): 16384,
        ("redis.cluster.slots_fail",): 5461,
    }
