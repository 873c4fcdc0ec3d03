"""Alerts on business flows: what a page is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from . import runs
from .objectives import Objectives, Paging
from .promises import BY, LATE_AFTER, Flow, Promise, promises
from .rule import Board, Role, Rule, Service, Severity
from .texts import DOWN, EVERYWHERE_CAUSE, FLOW_CAUSE, FOUND, MOST_FAILED_STEP, ROOT_BLOCKER
from .watching import AFTER_ALL

_MANY = 3
"""Targets on which a flow must fail at least to fail everywhere."""
_SEVERAL = 2.6
"""Three within the hour, less what Prometheus adds."""
_OF_LAST = "About {{ printf `%.0f` $value }} of the last"
_RUNS = "runs of {{ $labels.probe }} on {{ $labels.target }}"


def outages(objectives: Objectives, flows: Sequence[Flow]) -> Iterator[Rule]:
    """The rules about flows that fail, which are looked at more often than the others."""
    for promise in promises(objectives.flows, flows):
        yield _failing(promise, objectives.pages)
        if not flows or _most_targets(promise.flows) >= _MANY:
            yield _everywhere(promise, objectives.pages)


def rules(objectives: Objectives, flows: Sequence[Flow]) -> Iterator[Rule]:
    """The other rules about the flows of each promise, then those about each flow."""
    for promise in promises(objectives.flows, flows):
        yield _unsteady(promise, objectives)
        yield _slow(promise, objectives.pages)
        yield _invalid(promise, objectives.pages)
        yield _missed(promise, objectives.pages)
        yield _not_measured(promise)
        yield _flaky(promise)
        yield _uncleaned(promise)
        for flow in promise.flows:
            yield _absent(flow, promise.objective.tier, objectives.watching.silence + AFTER_ALL)


def _most_targets(flows: Iterable[Flow]) -> int:
    """On how many targets of an environment one probe runs, at most."""
    return max(Counter((flow.environment, flow.probe) for flow in flows).values(), default=0)


def _rule(promise: Promise, alert: str, expr: str, summary: str, description: str, **more: Any) -> Rule:
    """A symptom of the promise's flows that the dashboard of flows shows, unless more is said."""
    usual: dict[str, Any] = {
        "tier": promise.objective.tier,
        "labels": promise.labels,
        "role": Role.SYMPTOM,
        "board": Board.FLOW,
        "selects": ("environment", "target", "probe"),
    }
    return Rule(alert=alert, expr=expr, summary=summary, description=description, **usual | more)


def _failing(promise: Promise, pages: Paging) -> Rule:
    return _rule(
        promise,
        "FlowFailing",
        runs.most_failed(promise, pages),
        "{{ $labels.probe }} fails on {{ $labels.target }}",
        f"{_OF_LAST} {pages.runs} {_RUNS} failed: users cannot do this either.{MOST_FAILED_STEP}{FOUND}{DOWN}"
        f"{ROOT_BLOCKER} See the last run, step by step, on the agent's status page.",
        cause=FLOW_CAUSE,
    )


def _everywhere(promise: Promise, pages: Paging) -> Rule:
    failing = f"count by (environment, probe) (\n{runs.most_failed(promise, pages)}\n)"
    return _rule(
        promise,
        "FlowFailingEverywhere",
        f"{failing} >= {_MANY}\nand\n{failing} > 0.5 * count by (environment, probe) ({runs.every(promise)})",
        "{{ $labels.probe }} fails on most targets of {{ $labels.environment }}",
        "{{ $labels.probe }} fails on {{ $value }} targets of {{ $labels.environment }}, which are more than half of"
        " those where it runs: no tenant's own trouble, but that of something they share. Look at the database server,"
        " Redis, the edge and the last deployment first.",
        cause=EVERYWHERE_CAUSE,
        board=Board.SHIPPING,
        selects=("environment",),
    )


def _unsteady(promise: Promise, objectives: Objectives) -> Rule:
    return _rule(
        promise,
        "FlowUnsteady",
        runs.most_were("failure", promise, objectives.tickets_of),
        "{{ $labels.probe }} fails now and then on {{ $labels.target }}",
        f"{_OF_LAST} {_RUNS} failed: some users cannot do this at the first attempt.{MOST_FAILED_STEP}",
        cause=FLOW_CAUSE,
        severity=Severity.TICKET,
    )


