"""Real faults on real servers, and what the agent says they are: one for each cause, while they last.

The order-create probe runs on Odoo 14, whose configuration names what it stands on; Traefik is in front. Where no flow
of ours meets a fault by itself, a step of the test's own does, and says so.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from probes import label_print, login, order_create
from probes.scripted import OdooOptions, probe_of
from quaywatch.cli.browsing import plan_browser
from quaywatch.cli.plan import open_driver, plan_evidence
from quaywatch.clock import SystemClock
from quaywatch.config import load_text
from quaywatch.contract import Odoo as Driver
from quaywatch.contract import Outcome, Probe, ProbeTask, Reason, Target, TargetKind, Transaction, Transport
from quaywatch.drivers.postgres import PostgresCluster
from quaywatch.runtime.evidence import Investigator
from quaywatch.runtime.evidence.facts import State
from quaywatch.runtime.evidence.gather_postgres import look_at_database
from quaywatch.runtime.probing import Cause, RunRecord, run_probe
from quaywatch.runtime.probing.suspicion import EVENT, NO_CASE
from quaywatch.runtime.web import History
from quaywatch.runtime.web.status_page import render
from quaywatch.script import Flow
from sandbox import faults, flow_faults
from sandbox.parts import traefik
from sandbox.parts.collector import Collector
from sandbox.parts.odoo import SESSIONS, start_with_sessions
from sandbox.parts.postgres import sql
from sandbox.process import LOOPBACK, Services, free_port, until
from sandbox.testing import shared_world
from sandbox.world import World
from tests.integration.cli.agent import running
from tests.integration.cli.agent import until as eventually
from tests.unit.runtime.probe_fakes import NoOptions, Numbers, Spans, sweeps_nothing

DATABASE = "odoo14"
SUSPECT_AFTER = 0.6
DEADLINE = 1.6
UNHURRIED = 10.0
"""The deadline of runs that are to end by themselves, after somebody was asked."""
LOGIN = login.Options()
PATIENT = 20.0
"""The deadline of runs that are to pass, however busy the machine is; a third of it is waited before anybody asks."""


@dataclass(frozen=True)
class Site:
    """A server to stand in front of."""

    url: str


@dataclass(frozen=True)
class Behind:
    """What Traefik stands in front of here: an Odoo, a port where nobody listens, and nobody who takes spans."""

    odoo14: Site
    odoo19: Site
    collector: Collector


@dataclass
class Told:
    """A run, and what was said of it."""

    record: RunRecord
    spans: Spans
    numbers: Numbers

    @property
    def cause(self) -> Cause | None:
        """The likely cause."""
        return self.record.evidence.cause if self.record.evidence else None

    @property
    def sentence(self) -> str:
        """The sentence that names it."""
        return self.record.evidence.sentences[0] if self.record.evidence else ""


@dataclass
class Scene:
    """An Odoo with what it stands on, and a way to probe it."""

    world: World

    def configured(self, **changed: str) -> dict[str, Any]:
        """The configuration; keys of the Odoo target may be changed."""
        odoo, cache = self.world.odoo14, self.world.redis
        keys: dict[str, Any] = {
            "url": odoo.url,
            "database": odoo.database,
            "login": odoo.login,
            "password": odoo.password,
            "answer_within": 30,
            "cache": "cache",
            **changed,
        }
        database = {"host": self.world.postgres.host, "port": self.world.postgres.port, "password": "quaywatch"}
        redis = {"host": cache.host, "port": cache.port, "password": cache.password}
        targets = {
            "erp": {"kind": "odoo", **keys},
            "db": {"kind": "postgres", **database},
            "cache": {"kind": "redis", **redis},
            "edge": {"kind": "http", "url": changed.get("url", odoo.url)},
            "elsewhere": {"kind": "postgres", **database, "password": "wrong"},
        }
        return {"environment": "test", "installation": "causes", "lease": "none", "targets": targets}

    async def probe(
        self,
        probe: Probe[Driver, Any] = order_create.PROBE,
        *,
        deadline: float = DEADLINE,
        options: Any = None,
        fault: AbstractContextManager[str] | None = None,
        changed: Mapping[str, str] = MappingProxyType({}),
        kept: PostgresCluster | None = None,
    ) -> Told:
        """One run while a fault lasts; the undoing, which may take the fault's end, is left to the next sweep.

        ``kept`` stands for the session of an agent that has watched the database server before.
        """
        settings = load_text(json.dumps(self.configured(**changed)), "test.yaml", {}, {}, {})
        driver = open_driver(settings.targets["erp"], plan_browser(settings))
        odoo, spans, numbers = self.world.odoo14, Spans(), Numbers()
        wanted = options or order_create.Options(partner=odoo.partner_id, product=odoo.product_id)
        suspect_after = PATIENT / 3 if deadline == PATIENT else SUSPECT_AFTER
        task = ProbeTask(replace(probe, undo_within=1.0), wanted, 60, deadline, suspect_after=suspect_after)
        try:
            with fault or nullcontext():
                record = await run_probe(
                    task,
                    driver,
                    target=Target("erp", TargetKind.ODOO),
                    tick=time.time(),
                    installation="causes",
                    meter=numbers,
                    tracer=spans.tracer,
                    clock=SystemClock(),
                    on_suspicion=Investigator(plan_evidence(settings, lambda _: kept)),
                )
        finally:
            await driver.close()
        return Told(record, spans, numbers)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Odoo 14, PostgreSQL and Redis."""
    world = shared_world("postgres", "redis", "odoo14")
    yield Scene(world)
    sql(world.postgres, "delete from sale_order where client_order_ref like 'quaywatch/causes/%'", DATABASE)


