"""A top-N whose members change rarely, so that series live long and their number stays bounded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class StickyTop(Generic[K]):
    """Remembers who is shown. A newcomer takes a place only when one is free or when it weighs over twice as much."""

    def __init__(self) -> None:
        self._members: set[K] = set()

    @property
    def members(self) -> frozenset[K]:
        """Who was shown last."""
        return frozenset(self._members)

    def choose(self, weights: Mapping[K, float], size: int) -> frozenset[K]:
        """Who is shown now, at most ``size`` of them; members that are gone from ``weights`` lose their places."""
        staying = {key: 2 * weight + 1 for key, weight in weights.items() if key in self._members}
        standing = {**weights, **staying}
        heaviest = sorted(standing, key=lambda key: standing[key], reverse=True)
        self._members = set(heaviest[:size])
        return self.members
