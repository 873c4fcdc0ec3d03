"""Pairs of durations: the median of their ratios, and how sure it is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

_DRAWS: Final = 10_000
_TAIL: Final = 0.025
_SEED: Final = 9


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median with the interval in which it lies in 95 of 100 draws."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """The median of the ratios pair by pair, with its bootstrap interval of 95 %.

    Raises:
        ValueError: when the two are not of one length.
    """
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    dice = random.Random(_SEED)  # noqa: S311 - no secret
    drawn = sorted(median(dice.choices(ratios, k=len(ratios))) for _ in range(_DRAWS))
    tail = int(_DRAWS * _TAIL)
    return Estimate(median(ratios), drawn[tail], drawn[-tail - 1])


def added(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the differences pair by pair."""
    return median(one - other for one, other in zip(ours, theirs, strict=True))
