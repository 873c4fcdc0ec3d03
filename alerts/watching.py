"""Alerts on the watching itself: silence must not look like health."""

from __future__ import annotations

from collections.abc import Iterator

from .objectives import Objectives
from .rule import Board, Role, Rule, Service, Severity


def rules(objectives: Objectives) -> Iterator[Rule]:
    """No agent is heard; and the sign of life that a machine outside waits for."""
    yield Rule(
        alert="AgentAbsent",
        expr="absent(<quaywatch.start.time>)",
        hold=objectives.watching.silence,
        severity=Severity.PAGE,
        role=Role.SYMPTOM,
        service=Service.QUAYWATCH,
        tier=objectives.watching.tier,
        board=Board.QUAYWATCH,
        selects=(),
        summary="No Quaywatch agent is heard",
        description="Nothing of any agent has reached this store for minutes: neither flows nor causes are"
        " watched. The agents are down, or what they send does not arrive.",
    )
    yield Rule(
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
