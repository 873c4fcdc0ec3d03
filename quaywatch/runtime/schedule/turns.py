"""When a job's turns are due: on its own interval, or on a grid of the wall clock that all agents share."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from typing import Final, Protocol

from quaywatch.clock import Clock

SPREAD: Final = 15.0
"""Seconds over which grids are spread."""
FIRST_WITHIN: Final = 2.0
"""Seconds over which the first turns are spread: an agent that starts has results at once."""
JITTER: Final = 0.02
"""The largest delay of a turn, as a share of the interval; half a second at most."""
_LARGEST_JITTER: Final = 0.5


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. ``tick`` is the Unix time it is due, ``wait`` the seconds until then, ``missed`` the turns left out."""

    tick: float
    wait: float
    missed: int


class Turns(Protocol):
    """The turns of one job, one after the other."""

    def following(self) -> Turn:
        """The next turn that is not over yet; asked when the one before has ended."""
        ...


def share(name: str) -> float:
    """A number from 0 to below 1 that is the same for a name on every agent."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) / 2**32


class Interval:
    """Turns at a fixed distance from the first one, each a little late by chance."""

    def __init__(self, name: str, every: float, clock: Clock) -> None:
        self._every = every
        self._clock = clock
        self._origin = clock.monotonic() + share(name) * min(every, FIRST_WITHIN)
        self._next = 0
        self._chance = random.Random(name)  # noqa: S311 - spreads load, keeps no secret

    def following(self) -> Turn:
        """The next turn that is not over yet."""
        now = self._clock.monotonic()
        turn = max(self._next, math.ceil((now - self._origin) / self._every))
        missed, self._next = turn - self._next, turn + 1
        late = self._chance.random() * min(self._every * JITTER, _LARGEST_JITTER)
        wait = self._origin + turn * self._every + late - now
        return Turn(self._clock.time() + wait, wait, missed)


class Grid:
    """Turns at ``n * every + offset`` of the wall clock; the offset follows from the name.

    A turn that has begun elsewhere is not repeated: an agent that starts waits for the next one.
    """

    def __init__(self, name: str, every: float, clock: Clock) -> None:
        self._every = every
        self._clock = clock
        self._offset = share(name) * min(every, SPREAD)
        self._last: int | None = None

    def following(self) -> Turn:
        """The next turn that is not over yet, also after somebody set the clock."""
        now = self._clock.time()
        turn = math.floor((now - self._offset) / self._every) + 1
        if turn == self._last:  # a sleep may end a moment early
            turn += 1
        missed = 0 if self._last is None else max(0, turn - self._last - 1)
        self._last = turn
        tick = turn * self._every + self._offset
        return Turn(tick, tick - now, missed)