@pytest.fixture
def edge(scene: Scene, tmp_path: Path) -> Iterator[tuple[Services, traefik.Traefik]]:
    """Traefik in front of that Odoo; by its other address nobody is behind it."""
    services = Services(tmp_path)
    nobody = f"http://{LOOPBACK}:{free_port()}"
    collector = Collector(grpc=nobody.removeprefix("http://"), http=nobody, metrics=nobody)
    proxy = traefik.start(services, Behind(Site(scene.world.odoo14.url), Site(nobody), collector), None)
    assert until(lambda: _answers(f"{proxy.odoo14}/web/login"), within=60)
    yield services, proxy
    services.stop_all()


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
        return bool(answer.status == 200)


def step() -> Probe[Any, Any]:
    """A probe of one step, which does nothing but take its time."""

    async def run(_driver: Any, _options: Any, tx: Transaction) -> None:
        async with tx.step("wait"):
            await asyncio.sleep(1.0)

    return Probe(
        name="order_wait",
        flow="order-wait",
        transport=Transport.RPC,
        drives=TargetKind.ODOO,
        options=NoOptions,
        steps=("wait",),
        run=run,
        sweep=sweeps_nothing,
    )


async def test_a_clean_run_has_no_cause(scene: Scene) -> None:
    """Nobody is asked, and nothing is said, where all is well."""
    told = await scene.probe(deadline=PATIENT)
    assert (told.record.outcome, told.cause) == (Outcome.SUCCESS, None)


async def test_nothing_found_is_unknown(scene: Scene) -> None:
    """A slow step with everything else in order: that is said, and no cause is made up."""
    told = await scene.probe(step(), deadline=UNHURRIED)
    assert (told.cause, told.record.outcome) == (Cause.UNKNOWN, Outcome.SUCCESS)
    assert "nothing was found" in told.sentence


@pytest.mark.parametrize("crowd", [0, 10])
async def test_a_lock_is_told_with_its_holder(scene: Scene, crowd: int) -> None:
    """Pid, state, age and database of who holds it, on the step's span, on the run's and on the page.

    Ten sessions that wait for another table, and whoever holds that, are not named.
    """
    with ExitStack() as stack:
        if crowd:
            stack.enter_context(flow_faults.bystanders(scene.world, count=crowd))
        stack.enter_context(flow_faults.customer_lock(scene.world))
        holder = "select pid from pg_stat_activity where application_name = 'month-end-import'"
        pid = sql(scene.world.postgres, holder)
        told = await scene.probe()
    assert told.cause is Cause.LOCK_WAIT
    said = rf"lock wait behind pid {pid}, idle in transaction \d+ s, database odoo14, application month-end-import"
    assert re.fullmatch(rf"orders (stall|fail): {said}(, \d+ sessions wait behind it)?", told.sentence)
    *_, event = [one for one in told.spans.one("step create").events if one.name == EVENT]
    assert event.attributes is not None
    assert event.attributes["quaywatch.cause"] == "lock_wait"
    assert told.sentence in str(event.attributes["quaywatch.evidence"])
    root = told.spans.one("probe order_create").attributes
    assert root is not None
    assert root["quaywatch.cause"] == "lock_wait"
    assert float(str(root["quaywatch.cause.confidence"])) >= 0.9
    assert told.numbers.of("quaywatch.probe.causes", cause="lock_wait", step="create") == 1
    history = History(SystemClock(), version="1")
    history.note_run(told.record)
    page = render(history.status(told.numbers.series()))
    assert told.sentence in page


