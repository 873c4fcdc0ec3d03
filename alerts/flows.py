"""Alerts on business flows: what a page is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

from .objectives import FlowObjective, Objectives, Paging
from .patterns import regex
from .rule import Board, Role, Rule, Service, Severity
from .texts import DOWN, EVERYWHERE_CAUSE, FLOW_CAUSE, FOUND, MOST_FAILED_STEP, ROOT_BLOCKER
from .watching import AFTER_ALL

DEFAULT_INTERVALS = (30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21600.0)
"""Seconds between a flow's runs for which rules are made when no configuration is known."""
_PROOF = 2
"""Runs that must have failed at least: one failure never pages."""
_MANY = 3
"""Targets on which a flow must fail at least to fail everywhere."""

BY = "environment, target, probe"


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that a configuration runs: whether it is measured at all can then be told. ``every`` is in seconds."""

    environment: str
    target: str
    probe: str
    every: float


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised of the flows that a pattern of the objectives decides upon.

    Args:
        pattern: the pattern.
        objective: what is promised.
        matchers: PromQL's for these flows, without braces; empty for all flows.
        intervals: seconds between two runs of theirs, ascending.
        flows: those of a configuration.
    """

    pattern: str
    objective: FlowObjective
    matchers: str
    intervals: tuple[float, ...]
    flows: tuple[Flow, ...]

    @property
    def labels(self) -> dict[str, str]:
        """What tells its rules and recordings from those of other promises."""
        return {"slo": self.pattern}

    def select(self, *more: str) -> str:
        """The matchers with more of them, in braces; nothing when there is none."""
        inside = ", ".join(part for part in (*more, self.matchers) if part)
        return f"{{{inside}}}" if inside else ""


def promises(objectives: Mapping[str, FlowObjective], flows: Sequence[Flow]) -> Iterator[Promise]:
    """One for each pattern; only those that decide upon a flow, when flows are known."""
    earlier: list[str] = []
    for pattern, objective in objectives.items():
        decided = tuple(flow for flow in flows if decides(objectives, flow.probe) == pattern)
        if decided or not flows:
            intervals = tuple(sorted({flow.every for flow in decided})) or DEFAULT_INTERVALS
            yield Promise(pattern, objective, _matchers(pattern, earlier), intervals, decided)
        earlier.append(pattern)


def decides(objectives: Mapping[str, FlowObjective], probe: str) -> str | None:
    """The pattern that decides upon a flow: the first that fits; None when none does."""
    return next((pattern for pattern in objectives if fnmatchcase(probe, pattern)), None)


def _matchers(pattern: str, earlier: Iterable[str]) -> str:
    wanted = [] if pattern == "*" else [f'probe=~"{regex([pattern])}"']
    others = [f'probe!~"{regex([other])}"' for other in earlier]
    return ", ".join(wanted + others)


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


def _failing(promise: Promise, pages: Paging) -> Rule:
    return Rule(
        alert="FlowFailing",
        expr=_most_runs_failed(promise, pages),
        tier=promise.objective.tier,
        labels=promise.labels,
        role=Role.SYMPTOM,
        board=Board.FLOW,
        selects=("environment", "target", "probe"),
        summary="{{ $labels.probe }} fails on {{ $labels.target }}",
        description=f"About {{{{ printf `%.0f` $value }}}} of the last {pages.runs} runs of {{{{ $labels.probe }}}} on"
        f" {{{{ $labels.target }}}} failed: users cannot do this either.{MOST_FAILED_STEP}{FOUND}{DOWN}{ROOT_BLOCKER}"
        " See the last run, step by step, on the agent's status page.",
        cause=FLOW_CAUSE,
    )


