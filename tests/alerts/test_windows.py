"""Maintenance windows as Alertmanager's time intervals: the same moments, and the same alerts, as for the probes."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts.alertmanager.windows import DAYS, OverlapError, Scope, Weekly, Window, intervals, named, regions
from alerts.patterns import regex
from quaywatch.runtime import maintenance as agent

BERLIN = ZoneInfo("Europe/Berlin")
YEAR = 525_600
SINCE, UNTIL = datetime(2026, 11, 30, 21, 15, tzinfo=UTC), datetime(2028, 3, 2, 4, 30, tzinfo=UTC)
WEEKENDS = Weekly(("saturday", "sunday"), 22 * 60 + 30, 60, BERLIN)
MORNINGS = Weekly(("monday", "friday"), 6 * 60, 7 * 60, ZoneInfo("America/New_York"))
WHEN: Mapping[str, Mapping[str, Any]] = {
    "over midnight": {"weekly": WEEKENDS},
    "in the morning": {"weekly": MORNINGS},
    "until midnight": {"weekly": Weekly(("sunday",), 0, 1440, BERLIN)},
    "weekly since": {"weekly": WEEKENDS, "begins": SINCE},
    "weekly until": {"weekly": MORNINGS, "ends": UNTIL},
    "weekly between": {"weekly": WEEKENDS, "begins": SINCE, "ends": UNTIL},
    "years": {"begins": SINCE, "ends": UNTIL},
    "an hour": {"begins": SINCE, "ends": SINCE + timedelta(hours=1)},
    "a night": {"begins": SINCE, "ends": SINCE + timedelta(hours=9)},
    "to the midnight": {"begins": SINCE, "ends": datetime(2026, 12, 1, tzinfo=UTC)},
    "whole days": {"begins": datetime(2027, 2, 27, tzinfo=UTC), "ends": datetime(2027, 3, 3, tzinfo=UTC)},
    "whole years": {"begins": datetime(2027, 1, 1, tzinfo=UTC), "ends": datetime(2029, 1, 1, tzinfo=UTC)},
    "some months": {"begins": datetime(2027, 2, 1, tzinfo=UTC), "ends": datetime(2028, 6, 1, tzinfo=UTC)},
}


def window(**more: Any) -> Window:
    """A window of production."""
    return Window(name="work", environment="prod", **more)


def of_agent(window: Window) -> agent.Window:
    """The same window as the agent has it."""
    hours = window.weekly
    weekly = (
        agent.Weekly(frozenset(map(DAYS.index, hours.days)), hours.begins, hours.ends, hours.zone) if hours else None
    )
    return agent.Window(
        name="work",
        mode=agent.Mode.SKIP,
        targets=("*",),
        probes=("*",),
        begins=window.begins.timestamp() if window.begins else None,
        ends=window.ends.timestamp() if window.ends else None,
        weekly=weekly,
    )


def covers(found: Sequence[Mapping[str, Any]], moment: datetime) -> bool:
    """Whether Alertmanager is in one of the time intervals, as its documentation has them."""
    return any(_covers(interval, moment.astimezone(ZoneInfo(interval["location"]))) for interval in found)


def _covers(interval: Mapping[str, Any], local: datetime) -> bool:
    parts = {"years": local.year, "months": local.month, "days_of_month": local.day}
    for key, value in parts.items():
        if key in interval and not any(_within(value, ranged) for ranged in interval[key]):
            return False
    if "weekdays" in interval and DAYS[local.weekday()] not in interval["weekdays"]:
        return False
    clock = f"{local:%H:%M}"
    return any(time["start_time"] <= clock < time["end_time"] for time in interval["times"])


def _within(value: int, ranged: str) -> bool:
    first, _, last = ranged.partition(":")
    return int(first) <= value <= int(last or first)


@pytest.mark.parametrize("when", WHEN)
def test_alertmanager_mutes_when_the_agent_does(when: str) -> None:
    """Three years minute by minute, at random and around every edge; clocks that change included."""
    one = window(**WHEN[when])
    found, same = intervals(one), of_agent(one)
    chance = random.Random(when)  # noqa: S311 - moments, no secrets
    start = datetime(2026, 6, 1, tzinfo=UTC)
    moments = [start + timedelta(minutes=chance.randrange(3 * YEAR)) for _ in range(2000)]
    edges = [moment for moment in (one.begins, one.ends) if moment]
    moments += [edge + timedelta(minutes=minutes) for edge in edges for minutes in range(-1500, 1500, 15)]
    moments += [edge + timedelta(minutes=minutes) for edge in edges for minutes in (-1, 0, 1)]
    changes = datetime(2026, 10, 24, tzinfo=UTC), datetime(2027, 3, 27, tzinfo=UTC)
    moments += [change + timedelta(minutes=minutes) for change in changes for minutes in range(0, 2880, 5)]
    wrong = [moment for moment in moments if covers(found, moment) != same.covers(moment.timestamp())]
    assert wrong == []
    assert any(covers(found, moment) for moment in moments)
    assert not all(covers(found, moment) for moment in moments)


def test_seconds_are_rounded_outwards() -> None:
    """Alertmanager knows minutes: nobody is alarmed a few seconds early."""
    (interval,) = intervals(window(begins=SINCE + timedelta(seconds=59), ends=SINCE + timedelta(minutes=3, seconds=1)))
    assert interval["times"] == [{"start_time": "21:15", "end_time": "21:19"}]


def test_windows_of_one_name_are_told_apart() -> None:
    """Alertmanager takes each name once."""
    assert list(named([window(), window(probes=("login",)), window()])) == [
        "prod: work",
        "prod: work (2)",
        "prod: work (3)",
    ]


# --- whose ------------------------------------------------------------------------------------------------------------

NAMES = ("erp", "erp-db", "erp-standby", "acme", "acme.test", "cache", "")
PATTERNS = ("*", "erp", "erp-*", "erp*", "*db", "acme", "a?me", "[ace]*", "acme.test", "[!e]*")


@pytest.mark.parametrize("pattern", [*PATTERNS, "*r*d*", "[^x]rp", "a+b", "a-b", "[]x]rp", "{x}"])
def test_a_pattern_fits_alertmanagers_way_what_it_fits_here(pattern: str) -> None:
    """The expression is one of RE2: neither look-around nor atomic groups, which Python's own translation has."""
    expression = regex([pattern])
    assert "(?" not in expression
    for name in (*NAMES, "^rp", "xrp", "]rp", "a+b", "aab", "a-b", "{x}", "acmeXtest"):
        assert bool(re.fullmatch(expression, name)) == fnmatchcase(name, pattern), name


