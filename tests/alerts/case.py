"""A case of an alert: a world that is well, falls ill and recovers, and what the alert says at each point of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics

_NAMES = {metric.name: prometheus_name(metric) for metric in all_metrics()}
_SERIES = re.compile(r"([a-z0-9_.]+?)(?::(bucket|sum|count))?(\{.*\})?")
_WELL = 40
"""Steps that all is well before."""
_AFTER = 420
"""Seconds that series go on after the last look at them: promtool takes them for alive five minutes too long."""


@dataclass(frozen=True)
class Moment:
    """A point of a course.

    Args:
        ill: whether it is ill now.
        ill_steps: steps that it was ill until now.
        well_steps: steps that it was well until now.
        last_well: when it was last well, in seconds of the course's own clock.
    """

    ill: bool
    ill_steps: float
    well_steps: float
    last_well: float


class Shape(Protocol):
    """What a series does while its world is well, and while it is ill."""

    def value(self, moment: Moment) -> float | None:
        """The value then; None for a series that is not there."""
        ...


@dataclass(frozen=True)
class Level:
    """A gauge: its value in each phase; None for a series that is not there."""

    ill: float | None
    well: float | None

    def value(self, moment: Moment) -> float | None:
        """That of the phase."""
        return self.ill if moment.ill else self.well


@dataclass(frozen=True)
class Count:
    """A counter: what it gains at each step in each phase."""

    ill: float
    well: float = 0

    def value(self, moment: Moment) -> float:
        """What it has gained in both."""
        return moment.ill_steps * self.ill + moment.well_steps * self.well


@dataclass(frozen=True)
class Clock:
    """A gauge that holds the time while all is well, and stands still while it is not."""

    def value(self, moment: Moment) -> float:
        """When all was last well."""
        return moment.last_well


@dataclass(frozen=True)
class Case:
    """One alert's four cases in small.

    Args:
        series: values by ``metric.name{label="value"}``; environment and target are added where they lack.
        after: seconds from falling ill until the condition is true, beyond the rule's own ``for``.
        over: seconds from recovering until the condition is false, beyond its ``keep_firing_for``.
        step: seconds between two samples.
        well: steps that all is well before it falls ill.
        silent: whether it fires without any data.
        always: whether it fires whatever there is.
    """

    series: Mapping[str, Shape]
    after: int = 0
    over: int = 0
    step: int = 15
    well: int = _WELL
    silent: bool = False
    always: bool = False

    def tests(self, rule: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Promtool's tests: it does not fire yet, fires, resolves, and what it does without data."""
        began = self.well * self.step
        slack = 3 * max(self.step, 15)
        hold, keep = seconds(rule.get("for")), seconds(rule.get("keep_firing_for"))
        fires = began + self.after + hold + slack
        not_yet = began + self.after + hold - 2 * max(self.step, 15) if self.after + hold else began - self.step
        resolves = fires + slack + self.over + keep + slack
        ill = round(fires - began + slack) // self.step
        healing = round(resolves + _AFTER - fires) // self.step
        watched = {not_yet: self.always, fires: True, resolves: self.always}
        course = [(False, self.well), (True, ill), (False, healing)]
        silence = [(False, self.well), (True, ill)]
        gone = fires + self.over + hold + keep + slack + 360
        return [
            self._test("not yet, fires, resolves", rule, course, watched),
            self._test("no data", rule, silence, {fires: True, gone: self.silent or self.always}, end=["stale"]),
        ]

    def hurried(self, faster: int, coarser: int) -> Case:
        """The same course in a world whose time runs so many times faster, each step in place of several."""
        series = {
            text: Count(shape.ill * coarser, shape.well * coarser) if isinstance(shape, Count) else shape
            for text, shape in self.series.items()
        }
        step, well = self.step * coarser // faster, self.well // coarser
        return replace(self, series=series, step=step, well=well, after=self.after // faster, over=self.over // faster)

    def samples(self, environment: str, moment: Moment) -> Iterator[tuple[str, float]]:
        """Every series that is there at a moment, as it is stored, with its value."""
        for text, shape in self.series.items():
            value = shape.value(moment)
            if value is not None:
                yield _stored(text, environment), value

    def _test(
        self,
        name: str,
        rule: Mapping[str, Any],
        phases: list[tuple[bool, int]],
        watched: Mapping[float, bool],
        end: list[str] | None = None,
    ) -> dict[str, Any]:
        series = [
            {
                "series": _stored(text, rule["alert"]),
                "values": " ".join([*(_written(shape, one) for one in _moments(phases, self.step)), *(end or [])]),
            }
            for text, shape in self.series.items()
        ]
        samples = [{"labels": f'{{severity="{rule["labels"]["severity"]}"}}', "value": 1}]
        looks = [
            {"expr": firing(rule["alert"]), "eval_time": f"{at:.0f}s", "exp_samples": samples if fires else []}
            for at, fires in watched.items()
        ]
        return {"name": name, "interval": f"{self.step}s", "input_series": series, "promql_expr_test": looks}


def firing(alert: str) -> str:
    """Whether an alert fires in the environment of its own name, or where it knows of none."""
    matchers = f'alertname="{alert}",alertstate="firing",environment=~"{alert}|"'
    return f"sum by (severity) (ALERTS{{{matchers}}})"


def seconds(duration: str | None) -> float:
    """A duration as the rules have it; 0 for none."""
    return float(duration.removesuffix("s")) if duration else 0


def _moments(phases: list[tuple[bool, int]], step: int) -> Iterator[Moment]:
    spent, at, last_well = {True: 0, False: 0}, 0, 0
    for ill, steps in phases:
        for _ in range(steps):
            spent[ill] += 1
            last_well = last_well if ill else at
            yield Moment(ill, spent[True], spent[False], last_well)
            at += step


def _written(shape: Shape, moment: Moment) -> str:
    value = shape.value(moment)
    return "_" if value is None else f"{value:.15g}"


def _stored(text: str, environment: str) -> str:
    """The series as it is stored, every name out of the catalogue."""
    match = _SERIES.fullmatch(text)
    assert match, text
    name, part, labels = match.groups()
    given = dict(re.findall(r'(\w+)="([^"]*)"', labels or ""))
    whole = {"environment": environment, "target": "erp", **given}
    inside = ",".join(f'{label}="{value}"' for label, value in whole.items() if value)
    return f"{_NAMES[name]}{'_' + part if part else ''}{{{inside}}}"
