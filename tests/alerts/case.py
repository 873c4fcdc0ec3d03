"""A case of an alert: a world that is well, falls ill and recovers, and what the alert says at each point of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics

_NAMES = {metric.name: prometheus_name(metric) for metric in all_metrics()}
_SERIES = re.compile(r"([a-z0-9_.]+?)(?::(bucket|sum|count))?(\{.*\})?")
_WELL = 40
"""Steps that all is well before."""
_AFTER = 420
"""Seconds that series go on after the last look at them: promtool takes them for alive five minutes too long."""


@dataclass(frozen=True)
class Level:
    """A gauge: its value in each phase; None for a series that is not there."""

    ill: float | None
    well: float | None

    def values(self, phases: list[tuple[bool, int]]) -> Iterator[str]:
        """The value at each step."""
        for ill, steps in phases:
            value = self.ill if ill else self.well
            yield from ["_" if value is None else f"{value:.15g}"] * steps


@dataclass(frozen=True)
class Count:
    """A counter: what it gains at each step in each phase."""

    ill: float
    well: float = 0

    def values(self, phases: list[tuple[bool, int]]) -> Iterator[str]:
        """The value at each step."""
        value = 0.0
        for ill, steps in phases:
            for _ in range(steps):
                value += self.ill if ill else self.well
                yield f"{value:.2f}"


@dataclass(frozen=True)
class Clock:
    """A gauge that holds the time while all is well, and stands still while it is not."""

    every: int = 15

    def values(self, phases: list[tuple[bool, int]]) -> Iterator[str]:
        """The value at each step."""
        at, seen = 0, 0
        for ill, steps in phases:
            for _ in range(steps):
                seen = seen if ill else at
                yield str(seen)
                at += self.every


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

    series: Mapping[str, Level | Count | Clock]
    after: int = 0
    over: int = 0
    step: int = 15
    well: int = _WELL
    silent: bool = False
    always: bool = False

    def tests(self, rule: Mapping[str, Any], rule_file: str) -> dict[str, Any]:
        """Promtool's file: it does not fire yet, fires, resolves, and what it does without data."""
        began = self.well * self.step
        slack = 3 * max(self.step, 15)
        hold, keep = _seconds(rule.get("for")), _seconds(rule.get("keep_firing_for"))
        fires = began + self.after + hold + slack
        not_yet = began + self.after + hold - 2 * max(self.step, 15) if self.after + hold else began - self.step
        resolves = fires + slack + self.over + keep + slack
        ill = (fires - began + slack) // self.step
        healing = (resolves + _AFTER - fires) // self.step
        watched = {not_yet: self.always, fires: True, resolves: self.always}
        course = [(False, self.well), (True, ill), (False, healing)]
        silence = [(False, self.well), (True, ill)]
        gone = fires + self.over + hold + keep + slack + 360
        return {
            "rule_files": [rule_file],
            "evaluation_interval": f"{max(self.step, 15)}s",
            "tests": [
                self._test("not yet, fires, resolves", rule, course, watched),
                self._test("no data", rule, silence, {fires: True, gone: self.silent or self.always}, end=["stale"]),
            ],
        }

    def _test(
        self,
        name: str,
        rule: Mapping[str, Any],
        phases: list[tuple[bool, int]],
        watched: Mapping[int, bool],
        end: list[str] | None = None,
    ) -> dict[str, Any]:
        series = [
            {"series": _stored(text), "values": " ".join([*shape.values(phases), *(end or [])])}
            for text, shape in self.series.items()
        ]
        severity = rule["labels"]["severity"]
        expr = f'sum by (severity) (ALERTS{{alertname="{rule["alert"]}",alertstate="firing"}})'
        samples = [{"labels": f'{{severity="{severity}"}}', "value": 1}]
        looks = [
            {"expr": expr, "eval_time": f"{at}s", "exp_samples": samples if firing else []}
            for at, firing in watched.items()
        ]
        return {"name": name, "interval": f"{self.step}s", "input_series": series, "promql_expr_test": looks}


def _seconds(duration: str | None) -> int:
    return int(duration.removesuffix("s")) if duration else 0


def _stored(text: str) -> str:
    """The series as it is stored, every name out of the catalogue."""
    match = _SERIES.fullmatch(text)
    assert match, text
    name, part, labels = match.groups()
    given = dict(re.findall(r'(\w+)="([^"]*)"', labels or ""))
    whole = {"environment": "prod", "target": "erp", **given}
    inside = ",".join(f'{label}="{value}"' for label, value in whole.items() if value)
    return f"{_NAMES[name]}{'_' + part if part else ''}{{{inside}}}"
