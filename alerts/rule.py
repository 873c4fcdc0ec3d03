"""What an alert is, and the words it may use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from quaywatch.contract import Metric

_REFERENCE = re.compile(r"<([a-z0-9_.]+)>(?:\{([^{}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_ADDED = ("target", "environment", "database")  # by the runtime, to every sample


class Severity(StrEnum):
    """Who is told, and when."""

    PAGE = "page"
    """Somebody, now: users are hit, or nobody would know."""
    TICKET = "ticket"
    """Somebody, in working hours."""


class Role(StrEnum):
    """What an alert says about its service; a symptom silences the causes of the same service."""

    SYMPTOM = "symptom"
    CAUSE = "cause"


class Service(StrEnum):
    """What is ill."""

    ODOO = "odoo"
    """What is watched: Odoo and what it stands on."""
    QUAYWATCH = "quaywatch"
    """The watching itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alert.

    Args:
        alert: its name, which is its runbook's.
        expr: PromQL, with ``<metric.name>`` for a metric.
        hold: how long it must be true, in seconds.
        labels: what tells it from rules of the same name.
        severity: who is told.
        role: symptom or cause.
        service: what is ill.
        summary: one line with target or flow.
        description: the value, what it means, the cause where one is known, and what to do; a Go template, with
            ``<metric.name>`` for a metric.
    """

    alert: str
    expr: str
    severity: Severity
    role: Role
    summary: str
    description: str
    service: Service = Service.ODOO
    hold: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


class Vocabulary:
    """The metric catalogue under the names of the store."""

    def __init__(self, metrics: Iterable[Metric], translate: Callable[[Metric], str]) -> None:
        self._metrics = {metric.name: metric for metric in metrics}
        self._translate = translate

    def expand(self, text: str) -> str:
        """``text`` with the stored name in place of each ``<metric.name>``.

        Raises:
            ValueError: when there is no such metric, or it has no label that a matcher behind it names.
        """
        return _REFERENCE.sub(self._selector, text)

    def _selector(self, found: re.Match[str]) -> str:
        metric = self._metrics.get(found[1])
        if metric is None:
            raise ValueError(f"{found[1]}: no such metric in the catalogue")
        unknown = set(_LABEL.findall(found[2] or "")) - {*metric.attributes, *_ADDED}
        if unknown:
            raise ValueError(f"{found[1]} has no label {', '.join(sorted(unknown))}")
        return self._translate(metric) + ("" if found[2] is None else f"{{{found[2]}}}")


def to_yaml(rule: Rule, words: Vocabulary, runbooks: str) -> dict[str, Any]:
    """The rule as a Prometheus rule file has it; ``runbooks`` is where the runbooks lie."""
    return {
        "alert": rule.alert,
        "expr": words.expand(rule.expr),
        **({"for": f"{rule.hold}s"} if rule.hold else {}),
        "labels": {
            "severity": str(rule.severity),
            "alert_role": str(rule.role),
            "service": str(rule.service),
            **rule.labels,
        },
        "annotations": {
            "summary": rule.summary,
            "description": words.expand(rule.description),
            "runbook_url": f"{runbooks.rstrip('/')}/{rule.alert}.md",
        },
    }
