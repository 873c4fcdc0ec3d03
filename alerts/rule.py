"""What an alert and a recording are, and the words they may use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from quaywatch.contract import Kind, Metric

from .objectives import Objectives

_REFERENCE = re.compile(r"<([a-z0-9_.]+)(?::(bucket|sum|count))?>(?:\{([^{}]*)\})?")
_LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*(?:"|%q)')
_ADDED = ("target", "environment", "database")  # by the runtime, to every sample


class Severity(StrEnum):
    """Who is told, and when."""

    PAGE = "page"
    """Somebody, now: users are hit, or nobody would know."""
    TICKET = "ticket"
    """Somebody, in working hours."""
    NONE = "none"
    """Nobody: a sign of life for a machine that waits for it."""


class Role(StrEnum):
    """What an alert says about its service; a symptom that pages silences the causes of the same service."""

    SYMPTOM = "symptom"
    CAUSE = "cause"


class Service(StrEnum):
    """What is ill."""

    ODOO = "odoo"
    """What users work with: Odoo and what it stands on."""
    RECOVERY = "recovery"
    """What is needed on the day when a server is lost: standbys, the archive, backups."""
    EDGE = "edge"
    """Certificates."""
    QUAYWATCH = "quaywatch"
    """The watching itself."""


class Board(StrEnum):
    """The dashboard an alert leads to, by its address."""

    SHIPPING = "quaywatch-can-we-ship"
    FLOW = "quaywatch-flow"
    QUEUES = "quaywatch-queues"
    POSTGRESQL = "quaywatch-postgresql"
    REPLICATION = "quaywatch-replication"
    REDIS = "quaywatch-redis"
    EDGE = "quaywatch-edge"
    TENANTS = "quaywatch-tenants"
    SLO = "quaywatch-slo"
    QUAYWATCH = "quaywatch-agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alert.

    Args:
        alert: its name, which is its runbook's.
        expr: PromQL, with ``<metric.name>`` for a metric, ``<metric.name:bucket>`` and the like for a histogram.
        hold: how long it must be true, in seconds.
        settles: whether it must be true as long as the objectives let such things settle.
        keep: how long it goes on firing afterwards, in seconds; that of the objectives if unset.
        labels: what tells it from rules of the same name.
        tier: its tier among the objectives.
        severity: who is told; as the tier says if unset.
        role: symptom or cause.
        service: what is ill.
        summary: one line with target or flow.
        description: the value, what it means, and what to do; a Go template, with ``<metric.name>`` for a metric.
        cause: a Go template that names the likely cause.
        board: the dashboard that shows it.
        selects: labels of the alert that the dashboard takes as variables.
    """

    alert: str
    expr: str
    role: Role
    summary: str
    description: str
    tier: str
    board: Board
    selects: tuple[str, ...] = ("environment", "target")
    severity: Severity | None = None
    service: Service = Service.ODOO
    hold: float = 0
    settles: bool = False
    keep: float | None = None
    cause: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A series that is worked out ahead. ``tier``, when given, becomes its label, and the team's beside it."""

    record: str
    expr: str
    tier: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the links of an alert lead: the directory of the runbooks, and Grafana."""

    runbooks: str = "alerts/runbooks"
    dashboards: str = ""


class Vocabulary:
    """The metric catalogue under the names of the store."""

    def __init__(self, metrics: Iterable[Metric], translate: Callable[[Metric], str]) -> None:
        self._metrics = {metric.name: metric for metric in metrics}
        self._translate = translate

    def expand(self, text: str) -> str:
        """``text`` with the stored name in place of each ``<metric.name>``.

        Raises:
            ValueError: when there is no such metric, it is no histogram although a part of one is named, or it has no
                label that a matcher behind it names.
        """
        return _REFERENCE.sub(self._selector, text)

    def bounds(self, name: str) -> tuple[float, ...]:
        """The bounds of a histogram's buckets.

        Raises:
            ValueError: when there is no such metric.
        """
        return self._metric(name).bounds

    def _metric(self, name: str) -> Metric:
        metric = self._metrics.get(name)
        if metric is None:
            raise ValueError(f"{name}: no such metric in the catalogue")
        return metric

    def _selector(self, found: re.Match[str]) -> str:
        metric, part = self._metric(found[1]), found[2]
        if (metric.kind is Kind.HISTOGRAM) != bool(part):
            raise ValueError(f"{metric.name}: the parts of a histogram, and of nothing else, are named")
        labels = {*metric.attributes, *_ADDED, *(["le"] if part == "bucket" else [])}
        unknown = set(_LABEL.findall(found[3] or "")) - labels
        if unknown:
            raise ValueError(f"{found[1]} has no label {', '.join(sorted(unknown))}")
        name = self._translate(metric) + (f"_{part}" if part else "")
        return name + (f"{{{found[3]}}}" if found[3] else "")


def alert_yaml(rule: Rule, words: Vocabulary, objectives: Objectives, places: Places) -> dict[str, Any]:
    """The alert as a Prometheus rule file has it."""
    tier = objectives.tiers[rule.tier]
    hold = objectives.settle if rule.settles else rule.hold
    keep = objectives.keep if rule.keep is None else rule.keep
    return {
        "alert": rule.alert,
        "expr": words.expand(rule.expr),
        **({"for": f"{hold:.0f}s"} if hold else {}),
        **({"keep_firing_for": f"{keep:.0f}s"} if keep else {}),
        "labels": {
            "severity": str(rule.severity or tier.severity),
            "alert_role": str(rule.role),
            "service": str(rule.service),
            "tier": rule.tier,
            "team": tier.team,
            **rule.labels,
        },
        "annotations": {
            "summary": rule.summary,
            "description": words.expand(rule.description),
            **({"cause": words.expand(rule.cause)} if rule.cause else {}),
            "runbook_url": f"{places.runbooks.rstrip('/')}/{rule.alert}.md",
            "dashboard_url": _link(rule, places),
        },
    }


def recording_yaml(rule: Recording, words: Vocabulary, objectives: Objectives) -> dict[str, Any]:
    """The recording as a Prometheus rule file has it."""
    of_tier = {"tier": rule.tier, "team": objectives.tiers[rule.tier].team} if rule.tier else {}
    labels = {**of_tier, **rule.labels}
    return {"record": rule.record, "expr": words.expand(rule.expr), **({"labels": labels} if labels else {})}


def _link(rule: Rule, places: Places) -> str:
    variables = "&".join(f"var-{name}={{{{ $labels.{name} }}}}" for name in rule.selects)
    return f"{places.dashboards.rstrip('/')}/d/{rule.board}" + (f"?{variables}" if variables else "")