def chosen(found: Sequence[tuple[Scope, ...]], target: str) -> set[Scope]:
    """The scopes of the first region that takes an alert, as Alertmanager goes through routes."""
    first = next((region for region in found if all(fits(scope, target) for scope in region)), ())
    return {scope for scope in first if fits(scope, target)}


def fits(scope: Scope, target: str) -> bool:
    """Whether a target's alerts are among the scope's."""
    return any(fnmatchcase(target, pattern) for pattern in scope.targets)


def test_the_first_route_that_fits_has_every_window_of_an_alert() -> None:
    """Whatever patterns windows have: no alert is muted by fewer windows than its own, or by more."""
    chance = random.Random(7)  # noqa: S311 - patterns, no secrets
    for _ in range(300):
        scopes = [
            Scope("prod", tuple(chance.sample(PATTERNS, chance.randint(1, 2))), ("*",))
            for _ in range(chance.randint(1, 5))
        ]
        found = regions(scopes)
        for target in NAMES:
            assert chosen(found, target) == {scope for scope in scopes if fits(scope, target)}, (scopes, target)


def test_windows_that_do_not_overlap_make_no_routes_for_it() -> None:
    """One route for each; and one that is within another needs none of its own."""
    one, two, within = (Scope("prod", (pattern,), ("*",)) for pattern in ("erp-*", "acme", "erp-db"))
    assert regions([one, two]) == [(one,), (two,)]
    assert regions([one, within]) == [(one, within), (one,)]
    assert regions([one, Scope("staging", ("erp-*",), ("*",))]) == [(one,), (Scope("staging", ("erp-*",), ("*",)),)]


def test_windows_that_overlap_in_too_many_ways_are_refused() -> None:
    """Nobody would read as many routes."""
    with pytest.raises(OverlapError, match="64 ways"):
        regions(Scope("prod", (f"*{number}",), ("*",)) for number in range(7))
