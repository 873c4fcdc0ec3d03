"""Maintenance windows as Alertmanager's time intervals, and the sets of alerts that they are about.

A time interval has days of a month, months and years besides the hours and the days of a week, so that it can say a
window between two dates too, to the minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from alerts.patterns import regex

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MIDNIGHT: Final = 1440
_HOUR: Final = 60
_DECEMBER: Final = 12
_EARLIEST: Final = date(2000, 1, 1)
_LATEST: Final = date(2999, 12, 31)
_DAY: Final = timedelta(days=1)
_MOST: Final = 64

Dates = dict[str, list[str]]
"""The part of a time interval that says on which days it is."""


class OverlapError(ValueError):
    """Windows overlap in more ways than anybody would read routes for."""


@dataclass(frozen=True, slots=True)
class Weekly:
    """The same hours on some days of each week: the days on which it begins, and minutes since midnight.

    A window that ends before it begins goes on into the next day.
    """

    days: tuple[str, ...]
    begins: int
    ends: int
    zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One maintenance window: when it is, and the shell patterns of the targets and probes that it is about."""

    name: str
    environment: str
    targets: tuple[str, ...] = ("*",)
    probes: tuple[str, ...] = ("*",)
    begins: datetime | None = None
    ends: datetime | None = None
    weekly: Weekly | None = None

    @property
    def scope(self) -> Scope:
        """The alerts that it is about."""
        return Scope(self.environment, self.targets, self.probes)


@dataclass(frozen=True, slots=True)
class Scope:
    """The alerts of an environment whose target and probe fit a pattern; ``*`` is fitted by those without, too.

    That no agent is heard is of none: nobody would know when the window has ended.
    """

    environment: str
    targets: tuple[str, ...]
    probes: tuple[str, ...]

    @property
    def matchers(self) -> list[str]:
        """Alertmanager's for them."""
        labels = {"target": self.targets, "probe": self.probes}
        fitting = [matching(label, patterns) for label, patterns in labels.items() if "*" not in patterns]
        return [f"environment={quoted(self.environment)}", *(fitting or ['alertname!="AgentAbsent"'])]

    def holds(self, other: Scope) -> bool:
        """Whether every alert of the other is surely one of its own."""
        held = (_hold(self.targets, other.targets), _hold(self.probes, other.probes))
        return self.environment == other.environment and all(held)

    def meets(self, other: Scope) -> bool:
        """Whether some alert may be of both."""
        met = (_meet(self.targets, other.targets), _meet(self.probes, other.probes))
        return self.environment == other.environment and all(met)


def quoted(value: str) -> str:
    """The value of a matcher."""
    return json.dumps(value, ensure_ascii=False)


def matching(label: str, patterns: Iterable[str]) -> str:
    """The matcher of a label by shell patterns."""
    return f"{label}=~{quoted(regex(patterns))}"


def named(windows: Sequence[Window]) -> dict[str, Window]:
    """The windows by a name that no other has: a number is added to one that comes again."""
    names: dict[str, Window] = {}
    for window in windows:
        wanted = f"{window.environment}: {window.name}"
        name, number = wanted, 1
        while name in names:
            number += 1
            name = f"{wanted} ({number})"
        names[name] = window
    return names


def regions(scopes: Iterable[Scope]) -> list[tuple[Scope, ...]]:
    """The ways in which scopes may overlap, so that the first one whose scopes all have an alert has all that have it.

    Raises:
        OverlapError: when there are more than anybody would read.
    """
    found: list[tuple[Scope, ...]] = []
    for scope in dict.fromkeys(scopes):
        found += [(*region, scope) for region in [(), *found] if all(scope.meets(other) for other in region)]
        if len(found) > _MOST:
            raise OverlapError(f"the maintenance windows overlap in more than {_MOST} ways")
    whole = [region for region in found if not any(_is_held(region, scope) for (scope, *more) in found if not more)]
    return sorted(whole, key=len, reverse=True)


def _is_held(region: Sequence[Scope], scope: Scope) -> bool:
    """Whether all of the region's alerts are the scope's too, so that a larger region has them."""
    return scope not in region and any(scope.holds(other) for other in region)


def _hold(patterns: Iterable[str], others: Iterable[str]) -> bool:
    return all(any(_holds(pattern, other) for pattern in patterns) for other in others)


def _holds(pattern: str, other: str) -> bool:
    """Whether it surely fits what the other fits: it is the same, or a beginning and anything."""
    return pattern == other or (pattern == _fixed(pattern) + "*" and _fixed(other).startswith(_fixed(pattern)))


def _meet(patterns: Iterable[str], others: Iterable[str]) -> bool:
    return any(_may_meet(pattern, other) for pattern in patterns for other in others)


