"""Sixty runs of all flows over RPC, some killed in the middle, and a sweep: what is left is as the docs say, to a row.

`make soak` is the same with a thousand runs, in browsers too.
"""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from bench.soak.foretold import promised
from bench.soak.trial import Plan, Trial, trial
from sandbox.world import World

PARTS = ("odoo14", "odoo19")
ROOT = Path(__file__).parents[3]
RUNS, ALONE, KILLED_EVERY = 20, 10, 5
"""For each of the two Odoos."""
VERSIONS = {"odoo14": 14, "odoo19": 19}


def documented() -> set[str]:
    """The tables of which the docs tell, before they count rows, that something of a run stays in them."""
    before, _, _ = (ROOT / "docs" / "residue.md").read_text().partition("\n## Held to the row\n")
    lines = re.findall(r"^\| (`[^|]*`) \|", before, re.MULTILINE)
    return {name for line in lines for name in re.findall(r"`(\w+)`", line)}


@pytest.mark.timeout(900)
async def test_what_is_left_is_what_the_docs_say(world: World) -> None:
    """Residue, permanent, stock, the rows of before and the new rows of every table are as the runs foretell."""
    plan = Plan(
        runs=RUNS,
        alone=ALONE,
        goods=0,
        killed_every=KILLED_EVERY,
        browser=False,
        installation=f"test-nothing-left-{time.time_ns()}",
    )
    each = (trial(world.postgres, world.endpoints[name], version, plan, print) for name, version in VERSIONS.items())
    trials: list[Trial] = await asyncio.gather(*each)
    assert [sentence for one in trials for sentence in one.wrong] == []
    stretches = [stretch for one in trials for stretch in one.stretches]
    swept = sum(one.undone + one.erased for stretch in stretches for one in stretch.swept.values())
    assert swept > 0, "no process was killed in the middle of a run: the test shows nothing"


@pytest.mark.parametrize("version", VERSIONS.values())
def test_what_is_counted_is_told(version: int) -> None:
    """Each table that the docs count rows of is one of which they say what stays in it, and why."""
    assert set(promised(version)) <= documented()
