"""Three agents on three hundred shared targets: each target has one of them, also when one is killed."""

from __future__ import annotations

from statistics import median

import pytest

from bench.shards import NAMES, postgres_keeper, trial
from sandbox.testing import shared_world

TARGETS = 300
EVERY = 3.0


@pytest.mark.timeout(240)
async def test_each_target_is_read_once_in_an_interval_by_one_agent() -> None:
    """As the targets saw it: one reader each, once in an interval; a killed one's have another within two.

    A busy machine may read late, and resume late. It never reads a target thrice in an interval, nor twice as a rule.
    """
    with postgres_keeper(shared_world("postgres")) as keeper:
        seen = await trial(keeper, targets=TARGETS, every=EVERY)
    assert (set(seen.shares), sum(seen.shares.values())) == (set(NAMES), TARGETS)
    assert min(seen.shares.values()) > TARGETS / len(NAMES) / 2
    assert (seen.shared, seen.moved) == ((), ())
    assert seen.closest > EVERY
    assert 0.6 < seen.pace < 1.5
    assert len(seen.resumed) == seen.shares[NAMES[0]]
    assert median(seen.resumed.values()) < 2 * EVERY
    assert max(seen.resumed.values()) < 4 * EVERY
