"""Maintenance windows: open when they should be, by the wall clock of their zone."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from quaywatch.runtime.maintenance import Maintenance, Mode, Weekly, Window
from tests.unit.runtime.probe_fakes import Numbers

BERLIN = ZoneInfo("Europe/Berlin")
SUNDAY, SATURDAY = 6, 5


def at(text: str) -> float:
    """A moment, as RFC 3339."""
    return datetime.fromisoformat(text).timestamp()


def window(mode: Mode = Mode.SKIP, **more: object) -> Window:
    """A window about everything."""
    settings = {"name": "w", "mode": mode, "targets": ("*",), "probes": ("*",)} | more
    return Window(**settings)  # type: ignore[arg-type]  # each test gives what it is about


def minutes(begins: float, step: int, count: int) -> list[float]:
    """So many moments."""
    return [begins + 60 * step * number for number in range(count)]


def test_between_two_dates() -> None:
    """From the first moment on, and not at the last one."""
    one = window(begins=at("2026-12-01T22:00:00+01:00"), ends=at("2026-12-02T02:00:00+01:00"))
    moments = ("2026-12-01T20:59:59Z", "2026-12-01T21:00:00Z", "2026-12-02T00:59:59Z", "2026-12-02T01:00:00Z")
    assert [one.covers(at(moment)) for moment in moments] == [False, True, True, False]


def test_some_hours_of_some_days() -> None:
    """Only on its days, in the local time of its zone, in winter and in summer."""
    one = window(weekly=Weekly(frozenset({SUNDAY}), 2 * 60, 4 * 60, BERLIN))
    inside = ("2026-01-04T02:00:00+01:00", "2026-07-05T03:59:59+02:00")
    outside = ("2026-01-04T04:00:00+01:00", "2026-01-05T02:30:00+01:00", "2026-07-05T02:30:00Z")
    assert [one.covers(at(moment)) for moment in inside] == [True, True]
    assert [one.covers(at(moment)) for moment in outside] == [False, False, False]


def test_over_midnight() -> None:
    """It belongs to the day on which it begins."""
    one = window(weekly=Weekly(frozenset({SATURDAY}), 22 * 60, 60, BERLIN))
    inside = ("2026-01-03T22:00:00+01:00", "2026-01-04T00:59:00+01:00")
    outside = ("2026-01-03T00:30:00+01:00", "2026-01-04T01:00:00+01:00", "2026-01-04T22:30:00+01:00")
    assert [one.covers(at(moment)) for moment in inside] == [True, True]
    assert [one.covers(at(moment)) for moment in outside] == [False, False, False]


@pytest.mark.parametrize(
    ("night", "hours"),
    [("2026-03-29T00:00:00+01:00", 1), ("2026-10-25T00:00:00+02:00", 3), ("2026-06-14T00:00:00+02:00", 2)],
)
def test_the_clock_is_put_forward_and_back(night: str, hours: int) -> None:
    """From two to four by the wall clock is one hour in spring, three in autumn, and two on every other Sunday."""
    one = window(weekly=Weekly(frozenset({SUNDAY}), 2 * 60, 4 * 60, BERLIN))
    assert sum(one.covers(moment) for moment in minutes(at(night), 1, 12 * 60)) == hours * 60


def test_the_whole_day() -> None:
    """Until 24:00 is until the last moment."""
    one = window(weekly=Weekly(frozenset({SUNDAY}), 0, 1440, BERLIN))
    assert sum(one.covers(moment) for moment in minutes(at("2026-01-01T00:00:00+01:00"), 1, 7 * 1440)) == 1440


def test_dates_bound_the_weeks() -> None:
    """A weekly window is open only between its two dates."""
    weekly = Weekly(frozenset({SUNDAY}), 2 * 60, 4 * 60, BERLIN)
    one = window(weekly=weekly, begins=at("2026-01-05T00:00:00Z"), ends=at("2026-01-12T00:00:00Z"))
    sundays = [f"2026-01-{day:02}T03:00:00+01:00" for day in (4, 11, 18)]
    assert [one.covers(at(moment)) for moment in sundays] == [False, True, False]


def test_names_are_patterns_and_skip_goes_before_mute() -> None:
    """A window is about the probes it names; where several are open, the probe is not run."""
    maintenance = Maintenance([window(Mode.MUTE), window(Mode.SKIP, targets=("erp-*",), probes=("order_*",))])
    assert maintenance.mode("erp-acme", "order_create", 0) is Mode.SKIP
    assert maintenance.mode("erp-acme", "label_print", 0) is Mode.MUTE
    assert maintenance.mode("shop", "order_create", 0) is Mode.MUTE


def test_it_is_said_and_ends() -> None:
    """Both modes have their series, 1 for the one that is on; new windows are taken without a restart."""
    meter, maintenance = Numbers(), Maintenance([window(Mode.MUTE)])
    assert maintenance.tell("erp", "order_create", 0, meter) is Mode.MUTE
    assert meter.of("quaywatch.maintenance.active", target="erp", probe="order_create", mode="mute") == 1
    assert meter.of("quaywatch.maintenance.active", target="erp", probe="order_create", mode="skip") == 0
    maintenance.take([])
    assert maintenance.tell("erp", "order_create", 0, meter) is None
    assert meter.of("quaywatch.maintenance.active", target="erp", probe="order_create", mode="mute") == 0
