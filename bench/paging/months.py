"""False pages of simulated months, and how soon a flow that fails now and then is found.

Each run of a flow fails by itself, whatever the one before did: flakes that no other flow shares, counted after the
attempts within a run. A rule is true while so many of the last runs failed, and its alert goes on for as long as alerts
are kept afterwards; each time it begins to fire is a page.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from alerts.objectives import DAY, Objectives, Paging

MONTH: Final = 30 * DAY
MONTHS: Final = 100
_SEED: Final = 20_260_101
_SOON: Final = 1800.0
"""Seconds in which a flow that fails now and then is to be found."""
_UNTIL_SEEN: Final = 30.0
"""Of these, what a run's deadline, a reading and an evaluation take at most."""
_TRIES: Final = 20_000


def false_pages(intervals: Sequence[float], rate: float, rule: Paging, months: int = MONTHS) -> int:
    """The 95th percentile of the pages in a month, of flows with these intervals of which each run fails so often."""
    told = sorted(_month(seed, intervals, rate, rule) for seed in range(months))
    return told[math.ceil(0.95 * months) - 1]


def _month(seed: int, intervals: Sequence[float], rate: float, rule: Paging) -> int:
    chance = random.Random(seed)  # noqa: S311 - no secret
    return sum(_pages(chance, every, rate, rule) for every in intervals)


def _pages(chance: random.Random, every: float, rate: float, rule: Paging) -> int:
    return pages(_failures(chance, int(MONTH / every), rate), rule, Objectives().keep / every)


def _failures(chance: random.Random, runs: int, rate: float) -> Iterator[int]:
    """The numbers of the runs that fail."""
    run, never = -1, math.log1p(-rate)
    while (run := run + 1 + int(math.log(1 - chance.random()) / never)) < runs:
        yield run


def pages(failures: Iterator[int], rule: Paging, keep: float) -> int:
    """How often a rule begins to fire, of runs that fail at these numbers; ``keep`` is counted in runs."""
    told, ends = 0, -math.inf
    last: deque[int] = deque(maxlen=rule.failures)
    for run in failures:
        last.append(run)
        if len(last) == rule.failures and last[0] > run - rule.runs:
            told += run >= ends
            ends = last[0] + rule.runs + keep
    return told


def found_soon(every: float, rate: float, rule: Paging) -> float:
    """How probably a rule is true within half an hour of a flow's beginning to fail so often."""
    chance = random.Random(_SEED)  # noqa: S311 - no secret
    runs = int((_SOON - _UNTIL_SEEN) / every)
    return sum(pages(_failures(chance, runs, rate), rule, math.inf) for _ in range(_TRIES)) / _TRIES
