"""Alerts on business flows: what a page is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .rule import Role, Rule, Service, Severity

DEFAULT_INTERVALS = (30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""Seconds between a flow's runs for which rules are made when no configuration is known."""

_RUNS = 5
_FAILED = 2.6
"""3 of 5, less what Prometheus adds when it stretches 2 over the whole window, a quarter at most."""

_BY = "environment, target, probe"

_STEP = (
    "{{ range query (printf `topk(1, sum by (step, reason) (increase("
    "<quaywatch.probe.failures>{environment=%q, target=%q, probe=%q}[1h])) > 0)`"
    " $labels.environment $labels.target $labels.probe) }}"
    " Most failures of the last hour: step {{ .Labels.step }}, {{ .Labels.reason }}.{{ end }}"
)
_BLOCKER = (
    "{{ range query (printf `topk(1, max by (database, pid, state) ("
    '<postgresql.lock.root_blocker.held_up>{environment=%q, pid!="other"}))` $labels.environment) }}'
    " Likely cause: process {{ .Labels.pid }} of database {{ .Labels.database }} ({{ .Labels.state }}"
    "{{ range query (printf `max(<postgresql.lock.root_blocker.age>{environment=%q, database=%q, pid=%q})`"
    " $labels.environment .Labels.database .Labels.pid) }} for {{ humanizeDuration .Value }}{{ end }});"
    " sessions that wait for it: {{ .Value }}.{{ end }}"
)
_DOWN = (
    "{{ range query (printf `max by (target, kind) (<quaywatch.target.up>{environment=%q}) == 0`"
    " $labels.environment) }} Likely cause: {{ .Labels.kind }} {{ .Labels.target }} does not answer.{{ end }}"
)


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that a configuration runs: whether it is measured at all can then be told. ``every`` is in seconds."""

    environment: str
    target: str
    probe: str
    every: float


def rules(flows: Sequence[Flow]) -> Iterator[Rule]:
    """The rules about flows in general, then those about each flow."""
    intervals = sorted({flow.every for flow in flows}) or list(DEFAULT_INTERVALS)
    yield _failing(intervals)
    yield _invalid(intervals)
    yield _not_measured()
    yield from map(_absent, flows)


def _failing(intervals: Iterable[float]) -> Rule:
    return Rule(
        alert="FlowFailing",
        expr=_most_runs_were("failure", intervals),
        severity=Severity.PAGE,
        role=Role.SYMPTOM,
        summary="{{ $labels.probe }} fails on {{ $labels.target }}",
        description="About {{ printf `%.0f` $value }} of the last 5 runs of {{ $labels.probe }} on {{ $labels.target }}"
        f" failed: users cannot do this either.{_STEP}{_DOWN}{_BLOCKER}"
        " See the last run, step by step, on the agent's status page.",
    )


def _invalid(intervals: Iterable[float]) -> Rule:
    return Rule(
        alert="FlowInvalid",
        expr=_most_runs_were("invalid", intervals),
        severity=Severity.TICKET,
        role=Role.CAUSE,
        service=Service.QUAYWATCH,
        summary="{{ $labels.probe }} cannot be tried on {{ $labels.target }}",
        description="About {{ printf `%.0f` $value }} of the last 5 runs of {{ $labels.probe }} on {{ $labels.target }}"
        " could not judge the flow, for lack of credentials, rights or settings: whether it works is not known."
        " Run quaywatch check.",
    )


def _most_runs_were(outcome: str, intervals: Iterable[float]) -> str:
    """At least 3 of the last 5 runs, whatever agent ran them. Counters survive an agent's restart in the sum.

    A range cannot follow a metric, so there is one window for each class of intervals, the last one open.
    """
    bounds = [0.0, *intervals]
    last = len(bounds) - 2
    classes = [
        f'(\n  sum by ({_BY}) (increase(<quaywatch.probe.runs>{{outcome="{outcome}"}}[{_RUNS * above:.0f}s]))'
        f" > {_FAILED}\n  and\n  {_interval_within(below, None if number == last else above)}\n)"
        for number, (below, above) in enumerate(pairwise(bounds))
    ]
    return "\nor\n".join(classes)


def _interval_within(below: float, above: float | None) -> str:
    interval = f"max by ({_BY}) (<quaywatch.probe.interval>) > {below:g}"
    return interval if above is None else f"({interval}) <= {above:g}"


def _not_measured() -> Rule:
    ran = f"max by ({_BY}) (<quaywatch.probe.last_run.time>)"
    interval = f"max by ({_BY}) (<quaywatch.probe.interval>)"
    started = "max by (environment) (<quaywatch.start.time>)"
    never = f"0 * ({interval} unless {ran}) + on (environment) group_left () (time() - {started})"
    return Rule(
        alert="FlowNotMeasured",
        expr=f"time() - {ran} > 3 * {interval}\nor\n({never}) > 3 * {interval}",
        severity=Severity.PAGE,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        summary="{{ $labels.probe }} has not run on {{ $labels.target }}",
        description="{{ $labels.probe }} has not run on {{ $labels.target }} for {{ humanizeDuration $value }}, three"
        f" intervals or more: whether it works is not known.{_DOWN} See whether an agent holds the lease and answers.",
    )


def _absent(flow: Flow) -> Rule:
    matchers = f'environment="{flow.environment}", target="{flow.target}", probe="{flow.probe}"'
    return Rule(
        alert="FlowAbsent",
        expr=f"absent(<quaywatch.probe.last_run.time>{{{matchers}}})",
        labels={"target": flow.target, "probe": flow.probe},
        hold=max(300, round(3 * flow.every)),
        severity=Severity.PAGE,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        summary=f"Nothing is known of {flow.probe} on {flow.target}",
        description=f"The configuration runs {flow.probe} on {flow.target} every {flow.every:g} s, and no run has"
        " reached this store: no agent runs it, or what it sends does not arrive.",
    )
