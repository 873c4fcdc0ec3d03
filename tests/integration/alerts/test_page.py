"""A page on the real chain: agent, Prometheus, Alertmanager, webhook."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

import alerts
from alerts import Flow, Objectives
from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics
from sandbox import agent, faults
from sandbox.agent import Agent
from sandbox.parts import api, prometheus
from sandbox.parts.webhook import Alert, read_notifications
from sandbox.process import until
from sandbox.world import World

PARTS = ("odoo14", "standby", "redis", "prometheus")
EVERY = 3.0
FLOW = Flow("sandbox", "erp14", "order_create", EVERY)
_WITHIN = 150.0
HURRIED = replace(
    Objectives(),
    keep=1,
    settle=1,
    causes=replace(Objectives().causes, lasts=1, lock_wait=1),
    recovery=replace(Objectives().recovery, point=2),
)
"""What is promised here: the same rules, with minutes made seconds."""


@pytest.fixture(scope="module")
def watching(world: World) -> Iterator[Agent]:
    """The agent orders every 3 s; Prometheus scrapes it and evaluates the rules made for it."""
    rules = world.prometheus.rules / "page.yml"
    text = alerts.render(all_metrics(), prometheus_name, objectives=HURRIED, flows_run=[FLOW])
    rules.write_text(text.replace("interval: 15s", "interval: 1s"))
    api.reload(world.prometheus.url)
    try:
        running = agent.start(world.services, world, every=EVERY, probe_every=EVERY)
        prometheus.set_targets(world.prometheus, [running.address])
        yield running
    finally:
        prometheus.set_targets(world.prometheus, [])
        world.services.stop(agent.NAME)
        rules.unlink()
        api.reload(world.prometheus.url)


def told(world: World, since: int, status: str, name: str = "FlowFailing") -> list[Alert]:
    """What the webhook was told of an alert after its first ``since`` notifications."""
    notifications = read_notifications(world.webhook.file)[since:]
    everything = [alert for notification in notifications for alert in notification.alerts]
    return [alert for alert in everything if (alert.name, alert.status) == (name, status)]


def wait_for(condition: Callable[[], object]) -> float:
    """Seconds until it was so."""
    began = time.monotonic()
    assert until(lambda: bool(condition()), within=_WITHIN)
    return time.monotonic() - began


def all_is_well(world: World) -> int:
    """Wait until the flow passes and nobody is told otherwise; how many notifications there were until then."""
    healthy = 'quaywatch_probe_success{target="erp14"} == 1 unless on () ALERTS{alertname="FlowFailing"}'
    wait_for(lambda: bool(api.query(world.prometheus.url, healthy)))
    return len(read_notifications(world.webhook.file))


@pytest.mark.timeout(600)
def test_a_stopped_odoo_pages_and_the_page_resolves(
    world: World, watching: Agent, record_property: Callable[[str, object], None]
) -> None:
    """Within two and a half minutes somebody is told which flow fails and why, and when it is over."""
    since = all_is_well(world)
    with faults.stop_odoo(world, "odoo14"):
        record_property("seconds_to_page", wait_for(lambda: bool(told(world, since, "firing"))))
        page = told(world, since, "firing")[0]
    assert (page.labels["target"], page.labels["probe"], page.labels["severity"]) == ("erp14", "order_create", "page")
    assert "odoo erp14 does not answer" in page.annotations["description"]
    assert page.annotations["runbook_url"].endswith("/FlowFailing.md")
    record_property("seconds_to_resolve", wait_for(lambda: bool(told(world, since, "resolved"))))
    assert watching.status()


@pytest.mark.timeout(600)
def test_a_locked_table_pages_and_the_page_names_who_locks_it(world: World, watching: Agent) -> None:
    """Who is woken reads which session stands in the way, and in which database."""
    since = all_is_well(world)
    with faults.table_lock(world, "odoo14"):
        wait_for(lambda: bool(told(world, since, "firing")))
        page = told(world, since, "firing")[0]
        wait_for(lambda: bool(told(world, since, "firing", "LockWaitLong")))
        ticket = told(world, since, "firing", "LockWaitLong")[0]
    assert re.search(
        r"Likely cause: process \d+ of database odoo14 \(idle in transaction", page.annotations["description"]
    )
    assert (ticket.labels["severity"], ticket.labels["alert_role"]) == ("ticket", "cause")
    assert "Root blocker: process" in ticket.annotations["description"]
    for name in ("FlowFailing", "LockWaitLong"):
        wait_for(partial(told, world, since, "resolved", name))
    assert watching.status()


@pytest.mark.timeout(600)
def test_a_standby_that_stands_still_and_a_full_redis_are_told_and_resolve(world: World, watching: Agent) -> None:
    """Lag pages as a recovery point that is missed; a full Redis makes a ticket; both end with their fault."""
    since = all_is_well(world)
    ill = ("ReplicaStale", "RedisMemoryHigh")
    with faults.lag(world), faults.fill_redis(world):
        for name in ill:
            wait_for(partial(told, world, since, "firing", name))
    stale, full = (told(world, since, "firing", name)[0] for name in ill)
    assert (stale.labels["target"], stale.labels["severity"]) == ("erp-standby", "page")
    assert (full.labels["target"], full.labels["severity"]) == ("cache", "ticket")
    for name in ill:
        wait_for(partial(told, world, since, "resolved", name))
    assert watching.status()
