"""Alerts on the watching itself: silence must not look like health."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .objectives import Objectives
from .rule import Board, Role, Rule, Service, Severity

AFTER_ALL = 60.0
"""Seconds that the absence of one thing is told later than that of all agents."""
_AGENT = "environment, instance"
_SEVERAL = 2.6
"""Three within the hour, less what Prometheus adds."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a configuration watches: its environment, and its targets with the kind of each; empty for none."""

    environment: str
    targets: Mapping[str, str]


def rules(objectives: Objectives, watched: Watched) -> Iterator[Rule]:
    """No agent is heard, or of a target nothing; the sign of life; and what fails without anybody's notice."""
    yield _agent_absent(objectives, watched.environment)
    for target, kind in watched.targets.items():
        yield _target_absent(objectives, watched.environment, target, kind)
    yield _watchdog(objectives)
    yield from _agents(objectives)
    yield from _readings(objectives)


def _agent_absent(objectives: Objectives, environment: str) -> Rule:
    """Of one environment, if it is known: an agent of another one that is heard says nothing of it."""
    of_its_own = f'{{environment="{environment}"}}' if environment else ""
    return Rule(
        alert="AgentAbsent",
        expr=f"absent(<quaywatch.start.time>{of_its_own})",
        hold=objectives.watching.silence,
        severity=Severity.PAGE,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        tier=objectives.watching.tier,
        board=Board.QUAYWATCH,
        selects=("environment",) if environment else (),
        summary=f"No Quaywatch agent{' of ' if environment else ''}{environment} is heard",
        description="Nothing of any agent has reached this store for minutes: neither flows nor causes are"
        " watched. The agents are down, or what they send does not arrive.",
    )


def _target_absent(objectives: Objectives, environment: str, target: str, kind: str) -> Rule:
    """Told later than the absence of all agents, which explains it."""
    return Rule(
        alert="TargetAbsent",
        expr=f'absent(<quaywatch.target.up>{{environment="{environment}", target="{target}"}})',
        hold=objectives.watching.silence + AFTER_ALL,
        labels={"target": target, "kind": kind},
        severity=Severity.TICKET,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        tier=objectives.watching.tier,
        board=Board.QUAYWATCH,
        selects=("environment",),
        summary=f"Nothing is known of {kind} {target}",
        description=f"The configuration watches {kind} {target}, and nothing of it has reached this store for minutes,"
        " not even that it does not answer: every alert on it is blind. No agent that is heard reads it, or what it"
        " sends does not arrive.",
    )


def _watchdog(objectives: Objectives) -> Rule:
    return Rule(
        alert="Watchdog",
        expr="vector(1)",
        keep=0,
        severity=Severity.NONE,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        tier=objectives.watching.tier,
        board=Board.QUAYWATCH,
        selects=(),
        summary="Alerting works",
        description="This alert always fires. Route it to something outside that raises the alarm when it is no longer"
        " heard: when it is silent, nobody would be told of anything.",
    )


def _ticket(objectives: Objectives, alert: str, expr: str, summary: str, description: str) -> Rule:
    """A ticket about an agent; each must be true for as long as all agents may be silent."""
    return Rule(
        alert=alert,
        expr=expr,
        hold=objectives.watching.silence,
        severity=Severity.TICKET,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        tier=objectives.watching.tier,
        board=Board.QUAYWATCH,
        selects=("environment",),
        summary=summary,
        description=description,
    )


def _agents(objectives: Objectives) -> Iterator[Rule]:
    yield _ticket(
        objectives,
        "ConfigRefused",
        f"min by ({_AGENT}) (<quaywatch.config.reload.success>) == 0",
        "An agent refused its configuration",
        "The agent{{ with $labels.instance }} {{ . }}{{ end }} refused what it last loaded and goes on with what it"
        " had: what was changed since is not watched. Its log has each error with its line; so has quaywatch config"
        " check.",
    )
    lost = _batches("partial|poison|overflow", f"{_AGENT}, signal, outcome")
    failed = _batches("outage", f"{_AGENT}, signal, outcome")
    taken = _batches("sent|partial", f"{_AGENT}, signal")
    yield _ticket(
        objectives,
        "TelemetryLost",
        f"{lost}\nor\n{failed} unless on ({_AGENT}, signal) {taken}",
        "{{ $labels.signal }} of an agent do not arrive",
        "About {{ printf `%.0f` $value }} batches of {{ $labels.signal }} within 15 minutes, of the agent"
        '{{ with $labels.instance }} {{ . }}{{ end }}: {{ $labels.outcome }}.{{ if eq $labels.outcome "outage" }} The'
        " back end takes none; they wait until there is no more room.{{ else }} What was in them is lost, in whole or"
        " in part: the back end refuses it, or there was no more room for what waits.{{ end }} Its log says why.",
    )
    yield _ticket(
        objectives,
        "LeasesUnreachable",
        f"max by ({_AGENT}) (<quaywatch.lease.unreachable>) == 1",
        "An agent does not reach who keeps the leases",
        "The agent{{ with $labels.instance }} {{ . }}{{ end }} cannot ask who may act on shared targets: two agents may"
        " run the same flows meanwhile, or none where the configuration says so, and nobody follows one that dies.",
    )


def _batches(outcomes: str, by: str) -> str:
    """The batches of a quarter of an hour that came to this, if any."""
    return f'sum by ({by}) (increase(<quaywatch.export.batches>{{outcome=~"{outcomes}"}}[15m])) > 0'


def _readings(objectives: Objectives) -> Iterator[Rule]:
    of_target = ("environment", "target")
    yield replace(
        _ticket(
            objectives,
            "SeriesDropped",
            "sum by (environment, target, metric) (increase(<quaywatch.cardinality.dropped>[1h])) > 0",
            "{{ $labels.metric }} of {{ $labels.target }} has more series than it may",
            "What {{ $labels.metric }} counts on {{ $labels.target }} is too much to be told one by one: the rest of it"
            " is summed up in one series called other, and an alert that should name it cannot.",
        ),
        selects=of_target,
    )
    yield replace(
        _ticket(
            objectives,
            "SweepFailing",
            f"sum by (environment, target, probe, reason) (increase(<quaywatch.probe.sweep.errors>[1h])) > {_SEVERAL}",
            "What {{ $labels.probe }} leaves on {{ $labels.target }} cannot be swept",
            "About {{ printf `%.0f` $value }} sweeps after {{ $labels.probe }} on {{ $labels.target }} failed within"
            " the last hour ({{ $labels.reason }}): what runs that were killed leave behind stays, and how much that"
            " is nobody knows. Run quaywatch sweep --dry-run.",
        ),
        selects=of_target,
    )
