"""The scaling of rules in time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.alerts.hurried import hurried, ranges, waits
from tests.alerts.rendered import GENERAL, groups

RULES: list[dict[str, Any]] = [
    {"record": "quaywatch:errors:ratio2h", "expr": "sum(increase(errors_total[2h])) / 7200"},
    {
        "alert": "Late",
        "expr": "quaywatch:errors:ratio2h > 0.5 or time() - seen_seconds > 3 * every_seconds",
        "for": "300s",
        "keep_firing_for": "120s",
        "labels": {"severity": "page"},
    },
]
GROUPS = [{"name": "some", "interval": "1m", "rules": RULES}]


def test_time_runs_faster_and_values_stay() -> None:
    """Ranges, waits and the clock are scaled; thresholds, factors and labels are not; names are the owner's."""
    (group,) = hurried(GROUPS, 60, "Late")
    assert group == {
        "name": "Late-some",
        "interval": "1000ms",
        "rules": [
            {"record": "Late:errors:ratio2h", "expr": "sum(increase(errors_total[120000ms])) / 7200"},
            {
                "alert": "Late",
                "expr": "Late:errors:ratio2h > 0.5 or (time() * 60) - seen_seconds > 3 * every_seconds",
                "for": "5000ms",
                "keep_firing_for": "2000ms",
                "labels": {"severity": "page"},
            },
        ],
    }
    assert RULES[1]["for"] == "300s"


def test_a_real_clock_is_left_alone() -> None:
    """Where only the rules are in a hurry, and what they read is not."""
    (group,) = hurried(GROUPS, 60, "Late", real_clock=True)
    assert "(time() * 1) - seen_seconds" in group["rules"][1]["expr"]


def test_nothing_is_evaluated_all_the_time() -> None:
    """However fast time runs."""
    assert [group["interval"] for group in hurried(GROUPS, 10_000, "Late")] == ["250ms"]


def test_what_rules_look_back_and_wait_for_is_known() -> None:
    """In seconds."""
    assert (ranges(GROUPS), waits(GROUPS)) == ([7200], [300, 120])


@pytest.mark.parametrize("factor", [1, 60])
def test_no_duration_is_overlooked(factor: float) -> None:
    """Every one of the shipped rules is in milliseconds afterwards, and as long as it was when time runs as ever."""
    before = groups(GENERAL)
    after = list(hurried(before, factor, "all"))
    durations = [
        rule[key] for group in after for rule in group["rules"] for key in ("for", "keep_firing_for") if key in rule
    ]
    assert [float(duration.removesuffix("ms")) * factor / 1000 for duration in durations] == waits(before)
    assert not [rule for group in after for rule in group["rules"] if ranges([{"rules": [rule]}])]