def _everywhere(promise: Promise, pages: Paging) -> Rule:
    failing = _most_runs_failed(promise, pages)
    known = f"max by ({BY}) (<quaywatch.probe.interval>{promise.select()})"
    return Rule(
        alert="FlowFailingEverywhere",
        expr=f"count by (environment, probe) (\n{failing}\n) >= {_MANY}\n"
        f"and\ncount by (environment, probe) (\n{failing}\n) > 0.5 * count by (environment, probe) ({known})",
        tier=promise.objective.tier,
        labels=promise.labels,
        role=Role.SYMPTOM,
        board=Board.SHIPPING,
        selects=("environment",),
        summary="{{ $labels.probe }} fails on most targets of {{ $labels.environment }}",
        description="{{ $labels.probe }} fails on {{ $value }} targets of {{ $labels.environment }}, which are more"
        " than half of those where it runs: no tenant's own trouble, but that of something they share. Look at the"
        " database server, Redis, the edge and the last deployment first.",
        cause=EVERYWHERE_CAUSE,
    )


def _unsteady(promise: Promise, objectives: Objectives) -> Rule:
    failed = _count("failure", promise)
    return Rule(
        alert="FlowUnsteady",
        expr=_by_interval(lambda tickets: _enough(failed, tickets), promise, objectives.tickets_of),
        tier=promise.objective.tier,
        labels=promise.labels,
        severity=Severity.TICKET,
        role=Role.SYMPTOM,
        board=Board.FLOW,
        selects=("environment", "target", "probe"),
        summary="{{ $labels.probe }} fails now and then on {{ $labels.target }}",
        description="About {{ printf `%.0f` $value }} of the last runs of {{ $labels.probe }} on {{ $labels.target }}"
        f" failed: some users cannot do this at the first attempt.{MOST_FAILED_STEP}",
        cause=FLOW_CAUSE,
    )


def _slow(promise: Promise, pages: Paging) -> Rule:
    within = promise.objective.latency.within
    return Rule(
        alert="FlowSlow",
        expr=_most_runs(_enough(_slow_runs(promise), pages), promise, pages),
        tier=promise.objective.slow or promise.objective.tier,
        labels=promise.labels,
        role=Role.SYMPTOM,
        board=Board.FLOW,
        selects=("environment", "target", "probe"),
        summary="{{ $labels.probe }} is slow on {{ $labels.target }}",
        description=f"About {{{{ printf `%.0f` $value }}}} of the last {pages.runs} runs of {{{{ $labels.probe }}}} on"
        f" {{{{ $labels.target }}}} succeeded, but took longer than {within:g} s: users wait as long.",
        cause=FLOW_CAUSE,
    )


def _slow_runs(promise: Promise) -> str:
    """How many runs were slow; ``WINDOW`` stands for the time looked back."""
    fast = promise.select(bucket(promise.objective.latency.within))
    return (
        f"(sum by ({BY}) (increase(<quaywatch.probe.duration:count>{promise.select()}[WINDOW]))"
        f" - sum by ({BY}) (increase(<quaywatch.probe.duration:bucket>{fast}[WINDOW])))"
    )


def bucket(within: float) -> str:
    """The matcher of a histogram's bucket, however the store spells its bound."""
    return f'le=~"{within:g}|{within:.1f}"'.replace(".", "[.]")


def _invalid(promise: Promise, pages: Paging) -> Rule:
    return Rule(
        alert="FlowInvalid",
        expr=_most_runs_were("invalid", promise, pages),
        tier=promise.objective.tier,
        labels=promise.labels,
        severity=Severity.TICKET,
        role=Role.CAUSE,
        service=Service.QUAYWATCH,
        board=Board.FLOW,
        selects=("environment", "target", "probe"),
        summary="{{ $labels.probe }} cannot be tried on {{ $labels.target }}",
        description=f"About {{{{ printf `%.0f` $value }}}} of the last {pages.runs} runs of {{{{ $labels.probe }}}} on"
        " {{ $labels.target }} could not judge the flow, for lack of credentials, rights or settings: whether it"
        " works is not known. Run quaywatch check.",
    )


