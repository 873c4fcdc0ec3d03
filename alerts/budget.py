"""Burn rates and budgets: what is recorded of each objective, the tickets they make, and the pairs that are refused.

A burn rate of 1 spends the budget of a period in just that period. Failures of flows are counted against the runs that
were to be, known from the interval, and not against those that were: three failures of three runs after a night
without any are no outage of the night.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from . import runs
from .objectives import DAY, FlowObjective, Objectives
from .promises import BY, Flow, Promise, decides, promises
from .rule import Board, Recording, Role, Rule, Severity
from .texts import FLOW_CAUSE, MOST_FAILED_STEP

PERIOD = "30d"
"""The time that a budget is for."""
WINDOWS = {"2h": 7200, "6h": 21600, "1d": DAY, "3d": 3 * DAY, PERIOD: 30 * DAY}
"""Seconds of the times looked back."""
BURNS = ((3.0, "1d", "2h"), (1.0, "3d", "6h"))
"""The burn rates that make a ticket: over both a long and a short time, so that it ends soon after the trouble."""
FLOW_BUDGET = "quaywatch:flow_budget:ratio"
QUEUE_ON_TIME = "quaywatch:queue_on_time"
RECOVERY_IN_POINT = "quaywatch:recovery_in_point"
_TOLD = min(rate * WINDOWS[long] for rate, long, _ in BURNS)
"""Seconds between two runs, over the budget, from which on one failure alone exceeds a burn rate."""
_SEVERAL = 1.6
"""Two failures, less what Prometheus adds: one alone never makes a ticket, whatever the interval."""


class ObjectiveError(ValueError):
    """Objectives that cannot be kept watch over: ``wrong`` has each key of them, and what would do instead."""

    def __init__(self, wrong: Iterable[tuple[tuple[str, ...], str]]) -> None:
        self.wrong = tuple(wrong)
        super().__init__("\n".join(f"{'.'.join(key)}: {what}" for key, what in self.wrong))


def check(objectives: Mapping[str, FlowObjective], flows: Sequence[Flow]) -> None:
    """See that no single failure is told as a burning budget.

    Raises:
        ObjectiveError: with an entry for each flow of which it would.
    """
    faults = [fault for flow in flows for fault in _faults(objectives, flow)]
    if faults:
        raise ObjectiveError(faults)


def _faults(objectives: Mapping[str, FlowObjective], flow: Flow) -> Iterator[tuple[tuple[str, ...], str]]:
    pattern = decides(objectives, flow.probe)
    if pattern is None:
        yield ("flows",), f"no pattern fits {flow.probe}, which runs on {flow.target}; one such as '*' is expected"
        return
    most = _TOLD * objectives[pattern].budget
    if flow.every > most:
        share = int((1 - flow.every / _TOLD) * 10_000) / 100
        yield (
            ("flows", pattern, "availability"),
            (
                f"{objectives[pattern].availability:g} % is more than can be told of"
                f" {flow.probe} on {flow.target}, which runs every {flow.every:g} s: one failure alone would be told as"
                f" a burning budget; run it every {most:.0f} s or more often, or promise {share:g} % or less"
            ),
        )


# --- flows ------------------------------------------------------------------------------------------------------------

_FLOW_WINDOWS = ("2h", "6h", "1d", "3d")


def recordings(objectives: Objectives, flows: Sequence[Flow]) -> Iterator[Recording]:
    """What tickets are made of, worked out often."""
    for promise in promises(objectives.flows, flows):
        yield _recorded(promise, FLOW_BUDGET, f"0 * {runs.every(promise)} + {promise.objective.budget:g}")
        for name in _FLOW_WINDOWS:
            yield from _counted(promise, name)
    yield from map(_burn_rate, _FLOW_WINDOWS)
    yield from _edge_ratios(objectives, EDGE_WINDOWS)


def reports(objectives: Objectives, flows: Sequence[Flow]) -> Iterator[Recording]:
    """What reports are made of, over a whole period: by flow, by tier, by target; worked out seldom."""
    for promise in promises(objectives.flows, flows):
        yield from _counted(promise, PERIOD)
        yield _recorded(promise, f"quaywatch:flow_timely:ratio{PERIOD}", _timely(promise))
        yield _recorded(promise, f"quaywatch:flow_measured:ratio{PERIOD}", _measured(promise))
    yield _burn_rate(PERIOD)
    failures, expected = _failures(PERIOD), _expected(PERIOD)
    yield Recording(record=f"quaywatch:flow_availability:ratio{PERIOD}", expr=f"1 - {failures} / {expected}")
    yield Recording(record=f"quaywatch:flow_budget_left:ratio{PERIOD}", expr=f"1 - {_burn(PERIOD)}")
    for scope, by in (("tier", "environment, tier, team"), ("target", "environment, target")):
        failed, whole = f"sum by ({by}) ({failures})", f"sum by ({by}) ({expected})"
        allowed = f"sum by ({by}) ({expected} * {FLOW_BUDGET})"
        yield Recording(record=f"quaywatch:{scope}_availability:ratio{PERIOD}", expr=f"1 - {failed} / {whole}")
        yield Recording(record=f"quaywatch:{scope}_budget_left:ratio{PERIOD}", expr=f"1 - {failed} / {allowed}")
    yield from _edge_ratios(objectives, (PERIOD,))
    left = f"1 - quaywatch:edge_errors:ratio{PERIOD} / {objectives.edge.budget:g}"
    yield Recording(record=f"quaywatch:edge_budget_left:ratio{PERIOD}", expr=left)
    for record in (QUEUE_ON_TIME, RECOVERY_IN_POINT):
        yield Recording(record=f"{record}:ratio{PERIOD}", expr=f"avg_over_time({record}:bool[{PERIOD}])")


def _counted(promise: Promise, name: str) -> Iterator[Recording]:
    failed = promise.select('outcome="failure"')
    counted = f"sum by ({BY}) (increase(<quaywatch.probe.runs>{failed}[{name}]))"
    yield _recorded(promise, _failures(name), counted)
    yield _recorded(promise, _expected(name), f"{WINDOWS[name]} / {runs.every(promise)}")


def _timely(promise: Promise) -> str:
    fast = promise.select(runs.bucket(promise.objective.latency.within))
    counted = f"sum by ({BY}) (increase(<quaywatch.probe.duration:count>{promise.select()}[{PERIOD}]))"
    return f"sum by ({BY}) (increase(<quaywatch.probe.duration:bucket>{fast}[{PERIOD}])) / ({counted} > 0)"


def _measured(promise: Promise) -> str:
    """The part of the runs that were to be and told whether the flow works: no more than all of them."""
    judged = promise.select('outcome=~"success|flaky|cleanup_failed|failure"')
    counted = f"sum by ({BY}) (increase(<quaywatch.probe.runs>{judged}[{PERIOD}]))"
    return f"clamp_max({counted} / ({WINDOWS[PERIOD]} / {runs.every(promise)}), 1)"


def _recorded(promise: Promise, record: str, expr: str) -> Recording:
    return Recording(record=record, expr=expr, tier=promise.objective.tier, labels=promise.labels)


def _burn_rate(name: str) -> Recording:
    return Recording(record=_burn(name), expr=f"{_failures(name)} / {_expected(name)} / {FLOW_BUDGET}")


def _failures(name: str) -> str:
    return f"quaywatch:flow_failures:increase{name}"


def _expected(name: str) -> str:
    return f"quaywatch:flow_expected:runs{name}"


def _burn(name: str) -> str:
    return f"quaywatch:flow_burn_rate:ratio{name}"


def rules(objectives: Objectives, flows: Sequence[Flow]) -> Iterator[Rule]:
    """The tickets for burning budgets: one for each tier that flows are of, then the edge's."""
    for tier in dict.fromkeys(promise.objective.tier for promise in promises(objectives.flows, flows)):
        yield _flow_burning(tier)
    yield _edge_burning(objectives)