def _slow(promise: Promise, pages: Paging) -> Rule:
    return _rule(
        promise,
        "FlowSlow",
        runs.most_slow(promise, pages),
        "{{ $labels.probe }} is slow on {{ $labels.target }}",
        f"{_OF_LAST} {pages.runs} {_RUNS} succeeded, but took longer than {promise.objective.latency.within:g} s: users"
        " wait as long.",
        cause=FLOW_CAUSE,
        tier=promise.objective.slow or promise.objective.tier,
    )


def _invalid(promise: Promise, pages: Paging) -> Rule:
    return _rule(
        promise,
        "FlowInvalid",
        runs.most_were("invalid", promise, lambda _: pages),
        "{{ $labels.probe }} cannot be tried on {{ $labels.target }}",
        f"{_OF_LAST} {pages.runs} {_RUNS} could not judge the flow, for lack of credentials, rights or settings:"
        " whether it works is not known. Run quaywatch check.",
        severity=Severity.TICKET,
        role=Role.CAUSE,
        service=Service.QUAYWATCH,
    )


def _missed(promise: Promise, pages: Paging) -> Rule:
    return _rule(
        promise,
        "FlowRunsMissed",
        runs.most_were("missed", promise, lambda _: pages),
        "{{ $labels.probe }} is hardly run on {{ $labels.target }}",
        f"{_OF_LAST} {pages.runs} {_RUNS} were not made: whether it works is hardly known. The agent is overloaded, or"
        f" the lease goes from hand to hand.{DOWN}",
        service=Service.QUAYWATCH,
        board=Board.QUAYWATCH,
        selects=("environment", "target"),
    )


def _not_measured(promise: Promise) -> Rule:
    return _rule(
        promise,
        "FlowNotMeasured",
        runs.late(promise),
        "{{ $labels.probe }} has not run on {{ $labels.target }}",
        "{{ $labels.probe }} has not run on {{ $labels.target }} for {{ humanizeDuration $value }}, three intervals or"
        f" more: whether it works is not known.{DOWN} See whether an agent holds the lease and answers.",
        service=Service.QUAYWATCH,
        board=Board.QUAYWATCH,
        selects=("environment", "target"),
    )


def _flaky(promise: Promise) -> Rule:
    return _rule(
        promise,
        "FlowFlaky",
        _several("flaky", promise),
        "{{ $labels.probe }} often passes only when tried again on {{ $labels.target }}",
        "{{ $labels.probe }} on {{ $labels.target }} failed and passed when tried again in about"
        " {{ printf `%.0f` $value }} runs of the last hour. They count as good; users, though, do not all try"
        f" again.{MOST_FAILED_STEP}",
        cause=FLOW_CAUSE,
        severity=Severity.TICKET,
    )


def _uncleaned(promise: Promise) -> Rule:
    return _rule(
        promise,
        "FlowUncleaned",
        _several("cleanup_failed", promise),
        "{{ $labels.probe }} cannot undo what it did on {{ $labels.target }}",
        "About {{ printf `%.0f` $value }} runs of {{ $labels.probe }} on {{ $labels.target }} within the last hour"
        " passed, and could not undo all that they did. The sweep takes care of it later; if it cannot, ResidueLeft"
        " follows.",
        severity=Severity.TICKET,
        service=Service.QUAYWATCH,
    )


def _several(outcome: str, promise: Promise) -> str:
    """Several runs of the last hour ended so."""
    matching = promise.select(f'outcome="{outcome}"')
    return f"sum by ({BY}) (increase(<quaywatch.probe.runs>{matching}[1h])) > {_SEVERAL}"


def _absent(flow: Flow, tier: str, silence: float) -> Rule:
    matchers = f'environment="{flow.environment}", target="{flow.target}", probe="{flow.probe}"'
    return Rule(
        alert="FlowAbsent",
        expr=f"absent(<quaywatch.probe.interval>{{{matchers}}})",
        labels={"target": flow.target, "probe": flow.probe},
        tier=tier,
        hold=max(silence, LATE_AFTER * flow.every),
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        board=Board.QUAYWATCH,
        selects=("environment",),
        summary=f"Nothing is known of {flow.probe} on {flow.target}",
        description=f"The configuration runs {flow.probe} on {flow.target} every {flow.every:g} s, and nothing of it"
        " has reached this store: no agent runs it, or what it sends does not arrive.",
    )