def test_a_running_agent_tells_it_on_its_page(scene: Scene, tmp_path: Path) -> None:
    """From the configuration to the page and the counter, with nothing between that is ours."""
    odoo, postgres = scene.world.odoo14, scene.world.postgres
    flow = {"targets": ["erp"], "partner": odoo.partner_id, "product": odoo.product_id}
    flow |= {"every": 4, "deadline": 1.6, "suspect_after": 0.6}
    configuration = {**scene.configured(), "probes": {"order_create": flow}}
    with flow_faults.customer_lock(scene.world), running(tmp_path, configuration) as agent:
        holder = sql(postgres, "select pid from pg_stat_activity where application_name = 'month-end-import'")
        told = f": lock wait behind pid {holder}, idle in transaction "
        eventually(lambda: told in agent.page("/"), "the page tells it")
        assert "Likely cause: <b>lock wait</b> (9" in agent.page("/")
        assert agent.metric("quaywatch_probe_causes_total", cause="lock_wait", step="create")


async def test_bystanders_alone_are_no_cause(scene: Scene) -> None:
    """A step that is slow for a reason of its own is not said to wait behind a lock that others wait for."""
    told = await scene.probe(step(), deadline=UNHURRIED, fault=flow_faults.bystanders(scene.world))
    assert told.cause is Cause.UNKNOWN


async def test_a_locked_table_is_told(scene: Scene) -> None:
    """A migration that locks the whole table of orders stops even their reading."""
    told = await scene.probe(fault=faults.table_lock(scene.world))
    assert told.cause is Cause.LOCK_WAIT
    assert "month-end-import" in told.sentence


async def test_a_costly_trigger_is_a_slow_database(scene: Scene) -> None:
    """A statement that takes long without waiting for anybody.

    However late a busy machine comes to it, at the deadline it has been at it for most of the step.
    """
    told = await scene.probe(fault=flow_faults.slow_writes(scene.world, seconds=4), deadline=3)
    assert told.cause is Cause.DB_SLOW
    assert "PgSleep" in told.sentence


async def test_a_refusing_constraint_is_odoos_own_error(scene: Scene) -> None:
    """Odoo answers with an error, and all that it stands on is well."""
    told = await scene.probe(fault=flow_faults.refused_writes(scene.world), deadline=UNHURRIED)
    assert (told.cause, told.record.failed_step) == (Cause.ODOO_ERROR, "create")


async def test_a_wrong_password_is_auth(scene: Scene) -> None:
    """Once is enough: more of them would lock the address out."""
    assert (await scene.probe(deadline=UNHURRIED, changed={"password": "wrong"})).cause is Cause.AUTH


EXPORT = """
    kind: odoo
    steps:
      - name: find
        call: {model: queue.job, method: search, args: [[[state, "=", done]]], kwargs: {limit: 1}}
        save: {job: "$[0]"}
      - {name: again, call: {model: queue.job, method: requeue, args: [["${steps.find.job}"]]}, writes: false}
      - name: done
        call: {model: queue.job, method: search_count, args: [[[id, "=", "${steps.find.job}"], [state, "=", done]]]}
        expect: [{equals: 1}]
        within: %s
"""
"""A flow of the user's: a real job is done once more, and is waited for."""


async def test_jobs_that_nobody_takes_up(scene: Scene) -> None:
    """A flow that waits for a job passes while the runner runs; without one it fails, and jobs wait for half an hour.

    The runner lives in the first Odoo; the second one, which goes on alone, has none.
    """
    world = scene.world
    admin = {"login": world.odoo14.admin_login, "password": world.odoo14.admin_password}
    taken_up = await scene.probe(flow(EXPORT % 20), options=OdooOptions(), deadline=30.0, changed=admin)
    assert (taken_up.record.message, taken_up.record.outcome) == ("", Outcome.SUCCESS)
    url = start_with_sessions(world.services, world, world.redis)
    try:
        with faults.stop_odoo(world), faults.queue_stall(world):
            left = await scene.probe(
                flow(EXPORT % 1), options=OdooOptions(), deadline=30.0, changed={**admin, "url": url}
            )
    finally:
        world.services.stop(SESSIONS)
    assert (left.record.failed_step, left.cause) == ("done", Cause.QUEUE_STALLED)
    assert re.search(r"has not come: 2\d jobs are due and not taken up, the oldest for \d{4,} s", left.sentence)


