"""What is promised on the stage, and the rules made of it, whose time runs faster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

import alerts
from alerts import Flow, Objectives
from alerts.objectives import FlowObjective, Latency, Unsteady
from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics
from tests.alerts.hurried import hurried
from tests.alerts.rendered import names, part
from tests.integration.alerts import answers

FASTER, FASTER_HOURS, FASTER_DAYS = 60, 240, 1800
"""Minutes of the rules are seconds here; an hour over which a rule looks back is 15 s, and six hours are 12 s."""
EVERY = 3.0
"""Seconds between two runs of each flow, and between two readings of everything else."""
ORDERS, LOGIN = "order_create", "login"
TENANTS = ("erp14", "west14", "east14")
"""Targets of one Odoo, all of which its user logs in to; the other flows are run on the first."""
OF_HOURS = ("FlowFlaky", "FlowUncleaned")
OF_DAYS = ("FlowBudgetBurning", "EdgeBudgetBurning")
ABOUT = {
    "FlowSlow": answers.SLOW,
    "FlowFlaky": answers.SHAKY,
    "FlowUncleaned": answers.KEPT,
    "FlowRunsMissed": answers.HELD,
    "FlowNotMeasured": answers.HELD,
    "FlowFailingEverywhere": LOGIN,
}
"""Which flow an alert is to be about that is not about the orders."""
PROMISED = replace(
    Objectives(),
    tickets=(Unsteady(3, 5),),
    flows={answers.SLOW: FlowObjective(latency=Latency(1.0)), "*": FlowObjective()},
    edge=replace(Objectives().edge, latency=Latency(1.2), errors=3),
    causes=replace(
        Objectives().causes,
        lock_wait=1,
        waiting=1,
        idle_in_transaction=1,
        deadlocks=1,
        slot=1024**2,
        replica=1024**2,
    ),
    recovery=replace(Objectives().recovery, point=2),
)
"""What counts as ill, where half a minute must do: the rules are the same."""
_OF_SHORT_DAYS = replace(PROMISED, flows={"*": FlowObjective(availability=99.995)})
"""A day of 48 s has but 16 runs, and those that fail are counted against the many of a whole one."""


def meant(labels: Mapping[str, str]) -> bool:
    """Whether an alert is about the flow that is broken for it, or about none."""
    return labels.get("probe") in {None, ABOUT.get(labels["alertname"], ORDERS)}


def rules() -> str:
    """The rule file."""
    usual = _rendered(PROMISED, EVERY * FASTER)
    of_days = _rendered(_OF_SHORT_DAYS, EVERY)
    groups = [
        *_paced(usual, names(usual) - {*OF_HOURS, *OF_DAYS}, FASTER),
        *_paced(usual, OF_HOURS, FASTER_HOURS),
        *_paced(of_days, OF_DAYS, FASTER_DAYS),
    ]
    return yaml.safe_dump({"groups": groups})


def _rendered(promised: Objectives, every: float) -> str:
    flows = [
        Flow("sandbox", target, probe, every)
        for probe in (ORDERS, *answers.NAMES, LOGIN)
        for target in (TENANTS if probe == LOGIN else TENANTS[:1])
    ]
    return alerts.render(
        all_metrics(),
        prometheus_name,
        objectives=promised,
        flows_run=flows,
        environment="sandbox",
        targets={TENANTS[0]: "odoo"},
    )


def _paced(text: str, wanted: Iterable[str], faster: int) -> Iterator[dict[str, Any]]:
    return hurried(part(text, *wanted), faster, f"faults{faster}", real_clock=True)