def _flow_burning(tier: str) -> Rule:
    of_tier = f'{{tier="{tier}"}}'
    pairs = [
        f"(\n  {_burn(long)}{of_tier} > {rate:g}\n  and {_burn(short)}{of_tier} > {rate:g}"
        f"\n  and {_failures(long)}{of_tier} > {_SEVERAL}\n)"
        for rate, long, short in BURNS
    ]
    return Rule(
        alert="FlowBudgetBurning",
        expr="max by (environment, target, probe) (\n" + "\nor\n".join(pairs) + "\n)",
        tier=tier,
        severity=Severity.TICKET,
        role=Role.SYMPTOM,
        board=Board.SLO,
        selects=("environment", "target", "probe"),
        summary="{{ $labels.probe }} on {{ $labels.target }} spends its budget of failures too fast",
        description="{{ $labels.probe }} on {{ $labels.target }} fails {{ printf `%.1f` $value }} times as often as its"
        f" objective allows: kept up, the budget of 30 days would not last.{MOST_FAILED_STEP}",
        cause=FLOW_CAUSE,
    )


# --- the edge ---------------------------------------------------------------------------------------------------------

EDGE_WINDOWS = ("5m", "30m", "1h", *_FLOW_WINDOWS)
_EDGE = "environment, target"


def _edge_ratios(objectives: Objectives, names: Iterable[str]) -> Iterator[Recording]:
    for name in names:
        errors = f'sum by ({_EDGE}) (increase(<traefik.entrypoint.requests>{{code_class="5xx"}}[{name}]))'
        requests = f"sum by ({_EDGE}) (increase(<traefik.entrypoint.requests>[{name}]))"
        tier = objectives.edge.tier
        yield Recording(record=f"quaywatch:edge_errors:ratio{name}", expr=f"{errors} / ({requests} > 0)", tier=tier)


def _edge_burning(objectives: Objectives) -> Rule:
    pairs = [
        f"(quaywatch:edge_errors:ratio{long} > {_part(rate, objectives)}"
        f" and quaywatch:edge_errors:ratio{short} > {_part(rate, objectives)})"
        for rate, long, short in BURNS
    ]
    errors = f'sum by ({_EDGE}) (increase(<traefik.entrypoint.requests>{{code_class="5xx"}}[6h]))'
    return Rule(
        alert="EdgeBudgetBurning",
        expr=f"max by ({_EDGE}) (\n" + "\nor\n".join(pairs) + f"\n)\nand {errors} > {objectives.edge.errors}",
        tier=objectives.edge.tier,
        severity=Severity.TICKET,
        role=Role.SYMPTOM,
        board=Board.SLO,
        summary="The edge {{ $labels.target }} spends its budget of errors too fast",
        description="{{ humanizePercentage $value }} of the requests at {{ $labels.target }} end in a server's error,"
        f" day after day, where {objectives.edge.availability:g} % are to be answered: kept up, the budget of 30 days"
        " would not last.",
    )


def _part(rate: float, objectives: Objectives) -> str:
    return f"{rate * objectives.edge.budget:.6g}"