def _missed(promise: Promise, pages: Paging) -> Rule:
    return Rule(
        alert="FlowRunsMissed",
        expr=_most_runs_were("missed", promise, pages),
        tier=promise.objective.tier,
        labels=promise.labels,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        board=Board.QUAYWATCH,
        summary="{{ $labels.probe }} is hardly run on {{ $labels.target }}",
        description=f"About {{{{ printf `%.0f` $value }}}} of the last {pages.runs} runs of {{{{ $labels.probe }}}} on"
        " {{ $labels.target }} were not made: whether it works is hardly known. The agent is overloaded, or the lease"
        f" goes from hand to hand.{DOWN}",
    )


def _most_runs_failed(promise: Promise, pages: Paging) -> str:
    """Most of the last runs failed, or all but one of them did and the others were missed.

    What hangs in its steps and again in their undoing may take longer than an interval: every other run is missed then,
    and is no better for it.
    """
    least = min(pages.failures, max(_PROOF, pages.failures - 1))
    failed, bad = _count("failure", promise), _count("failure|missed", promise)
    return _most_runs(f"{failed} > {_threshold(least, pages.runs):g}\n  and\n  {_enough(bad, pages)}", promise, pages)


def _most_runs_were(outcome: str, promise: Promise, pages: Paging) -> str:
    """Most of the last runs, whatever agent ran them."""
    return _most_runs(_enough(_count(outcome, promise), pages), promise, pages)


def _count(outcomes: str, promise: Promise) -> str:
    """How many runs ended so; ``WINDOW`` stands for the time looked back.

    Counters survive an agent's restart in the sum.
    """
    operator = "=~" if "|" in outcomes else "="
    matching = promise.select(f'outcome{operator}"{outcomes}"')
    return f"sum by ({BY}) (increase(<quaywatch.probe.runs>{matching}[WINDOW]))"


def _most_runs(condition: str, promise: Promise, pages: Paging) -> str:
    """A condition on the last runs, however often they are made."""
    return _by_interval(lambda _: condition, promise, lambda _: pages)


def _by_interval(condition: Callable[[Paging], str], promise: Promise, paging: Callable[[float], Paging]) -> str:
    """A condition on the last runs, as many as there are to be: what did not run is not among the good ones.

    A range cannot follow a metric, so there is one window for each class of intervals, the last one open. Of what
    stood in a maintenance window within that time nothing is said.
    """
    bounds = [0.0, *promise.intervals]
    last = len(bounds) - 2
    classes = []
    for number, (below, above) in enumerate(pairwise(bounds)):
        pages = paging(above)
        window = f"{pages.runs * above:.0f}s"
        of_class = _interval_within(promise, below, None if number == last else above)
        met = condition(pages).replace("WINDOW", window)
        classes.append(f"(\n  {met}\n  and\n  {of_class}\n  unless\n  {_maintained(window)}\n)")
    return "\nor\n".join(classes)


def _enough(count: str, pages: Paging) -> str:
    return f"{count} > {_threshold(pages.failures, pages.runs):g}"


def _threshold(failures: int, runs: int) -> float:
    """Between what is asked for and one less, which Prometheus may stretch over the one step that no sample covers."""
    stretched = (failures - 1) * runs / (runs - 1) + 0.1
    return round(stretched if stretched < failures else failures - 0.5, 2)


def _interval_within(promise: Promise, below: float, above: float | None) -> str:
    interval = f"max by ({BY}) (<quaywatch.probe.interval>{promise.select()}) > {below:g}"
    return interval if above is None else f"({interval}) <= {above:g}"


def _maintained(window: str) -> str:
    return f"max by ({BY}) (max_over_time(<quaywatch.maintenance.active>[{window}])) == 1"