def _may_meet(pattern: str, other: str) -> bool:
    """Whether a name may fit both, by how the two begin."""
    one, two = _fixed(pattern), _fixed(other)
    if one == pattern and two == other:
        return one == two
    return (one.startswith(two) and two != other) or (two.startswith(one) and one != pattern)


def _fixed(pattern: str) -> str:
    """What of a pattern stands before its first wild card."""
    return min((pattern.partition(wild)[0] for wild in "*?["), key=len)


# --- when -------------------------------------------------------------------------------------------------------------


def intervals(window: Window) -> list[dict[str, Any]]:
    """Alertmanager's time intervals for a window."""
    weekly = window.weekly
    zone: tzinfo = weekly.zone if weekly else UTC
    found = []
    for weekdays, begins, ends in _hours(weekly):
        for dates, first, last in _bounded(_local(window.begins, zone), _local(window.ends, zone, up=True)):
            start, end = max(begins, first), min(ends, last)
            if start < end:
                times = [{"start_time": _clock(start), "end_time": _clock(end)}]
                found.append({**weekdays, **dates, "times": times, "location": str(zone)})
    return found


def _hours(weekly: Weekly | None) -> Iterator[tuple[Dates, int, int]]:
    if weekly is None:
        yield {}, 0, _MIDNIGHT
    elif weekly.begins < weekly.ends:
        yield {"weekdays": list(weekly.days)}, weekly.begins, weekly.ends
    else:
        yield {"weekdays": list(weekly.days)}, weekly.begins, _MIDNIGHT
        yield {"weekdays": [_after(day) for day in weekly.days]}, 0, weekly.ends


def _after(day: str) -> str:
    return DAYS[(DAYS.index(day) + 1) % len(DAYS)]


def _local(moment: datetime | None, zone: tzinfo, *, up: bool = False) -> datetime | None:
    """The moment by the clock of the zone, to the minute: down, or up."""
    if moment is None:
        return None
    more = timedelta(minutes=1, microseconds=-1) if up else timedelta()
    return (moment.astimezone(zone) + more).replace(second=0, microsecond=0)


def _bounded(begins: datetime | None, ends: datetime | None) -> Iterator[tuple[Dates, int, int]]:
    """The days between two moments, and from when to when they are meant: in part the first and the last one."""
    if begins is None and ends is None:
        yield {}, 0, _MIDNIGHT
        return
    first, last = begins.date() if begins else _EARLIEST, ends.date() if ends else _LATEST
    if begins and ends and first == last:
        yield from _on(first, _minutes(begins), _minutes(ends))
        return
    if begins:
        yield from _on(first, _minutes(begins), _MIDNIGHT)
        first += _DAY
    if ends:
        yield from _on(last, 0, _minutes(ends))
        last -= _DAY
    for dates in _between(first, last):
        yield dates, 0, _MIDNIGHT


def _on(day: date, begins: int, ends: int) -> Iterator[tuple[Dates, int, int]]:
    for dates in _between(day, day):
        yield dates, begins, ends


def _between(first: date, last: date) -> Iterator[Dates]:
    """All days from one to another: parts of months, then whole months, then whole years."""
    if first > last:
        return
    if _is_month_of(first, last):
        yield _dates(first, last, month=first.month, days=(first.day, last.day))
    elif first.day != 1:
        end = _month_end(first)
        yield from _between(first, end)
        yield from _between(end + _DAY, last)
    elif last != _month_end(last):
        yield from _between(first, last.replace(day=1) - _DAY)
        yield from _between(last.replace(day=1), last)
    else:
        yield from _months(first, last)


def _is_month_of(first: date, last: date) -> bool:
    return (first.year, first.month) == (last.year, last.month)


def _months(first: date, last: date) -> Iterator[Dates]:
    if first.year == last.year:
        yield {"years": [str(first.year)], "months": [_range(first.month, last.month)]}
    elif first.month != 1:
        yield from _months(first, date(first.year, _DECEMBER, 31))
        yield from _months(date(first.year + 1, 1, 1), last)
    elif last.month != _DECEMBER:
        yield from _months(first, date(last.year - 1, _DECEMBER, 31))
        yield from _months(date(last.year, 1, 1), last)
    else:
        yield {"years": [_range(first.year, last.year)]}


def _dates(first: date, last: date, *, month: int, days: tuple[int, int]) -> Dates:
    return {"years": [_range(first.year, last.year)], "months": [str(month)], "days_of_month": [_range(*days)]}


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - _DAY


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}:{last}"


def _minutes(moment: datetime) -> int:
    return moment.hour * _HOUR + moment.minute


def _clock(minutes: int) -> str:
    return f"{minutes // _HOUR:02}:{minutes % _HOUR:02}"


def by_scope(windows: Mapping[str, Window], region: Iterable[Scope]) -> list[str]:
    """The names of the windows that are about a region's alerts."""
    scopes = set(region)
    return [name for name, window in windows.items() if window.scope in scopes]