def flow(text: str) -> Probe[Any, Any]:
    """The probe of a flow that is written as users do."""
    found: list[Probe[Any, Any]] = []

    def kept(one: Flow) -> Probe[Any, Any]:
        found.append(probe_of(one))
        return found[-1]

    site = {"kind": "odoo", "url": "http://erp", "database": "a", "login": "b", "password": "c"}
    head = f"environment: test\ninstallation: causes\nlease: none\ntargets: {json.dumps({'erp': site})}\n"
    load_text(f"{head}flows:\n  export:{text}", "test.yaml", {}, {}, {}, kept)
    return found[0]


async def test_redis_in_trouble_is_told_where_odoo_keeps_its_sessions_there(scene: Scene) -> None:
    """Full, and every page is an error; frozen, and none is answered; well again, and the log-in passes."""
    world = scene.world
    url = start_with_sessions(world.services, world, world.redis)
    try:
        told = {
            name: await scene.probe(login.PROBE, options=LOGIN, changed={"url": url}, fault=fault, deadline=4.0)
            for name, fault in (("full", faults.fill_redis(world)), ("frozen", faults.freeze(world, "redis")))
        }
        well = await scene.probe(login.PROBE, options=LOGIN, changed={"url": url}, deadline=PATIENT)
    finally:
        world.services.stop(SESSIONS)
    assert {one.record.failed_step for one in told.values()} == {"web"}
    assert {one.cause for one in told.values()} == {Cause.REDIS}
    assert "Redis is full and may refuse to write" in told["full"].sentence
    assert "and every page of Odoo is an error while the database answers" in told["full"].sentence
    assert told["frozen"].sentence.endswith(
        ": Redis does not answer, and no page of Odoo is answered while the database answers"
    )
    assert (well.record.outcome, well.cause) == (Outcome.SUCCESS, None)


@pytest.mark.parametrize(("hangs", "deadline"), [(0, 30), (5, 4)])
async def test_a_broken_label_engine(scene: Scene, hangs: float, deadline: float) -> None:
    """A wkhtmltopdf that fails, for which Odoo 14 gives a blank PDF, and one that does nothing."""
    odoo = scene.world.odoo14
    options = label_print.Options(partner=odoo.partner_id, product=odoo.product_id)
    fault = flow_faults.broken_printer(scene.world, hangs=hangs)
    told = await scene.probe(label_print.PROBE, options=options, fault=fault, deadline=deadline)
    assert (told.cause, told.record.failed_step) == (Cause.LABEL_ENGINE, "slip")


async def test_an_edge_that_finds_no_way_and_one_that_is_gone(
    scene: Scene, edge: tuple[Services, traefik.Traefik]
) -> None:
    """502 in front of an Odoo that answers directly is the edge's own fault, and so is nobody in front of it."""
    services, proxy = edge
    around = {"direct": scene.world.odoo14.url, "edge": "edge"}
    through = await scene.probe(deadline=PATIENT, changed={**around, "url": proxy.odoo14})
    astray = await scene.probe(changed={**around, "url": proxy.odoo19})
    services.kill(traefik.NAME, signal.SIGKILL)
    gone = await scene.probe(changed={**around, "url": proxy.odoo14})
    assert (through.cause, astray.cause, gone.cause) == (None, Cause.EDGE, Cause.EDGE)
    assert re.fullmatch("orders fail: the edge says 50[23], while Odoo itself answers", astray.sentence)
    assert gone.sentence == "orders fail: the edge takes no connections, while Odoo itself answers"


async def test_a_full_database_server_is_known_from_our_own_visit(scene: Scene) -> None:
    """With every connection taken the visit itself is refused, and says why."""
    settings = load_text(json.dumps(scene.configured()), "test.yaml", {}, {}, {})
    opened = plan_evidence(settings)["erp"].database_server
    assert opened is not None
    cluster = opened()
    with flow_faults.no_connections(scene.world):
        facts = await look_at_database(cluster, replace(NO_CASE, database=DATABASE))
    await cluster.close()
    assert facts.state is State.FULL


