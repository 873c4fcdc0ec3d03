"""Alerts that real faults raise, on the real chain: agent, Prometheus, Alertmanager, webhook."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sandbox import agent, faults, odoo_faults, postgres_faults
from sandbox.parts import api
from sandbox.parts.postgres import sql
from sandbox.parts.webhook import Alert, read_notifications
from sandbox.process import until
from sandbox.world import World
from tests.alerts.proofs import BY_FAULT, FAULTS
from tests.integration.alerts import answers
from tests.integration.alerts.promised import EVERY, LOGIN, meant
from tests.integration.alerts.shops import BROKEN
from tests.integration.alerts.stage import Stage, report, staged

PARTS = ("odoo14", "standby", "redis", "prometheus")
pytestmark = pytest.mark.timeout(1800)
"""Each evening may be played twice."""
_WITHIN = 150.0
_BUSY = 60.0
"""Seconds that a busy machine may take more."""
_LOG = "select pg_logical_emit_message(true, 'sandbox', repeat('x', 8 * 1024 * 1024))"


@dataclass
class Course:
    """What became of each alert: when it fired and resolved, and what the webhook was told, in seconds of one clock."""

    began: float = 0
    fired: dict[str, float] = field(default_factory=dict)
    resolved: dict[str, float] = field(default_factory=dict)
    pages: dict[str, Alert] = field(default_factory=dict)
    paged: float = 0


@pytest.fixture(scope="module")
def course(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Course]]:
    """Three evenings on call, one after the other."""
    evenings = {"backlog": backlog, "outage": outage, "silence": silence}
    with staged(world, tmp_path_factory.mktemp("faults")) as stage:
        yield {name: played(stage, {*BY_FAULT[name]}, break_it) for name, break_it in evenings.items()}


def played(stage: Stage, expected: set[str], break_it: Callable[[Stage], AbstractContextManager[None]]) -> Course:
    """An evening, and when something was missing another one: a busy machine may have been late once."""
    course = evening(stage, expected, break_it)
    whole = expected <= course.fired.keys() & course.pages.keys() & course.resolved.keys()
    return course if whole else evening(stage, expected, break_it)


def evening(stage: Stage, expected: set[str], break_it: Callable[[Stage], AbstractContextManager[None]]) -> Course:
    """From all being well over a fault, until its alerts fire, to their end."""
    course = Course()
    assert until(lambda: well(stage, expected), within=_WITHIN)
    told_before = len(read_notifications(stage.world.webhook.file))
    course.began = time.monotonic()
    with break_it(stage):
        until(lambda: note(stage, course, expected, told_before), within=_WITHIN)
    until(lambda: over(stage, course, expected), within=_WITHIN)
    return course


def well(stage: Stage, expected: set[str]) -> bool:
    """Whether the flow passes, and nothing fires of what is to fire later."""
    passes = bool(api.query(stage.world.prometheus.url, 'quaywatch_probe_success{target="erp14"} == 1'))
    return passes and not expected & stage.firing().keys()


def note(stage: Stage, course: Course, expected: set[str], told_before: int) -> bool:
    """Note what fires now and whom the webhook was told of; whether that is all that is expected."""
    now = time.monotonic() - course.began
    if "EdgeErrors" in expected:
        stage.visit()
    for alert in stage.firing():
        course.fired.setdefault(alert, now)
    for notified in told(stage.world, told_before):
        course.pages.setdefault(notified.name, notified)
    if "FlowFailing" in course.pages and not course.paged:
        course.paged = now
    return expected <= course.fired.keys() and expected <= course.pages.keys()


def over(stage: Stage, course: Course, expected: set[str]) -> bool:
    """Note what fires no more; whether nothing of what was expected does."""
    now, firing = time.monotonic() - course.began, stage.firing()
    for alert in expected - firing.keys():
        course.resolved.setdefault(alert, now)
    return not expected & firing.keys()


def told(world: World, since: int) -> list[Alert]:
    """What the webhook was told to fire, and is meant to, after its first ``since`` notifications."""
    notifications = read_notifications(world.webhook.file)[since:]
    alerts = [alert for notification in notifications for alert in notification.alerts]
    return [alert for alert in alerts if alert.status == "firing" and meant(alert.labels)]


@contextmanager
def backlog(stage: Stage) -> Iterator[None]:
    """Nothing is down, a lot is not done, and somebody's session keeps the table of orders.

    One shop fails at the edge and another is slow; certificates are wrong; flows beside that of the orders stumble.
    """
    with ExitStack() as broken:
        for fault in (
            faults.lag,
            faults.evictions,
            faults.queue_stall,
            faults.deadlock,
            odoo_faults.skipped_crons,
            odoo_faults.cron_off,
            postgres_faults.failing_archive,
            answers.struck,
            faults.table_lock,
        ):
            broken.enter_context(fault(stage.world))
        broken.enter_context(stage.shops.trouble())
        broken.enter_context(misspelt(stage.agent.config))
        broken.callback(report, stage.reports, ill=False)
        report(stage.reports, ill=True)
        yield


@contextmanager
def misspelt(configuration: Path) -> Iterator[None]:
    """The agent's file has a key that it does not know."""
    text = configuration.read_text()
    configuration.write_text(f"{text}tragets: {{}}\n")
    try:
        yield
    finally:
        configuration.write_text(text)


