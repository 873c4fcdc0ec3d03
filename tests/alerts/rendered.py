"""The rules as rendered, and those of one alert out of them."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import yaml

import alerts
from alerts import Flow
from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics

CATALOGUE = all_metrics()
GENERAL = alerts.render(CATALOGUE, prometheus_name)
FLOW = Flow("FlowAbsent", "erp", "order_create", 60)
"""A flow of which the rules know; its environment is called as that of the alert which is about known flows alone."""
FOR_FLOW = alerts.render(CATALOGUE, prometheus_name, flows_run=[FLOW])
FOR_TARGET = alerts.render(CATALOGUE, prometheus_name, environment="TargetAbsent", targets={"erp": "postgres"})
"""The rules for a target; likewise."""
_RECORDED = re.compile(r"quaywatch:[\w:]+")


@cache
def groups(text: str) -> list[dict[str, Any]]:
    """The groups of a rule file, to be read only."""
    read: list[dict[str, Any]] = yaml.safe_load(text)["groups"]
    return read


def rules(text: str) -> list[dict[str, Any]]:
    """Every rule of a rule file."""
    return [rule for group in groups(text) for rule in group["rules"]]


def names(text: str) -> set[str]:
    """The alerts of a rule file."""
    return {rule["alert"] for rule in rules(text) if "alert" in rule}


def text_of(alert: str) -> str:
    """The rule file that an alert is tried in: for a flow, where it is in it."""
    return next(text for text in (FOR_FLOW, GENERAL, FOR_TARGET) if alert in names(text))


def rule_of(alert: str) -> dict[str, Any]:
    """The rule of an alert; the first where it has several."""
    return next(rule for rule in rules(text_of(alert)) if rule.get("alert") == alert)


def part(text: str, *wanted: str) -> list[dict[str, Any]]:
    """The groups of a rule file with these alerts or recordings alone, and with what is recorded for them."""
    kept = [rule for rule in rules(text) if rule.get("alert", rule.get("record")) in wanted]
    for rule in kept:  # grows while it is walked through
        named = set(_RECORDED.findall(rule["expr"]))
        kept += [other for other in rules(text) if other.get("record") in named and other not in kept]
    found = [{**group, "rules": [rule for rule in group["rules"] if rule in kept]} for group in groups(text)]
    return [group for group in found if group["rules"]]
