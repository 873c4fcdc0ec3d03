"""The trial of what a probe costs, in small: it compares like with like."""

from __future__ import annotations

import pytest

from bench.probes.statistics import added, ratio
from bench.probes.trial import over_rpc
from sandbox.world import World

PARTS = ("odoo14", "odoo19")


@pytest.mark.parametrize(("name", "version"), [("odoo14", 14), ("odoo19", 19)])
async def test_both_make_the_same_calls_and_steps(world: World, name: str, version: int) -> None:
    """A run of the probe asks Odoo as often as the bare script, step by step, and nothing of it is suspicious."""
    measured = await over_rpc(world.endpoints[name], version, 1, print)
    assert measured.calls[0] == measured.calls[1]
    assert [list(took) for took in measured.ours] == [list(took) for took in measured.bare]
    assert measured.suspicions == 0


def test_the_interval_holds_the_median() -> None:
    """Twice as slow is a ratio of two, whatever the pairs' own lengths."""
    slow, fast = [2.0, 4.0, 6.6, 8.0], [1.0, 2.0, 3.0, 4.0]
    estimate = ratio(slow, fast)
    assert estimate.value == 2.0
    assert estimate.low <= estimate.value <= estimate.high <= 2.2
    assert added(slow, fast) == 2.8
