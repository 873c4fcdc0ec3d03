"""Maintenance: when probes are not run, or run without alarming anybody.

A weekly window goes by the wall clock of its time zone, as Alertmanager's own time intervals do: where the clock is put
forward an hour of it falls out, and where it is put back one hour counts twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from quaywatch.contract import Meter

from .catalogue import MAINTENANCE_ACTIVE

_DAYS = 7


class Mode(StrEnum):
    """What becomes of a probe in a window: the values of the attribute ``mode``."""

    SKIP = "skip"
    """It is not run."""
    MUTE = "mute"
    """It is run, and nobody is to be alarmed."""


@dataclass(frozen=True, slots=True)
class Weekly:
    """The same hours on some days of each week.

    ``days`` count from Monday, 0, and are those on which it begins. ``begins`` and ``ends`` are minutes since midnight,
    1440 for the midnight at the day's end; a window that ends before it begins goes on into the next day.
    """

    days: frozenset[int]
    begins: int
    ends: int
    zone: ZoneInfo

    def covers(self, moment: float) -> bool:
        """Whether it is open at this Unix time."""
        local = datetime.fromtimestamp(moment, self.zone)
        today, minute = local.weekday(), local.hour * 60 + local.minute
        if self.begins < self.ends:
            return today in self.days and self.begins <= minute < self.ends
        since_yesterday = (today - 1) % _DAYS in self.days and minute < self.ends
        return since_yesterday or (today in self.days and minute >= self.begins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When and for which probes. Names are compared with shell patterns; ``begins`` and ``ends`` are Unix seconds."""

    name: str
    mode: Mode
    targets: tuple[str, ...]
    probes: tuple[str, ...]
    begins: float | None = None
    ends: float | None = None
    weekly: Weekly | None = None

    def concerns(self, target: str, probe: str) -> bool:
        """Whether it is about this probe."""
        return _matches(target, self.targets) and _matches(probe, self.probes)

    def covers(self, moment: float) -> bool:
        """Whether it is open at this Unix time: in the week's hours, if there are any, and between the two dates."""
        begun = self.begins is None or moment >= self.begins
        over = self.ends is not None and moment >= self.ends
        return begun and not over and (self.weekly is None or self.weekly.covers(moment))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class Maintenance:
    """The windows, which may change while the agent runs."""

    def __init__(self, windows: Sequence[Window] = ()) -> None:
        self._windows = tuple(windows)

    def take(self, windows: Sequence[Window]) -> None:
        """Go on with these windows."""
        self._windows = tuple(windows)

    def mode(self, target: str, probe: str, moment: float) -> Mode | None:
        """What becomes of the probe at this Unix time; to skip it goes before muting it."""
        modes = {one.mode for one in self._windows if one.concerns(target, probe) and one.covers(moment)}
        return min(modes, key=list(Mode).index, default=None)

    def tell(self, target: str, probe: str, moment: float, meter: Meter) -> Mode | None:
        """Say in the metrics what becomes of the probe now, and return it."""
        now = self.mode(target, probe, moment)
        for mode in Mode:
            meter.set(MAINTENANCE_ACTIVE, int(mode is now), target, probe, mode)
        return now
