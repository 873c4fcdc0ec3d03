"""The example configuration in a real Alertmanager: who is told, and who is spared."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import alerts
from sandbox.parts import alertmanager, webhook
from sandbox.parts.api import post
from sandbox.process import Services, until

EXAMPLE = Path(alerts.__file__).parent / "alertmanager" / "alertmanager.yml"

FLOW = {"alertname": "FlowFailing", "severity": "page", "alert_role": "symptom", "service": "odoo"}
LOCK = {"alertname": "LockWaitLong", "severity": "ticket", "alert_role": "cause", "service": "odoo"}
BLIND = {"alertname": "FlowInvalid", "severity": "ticket", "alert_role": "cause", "service": "quaywatch"}


@dataclass(frozen=True)
class World:
    """A pager and the Alertmanager that tells it."""

    webhook: webhook.Webhook
    alertmanager: alertmanager.Alertmanager | None = None


@pytest.fixture
def told() -> Iterator[World]:
    """A fresh Alertmanager with the example, its addresses the webhook's and its patience one second."""
    with tempfile.TemporaryDirectory(prefix="quaywatch-alerts-") as state:
        services = Services(Path(state))
        try:
            pager = webhook.start(services, None, None)
            manager = alertmanager.start(services, World(pager), None)
            text = re.sub(r"http://(\w+)\.example/hook", rf"{pager.url}/\1", EXAMPLE.read_text())
            alertmanager.configure(manager, re.sub(r"(group_wait|group_interval): .*", r"\1: 1s", text))
            yield World(pager, manager)
        finally:
            services.stop_all()


def raise_alerts(world: World, *labels: dict[str, str]) -> None:
    """Tell Alertmanager of firing alerts, as Prometheus does."""
    assert world.alertmanager
    body = json.dumps([{"labels": one} for one in labels]).encode()
    post(f"{world.alertmanager.url}/api/v2/alerts", body, {"Content-Type": "application/json"})


def received(world: World) -> set[tuple[str, str, str]]:
    """Where which alert of which environment has arrived."""
    return {
        (notification.path, alert.name, alert.labels["environment"])
        for notification in webhook.read_notifications(world.webhook.file)
        for alert in notification.alerts
    }


def test_a_symptom_pages_and_silences_the_causes_of_its_service_only(told: World) -> None:
    """A cause of another environment, and one of another service, still make their tickets."""
    raise_alerts(told, {**FLOW, "environment": "prod"})
    assert until(lambda: ("/pager", "FlowFailing", "prod") in received(told), within=30)
    causes = [{**LOCK, "environment": "prod"}, {**LOCK, "environment": "staging"}, {**BLIND, "environment": "prod"}]
    raise_alerts(told, *causes)
    expected = {
        ("/pager", "FlowFailing", "prod"),
        ("/tickets", "LockWaitLong", "staging"),
        ("/tickets", "FlowInvalid", "prod"),
    }
    assert until(lambda: received(told) >= expected, within=30)
    assert received(told) == expected


def test_a_cause_alone_makes_a_ticket(told: World) -> None:
    """Without a symptom nothing is spared, and nobody is paged."""
    raise_alerts(told, {**LOCK, "environment": "prod"})
    assert until(lambda: received(told) == {("/tickets", "LockWaitLong", "prod")}, within=30)