def _not_measured(promise: Promise) -> Rule:
    """Three intervals without a run; after maintenance three intervals are allowed as well."""
    ran = f"max by ({BY}) (<quaywatch.probe.last_run.time>{promise.select()})"
    interval = f"max by ({BY}) (<quaywatch.probe.interval>{promise.select()})"
    started = "max by (environment) (<quaywatch.start.time>)"
    never = f"0 * ({interval} unless {ran}) + on (environment) group_left () (time() - {started})"
    late = f"time() - {ran} > 3 * {interval}\nor\n({never}) > 3 * {interval}"
    bounds = [0.0, *promise.intervals]
    last = len(bounds) - 2
    spared = "\nor\n".join(
        f"({_maintained(f'{3 * above:.0f}s')}"
        f" and {_interval_within(promise, below, None if number == last else above)})"
        for number, (below, above) in enumerate(pairwise(bounds))
    )
    return Rule(
        alert="FlowNotMeasured",
        expr=f"(\n{late}\n)\nunless\n(\n{spared}\n)",
        tier=promise.objective.tier,
        labels=promise.labels,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        board=Board.QUAYWATCH,
        summary="{{ $labels.probe }} has not run on {{ $labels.target }}",
        description="{{ $labels.probe }} has not run on {{ $labels.target }} for {{ humanizeDuration $value }}, three"
        f" intervals or more: whether it works is not known.{DOWN} See whether an agent holds the lease and"
        " answers.",
    )


def _flaky(promise: Promise) -> Rule:
    return _of_an_hour(
        promise,
        "flaky",
        alert="FlowFlaky",
        summary="{{ $labels.probe }} often passes only when tried again on {{ $labels.target }}",
        description="{{ $labels.probe }} on {{ $labels.target }} failed and passed when tried again in about"
        " {{ printf `%.0f` $value }} runs of the last hour. They count as good; users, though, do not all try"
        f" again.{MOST_FAILED_STEP}",
        cause=FLOW_CAUSE,
    )


def _uncleaned(promise: Promise) -> Rule:
    return _of_an_hour(
        promise,
        "cleanup_failed",
        alert="FlowUncleaned",
        service=Service.QUAYWATCH,
        summary="{{ $labels.probe }} cannot undo what it did on {{ $labels.target }}",
        description="About {{ printf `%.0f` $value }} runs of {{ $labels.probe }} on {{ $labels.target }} within the"
        " last hour passed, and could not undo all that they did. The sweep takes care of it later; if it cannot,"
        " ResidueLeft follows.",
    )


_SEVERAL = 2.6
"""Three within the hour, less what Prometheus adds."""


def _of_an_hour(
    promise: Promise,
    outcome: str,
    *,
    alert: str,
    summary: str,
    description: str,
    cause: str = "",
    service: Service = Service.ODOO,
) -> Rule:
    matching = promise.select(f'outcome="{outcome}"')
    return Rule(
        alert=alert,
        expr=f"sum by ({BY}) (increase(<quaywatch.probe.runs>{matching}[1h])) > {_SEVERAL}",
        tier=promise.objective.tier,
        labels=promise.labels,
        severity=Severity.TICKET,
        role=Role.SYMPTOM,
        service=service,
        board=Board.FLOW,
        selects=("environment", "target", "probe"),
        summary=summary,
        description=description,
        cause=cause,
    )


def _absent(flow: Flow, tier: str, silence: float) -> Rule:
    matchers = f'environment="{flow.environment}", target="{flow.target}", probe="{flow.probe}"'
    return Rule(
        alert="FlowAbsent",
        expr=f"absent(<quaywatch.probe.interval>{{{matchers}}})",
        labels={"target": flow.target, "probe": flow.probe},
        tier=tier,
        hold=max(silence, 3 * flow.every),
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        board=Board.QUAYWATCH,
        selects=("environment",),
        summary=f"Nothing is known of {flow.probe} on {flow.target}",
        description=f"The configuration runs {flow.probe} on {flow.target} every {flow.every:g} s, and nothing of it"
        " has reached this store: no agent runs it, or what it sends does not arrive.",
    )
