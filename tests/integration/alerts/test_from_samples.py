"""Alerts that no real fault proves: samples of each case to the real Prometheus, whose rules run faster."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from sandbox.parts import api, prometheus
from sandbox.parts.prometheus import Prometheus
from sandbox.process import until
from sandbox.world import World
from tests.alerts.cases import CASES
from tests.alerts.hurried import hurried, ranges, waits
from tests.alerts.proofs import FROM_SAMPLES
from tests.alerts.rendered import part, text_of
from tests.integration.alerts.endpoint import Live, served

PARTS = ("prometheus",)
pytestmark = pytest.mark.timeout(600)
"""All may be played twice."""
_READ_EVERY = "200ms"
_SPAN = 4.0
"""Seconds that falling ill and recovering may take each, if a rule's shortest range allows it."""
_SHORTEST = 1.0
"""Seconds that any range has at least: several samples are in it."""
_WELL = 1.0
"""Seconds that all is seen to be well before it falls ill."""
_WITHIN = 150.0
"""Seconds in which everything is over; on an idle machine it takes a tenth of them."""


@dataclass
class Seen:
    """What became of an alert: whether it fired while all was well, and when it fired and resolved."""

    early: bool = False
    fired: float | None = None
    resolved: float | None = None


@pytest.fixture(scope="module")
def seen(world: World) -> dict[str, Seen]:
    """Every alert's course, all at the same time; those that went wrong once more, as a late sample can be why."""
    first = courses(world.prometheus, FROM_SAMPLES)
    wrong = [alert for alert, one in first.items() if not went_well(alert, one)]
    return first | (courses(world.prometheus, wrong) if wrong else {})


def courses(server: Prometheus, alerts: Iterable[str]) -> dict[str, Seen]:
    """What becomes of some alerts, each from being well to being well again."""
    lives = {alert: Live(alert, CASES[alert], factor(alert)) for alert in alerts}
    with served(lives) as address, evaluated(server, lives, address):
        return watch(server, lives)


def factor(alert: str) -> float:
    """How fast the world of an alert runs: its course is short, and each range still has samples."""
    case, rules = CASES[alert], part(text_of(alert), alert)
    longest = max(case.after, case.over, *waits(rules), 60)
    return min([longest / _SPAN, *(span / _SHORTEST for span in ranges(rules))])


@contextmanager
def evaluated(server: Prometheus, lives: dict[str, Live], address: str) -> Iterator[None]:
    """The rules of these alerts in Prometheus, and their samples."""
    rules = server.rules / "from_samples.yml"
    groups = [
        group for alert, live in lives.items() for group in hurried(part(text_of(alert), alert), live.factor, alert)
    ]
    before = f'count_over_time({{environment=~"{"|".join(lives)}"}}[{_SPAN:.0f}s])'
    assert until(lambda: not api.query(server.url, before), within=_WITHIN), "samples of a course before are left"
    rules.write_text(yaml.safe_dump({"groups": groups}))
    try:
        prometheus.set_targets(server, [address], every=_READ_EVERY)
        assert until(lambda: bool(api.query(server.url, f'up{{instance="{address}"}} == 1')), within=_WITHIN)
        api.reload(server.url)
        yield
    finally:
        prometheus.set_targets(server, [])
        rules.unlink()
        api.reload(server.url)


def watch(server: Prometheus, lives: dict[str, Live]) -> dict[str, Seen]:
    """Let each world fall ill, heal as soon as its alert fires, and look until all have resolved."""
    began = time.monotonic()
    seen = {alert: Seen() for alert in lives}

    def over() -> bool:
        now, firing = time.monotonic() - began, fire(server)
        for alert, live in lives.items():
            look(seen[alert], live, now, fires=alert in firing)
        return all(went_well(alert, one) for alert, one in seen.items())

    until(over, within=_WITHIN)
    return seen


def look(seen: Seen, live: Live, now: float, *, fires: bool) -> None:
    """What is to be noted of an alert, and done to its world, at a moment."""
    if live.fell_ill is None:
        seen.early = seen.early or fires
        # A rule is first looked at up to an interval after it was loaded.
        if now > _WELL and (seen.early or not live.case.always):
            live.fall_ill()
    elif live.healed is None and fires:
        seen.fired = now
        live.heal()
    elif live.healed is not None and seen.resolved is None and not fires:
        seen.resolved = now


def fire(server: Prometheus) -> set[str]:
    """The alerts that fire in the environment called as they are, or that know of none."""
    found: list[dict[str, Any]] = json.loads(api.get(f"{server.url}/api/v1/alerts"))["data"]["alerts"]
    labels = [alert["labels"] for alert in found if alert["state"] == "firing"]
    return {one["alertname"] for one in labels if one.get("environment", one["alertname"]) == one["alertname"]}


@pytest.mark.parametrize("alert", FROM_SAMPLES)
def test_an_alert_fires_and_resolves(alert: str, seen: dict[str, Seen]) -> None:
    """It is silent while all is well, fires when its case is ill, and is over when that is."""
    assert went_well(alert, seen[alert]), seen[alert]


def went_well(alert: str, seen: Seen) -> bool:
    """Whether it did what it is to do: one that always fires did so from the beginning, and is never over."""
    always = CASES[alert].always
    return seen.early == always and seen.fired is not None and (seen.resolved is None) == always