@contextmanager
def outage(stage: Stage) -> Iterator[None]:
    """Odoo is stopped, and so is the line to the standby."""
    with (
        faults.stop_odoo(stage.world, "odoo14"),
        odoo_faults.stranded_order(stage.world),
        faults.cut_standby(stage.world),
    ):
        sql(stage.world.postgres, _LOG)
        yield


@contextmanager
def silence(stage: Stage) -> Iterator[None]:
    """The agent itself is stopped."""
    stage.world.services.stop(agent.NAME)
    try:
        yield
    finally:
        stage.world.services.resume(agent.NAME)


@pytest.mark.parametrize(("name", "alert"), FAULTS)
def test_a_fault_raises_an_alert_that_resolves(name: str, alert: str, course: dict[str, Course]) -> None:
    """It was silent before, fires, is told, and ends with its fault."""
    assert alert in course[name].fired
    assert alert in course[name].pages
    assert alert in course[name].resolved


def test_an_outage_is_told_in_time(course: dict[str, Course], record_property: Callable[[str, object], None]) -> None:
    """From the moment that Odoo is told to stop.

    The rule fires within three intervals and half a minute, the webhook hears of it within another half; and both
    later by no more than what a busy machine takes.
    """
    fired, paged = course["outage"].fired["FlowFailing"], course["outage"].paged
    record_property("seconds_to_fire", fired)
    record_property("seconds_to_page", paged)
    assert fired < 3 * EVERY + 30 + _BUSY
    assert paged - fired < 30 + _BUSY


def test_a_page_names_what_is_down(course: dict[str, Course]) -> None:
    """Who is woken reads which flow fails, and why."""
    page = course["outage"].pages["FlowFailing"]
    assert (page.labels["target"], page.labels["probe"], page.labels["severity"]) == ("erp14", "order_create", "page")
    assert "odoo erp14 does not answer" in page.annotations["description"]
    assert page.annotations["runbook_url"].endswith("/FlowFailing.md")


def test_a_page_names_who_locks_the_table(course: dict[str, Course]) -> None:
    """Which session stands in the way, and in which database."""
    page, ticket = course["backlog"].pages["FlowFailing"], course["backlog"].pages["LockWaitLong"]
    assert re.search(r"process \d+ of database odoo14 \(idle in transaction", page.annotations["description"])
    assert (ticket.labels["severity"], ticket.labels["alert_role"]) == ("ticket", "cause")
    assert "Root blocker: process" in ticket.annotations["description"]


def test_who_is_ill_is_told_from_who_is_well(course: dict[str, Course]) -> None:
    """Of three shops the one that fails, of two hosts each with its own fault, and the flow that all targets run."""
    pages = course["backlog"].pages
    assert pages["EdgeErrorsOfOneTenant"].labels["host"] == BROKEN
    assert pages["CertificateUnusable"].labels["host"] != pages["CertificateExpiring"].labels["host"]
    assert course["outage"].pages["FlowFailingEverywhere"].labels["probe"] == LOGIN


def test_symptoms_of_recovery_page_and_causes_do_not(course: dict[str, Course]) -> None:
    """A recovery point that is missed pages; a full Redis makes a ticket."""
    stale, full = (course["backlog"].pages[name] for name in ("ReplicaStale", "RedisMemoryHigh"))
    assert (stale.labels["target"], stale.labels["severity"]) == ("erp-standby", "page")
    assert (full.labels["target"], full.labels["severity"]) == ("cache", "ticket")