async def test_who_took_all_connections_is_told(scene: Scene) -> None:
    """Odoo says itself that it gets no connection; our own visit gets none either; the session that is kept says who.

    Without a database server in the configuration Odoo's own words are enough.
    """
    settings = load_text(json.dumps(scene.configured()), "test.yaml", {}, {}, {})
    kept = open_driver(settings.targets["db"], plan_browser(settings))
    await kept.ping()
    try:
        with flow_faults.hoard(scene.world):
            told = await scene.probe(kept=kept, deadline=UNHURRIED)
            unkept = await scene.probe(deadline=UNHURRIED)
            odoos = await scene.probe(deadline=UNHURRIED, changed={"database_server": "elsewhere"})
    finally:
        await kept.close()
    assert (told.record.reason, told.cause) == (Reason.FAULT, Cause.DB_SATURATED)
    assert re.fullmatch(
        r"orders fail: the database server has no connection left: 1\d\d by price-import(, .*)?", told.sentence
    )
    assert unkept.sentence == "orders fail: the database server has no connection left"
    assert (odoos.cause, odoos.sentence) == (
        Cause.DB_SATURATED,
        "orders fail: Odoo says that it gets no database connection",
    )


async def test_a_role_without_connections_saturates(scene: Scene) -> None:
    """Odoo gets no connection any more, by the limit of its role."""
    told = await scene.probe(fault=flow_faults.role_limit(scene.world))
    assert told.cause is Cause.DB_SATURATED
    assert "role odoo" in told.sentence


async def test_an_odoo_that_is_stopped_out_of_reach_or_busy(scene: Scene) -> None:
    """Refused is down, and so is somebody in its place who never answers: no Odoo uses the database.

    Neither refused nor taken while the database answers is the network. One that comes back and has all its threads
    taken is busy.
    """
    port = scene.world.services.ports(DATABASE)["http"]
    with faults.stop_odoo(scene.world):
        stopped = await scene.probe()
        with flow_faults.swallowing(port):
            swallowed = await scene.probe()
        with faults.silence(port):
            silent = await scene.probe()
        busy = await scene.probe(fault=flow_faults.busy_workers(scene.world))
    assert (stopped.cause, swallowed.cause, silent.cause) == (Cause.ODOO_DOWN, Cause.NETWORK, Cause.ODOO_DOWN)
    assert swallowed.sentence.endswith("nobody takes or refuses a connection at Odoo's address, while others answer")
    assert (busy.cause, "all its workers are busy" in busy.sentence) == (Cause.ODOO_WORKERS_BUSY, True)


async def test_an_odoo_that_is_restarted_is_never_the_network(scene: Scene) -> None:
    """From the moment it is stopped until it answers again, a step that is turned away or cut is told as Odoo down."""
    restart = asyncio.create_task(asyncio.to_thread(restarted, scene.world.services))
    runs = [asyncio.create_task(scene.probe())]
    while not restart.done():
        await asyncio.sleep(0.3)
        runs.append(asyncio.create_task(scene.probe()))
    told = await asyncio.gather(*runs)
    turned_away = [one.cause for one in told if one.record.reason is Reason.CONNECT]
    assert set(turned_away) == {Cause.ODOO_DOWN}
    assert Cause.NETWORK not in {one.cause for one in told}


def restarted(services: Services) -> None:
    """Odoo 14 stopped and started again."""
    services.stop(DATABASE)
    services.resume(DATABASE)


async def test_a_frozen_odoo_looks_busy(scene: Scene) -> None:
    """Connections are taken and nothing is answered while the database is idle: more cannot be seen from outside."""
    assert (await scene.probe(fault=faults.freeze(scene.world, DATABASE))).cause is Cause.ODOO_WORKERS_BUSY


@pytest.mark.parametrize("fault", [faults.freeze, faults.stop])
async def test_a_database_server_that_is_away(scene: Scene, fault: Any) -> None:
    """Frozen or stopped, it is told before whatever Odoo makes of it."""
    told = await scene.probe(fault=fault(scene.world, "postgres"))
    assert told.cause is Cause.DB_DOWN
