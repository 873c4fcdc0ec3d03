"""Every query of every panel returns data in both stores, from a real agent on real servers.

In health those alone are empty of which the panel says so; with all the faults at once none is.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trustme
import yaml

import alerts
from dashboards.builder import EMPTY_WHEN_FINE
from sandbox import agent, faults, flow_faults, odoo_faults, postgres_faults
from sandbox.agent import Agent
from sandbox.parts import api, prometheus, redis, victoriametrics, vmalert
from sandbox.parts.records import read_spans
from sandbox.process import LOOPBACK
from sandbox.world import World
from tests.contract.test_dashboards import expressions, panels, rendered
from tests.integration.runtime.cluster import Namespace, namespace

PARTS = ("odoo14", "odoo19", "standby", "redis", "collector", "traefik", "prometheus", "kubernetes")
pytestmark = pytest.mark.timeout(1500)
"""The API server is compiled the first time."""
EVERY = 5.0
FAST = (
    "odoo_queue_channels",
    "odoo_cron",
    "odoo_mail",
    "odoo_edi",
    "odoo_orders",
    "odoo_api_keys",
    "postgres_databases",
    "postgres_wal",
    "postgres_checkpoints",
    "postgres_archiver",
    "postgres_archive_backlog",
    "http_check",
    "tls_expiry",
)
"""Whose counters are read so often that two readings come within the test, and what a fault changes."""
ENVIRONMENT = "dashboards"
"""Of this agent alone: what others have stored does not answer."""
CHOSEN = {
    "$__rate_interval": "1m",
    "$__range": "5m",
    "$environment": ENVIRONMENT,
    **{f"${name}": ".*" for name in ("job", "target", "database", "probe")},
}
KEY = "sandbox:dashboards"
FAULTS: tuple[Callable[[World], AbstractContextManager[str]], ...] = (
    odoo_faults.stranded_order,
    odoo_faults.skipped_crons,
    odoo_faults.expiring_key,
    postgres_faults.failing_archive,
    partial(flow_faults.bystanders, count=2),
    faults.queue_stall,
    faults.lag,
    partial(flow_faults.refused_writes, target="odoo19"),
)
"""Besides a target that is not there; together they fill what is empty when all is well. No probe is in their way."""
_WITHIN = 180.0

Ask = Callable[[str], object]


@pytest.fixture(scope="module")
def watched(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """The sandbox with the agent on it, and both stores, which work out what the rules record."""
    home = tmp_path_factory.mktemp("dashboards")
    with ExitStack() as stack:
        host = stack.enter_context(tls_host())
        cluster = stack.enter_context(namespace(world.kubernetes))
        stack.enter_context(recorded(world, home / "recordings.yml"))
        stack.callback(world.services.stop, agent.NAME)
        running = agent.start(
            world.services,
            world,
            every=EVERY,
            probe_every=EVERY,
            edge=True,
            all_flows=True,
            change=partial(widened, home=home, host=host, cluster=cluster),
        )
        redis.command(world.redis, "SET", KEY, "1")
        stack.callback(redis.command, world.redis, "DEL", KEY)
        stack.callback(prometheus.set_targets, world.prometheus, [])
        prometheus.set_targets(world.prometheus, [running.address])
        yield running


@pytest.fixture(scope="module")
def empty_in_health(world: World, watched: Agent) -> Mapping[str, list[str]]:
    """What returns nothing in each store while all is well; of whatever is to have data then, all has."""
    assert watched.status()
    fine = when_fine()
    wanted = [text for text in queries() if text not in fine]
    late = {name: unanswered(world, ask, wanted) for name, ask in stores(world).items()}
    assert not any(late.values()), late
    return {name: [text for text in fine if not ask(text)] for name, ask in stores(world).items()}


@pytest.fixture(scope="module")
def troubled(world: World, watched: Agent, empty_in_health: Mapping[str, list[str]]) -> Iterator[World]:
    """The same with all the faults at once, and a Redis configured that is not there."""
    assert empty_in_health
    with ExitStack() as stack:
        for fault in FAULTS:
            stack.enter_context(fault(world))
        settings = yaml.safe_load(watched.config.read_text())
        settings["targets"]["gone"] = {"kind": "redis", "host": LOOPBACK, "port": 1}
        watched.config.write_text(yaml.safe_dump(settings, sort_keys=False))
        yield world


@contextmanager
def recorded(world: World, rules: Path) -> Iterator[None]:
    """In both stores the recordings that panels ask for are worked out every other second."""
    rules.write_text(yaml.safe_dump({"groups": list(recordings())}))
    there = world.prometheus.rules / "dashboards.yml"
    there.write_text(rules.read_text())
    try:
        api.reload(world.prometheus.url)
        vmalert.start(world.services, world.victoriametrics, rules)
        yield
    finally:
        world.services.stop(vmalert.NAME)
        there.unlink()
        api.reload(world.prometheus.url)


def recordings() -> Iterator[dict[str, Any]]:
    """The groups of the rules, reduced to what panels ask for and what that is made of."""
    groups = yaml.safe_load((Path(alerts.__file__).parent / "rules" / "quaywatch.yml").read_text())["groups"]
    wanted, texts = set[str](), queries()
    while names := {name for text in texts for name in re.findall(r"quaywatch:[a-zA-Z0-9_:]+", text)} - wanted:
        wanted |= names
        texts = [rule["expr"] for group in groups for rule in group["rules"] if rule.get("record") in names]
    for group in groups:
        if rules := [rule for rule in group["rules"] if rule.get("record") in wanted]:
            yield {"name": f"{group['name']}-of-dashboards", "interval": "2s", "rules": rules}


def widened(settings: dict[str, Any], home: Path, host: str, cluster: Namespace) -> None:
    """Put reports of a backup and a restore test into the configuration, a host with TLS, and shorter intervals.

    And the pods of a node are followed, of which there are none.
    """
    now = time.time()
    backup = {"name": "filestore", "finished": now - 3600, "started": now - 3700, "size": 31_000_000}
    test = {"name": "erp", "ok": True, "started": now - 7200, "finished": now - 7000, "recovery_point": now - 7300}
    (home / "backups.json").write_text(json.dumps(backup))
    (home / "tests.json").write_text(json.dumps([test]))
    settings["discovery"] = {
        "node": "nowhere",
        "url": cluster.server.url,
        "token_file": str(cluster.token(home / "token")),
        "ca_file": str(cluster.server.ca_file),
    }
    settings["environment"] = ENVIRONMENT
    settings["targets"]["backups"] = {
        "kind": "backup",
        "source": "file",
        "file": str(home / "backups.json"),
        "restore_tests": str(home / "tests.json"),
    }
    settings["exporters"] |= {name: {"every": EVERY, "deadline": EVERY * 0.8} for name in FAST}
    settings["exporters"]["postgres_replication"]["expected_standbys"] = 1
    settings["exporters"]["http_check"]["enabled"] = True
    settings["exporters"]["tls_expiry"]["hosts"] = [host]


@contextmanager
def tls_host() -> Iterator[str]:
    """Host and port of somebody who speaks TLS, with a certificate of nobody's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(LOOPBACK).configure_cert(context)
    with ThreadingHTTPServer((LOOPBACK, 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def queries() -> list[str]:
    """All PromQL of all dashboards, the variables chosen."""
    texts = [text for dashboard in rendered().values() for panel in panels(dashboard) for text in expressions(panel)]
    return [with_choices(text) for text in dict.fromkeys(texts)]


def when_fine() -> list[str]:
    """The queries of those panels that say that they are empty while all is well."""
    said = [
        text
        for dashboard in rendered().values()
        for panel in panels(dashboard)
        if panel["description"].endswith(EMPTY_WHEN_FINE)
        for text in expressions(panel)
    ]
    return [with_choices(text) for text in dict.fromkeys(said)]


def with_choices(text: str) -> str:
    """The query as Grafana sends it with everything chosen."""
    for variable, value in CHOSEN.items():
        text = text.replace(variable, value)
    return text


def stores(world: World) -> Mapping[str, Ask]:
    """Who is asked: one store is fed by scraping, the other by OTLP."""
    return {
        "prometheus": partial(api.query, world.prometheus.url),
        "victoriametrics": partial(victoriametrics.query, world.victoriametrics),
    }


def unanswered(world: World, ask: Ask, left: list[str]) -> list[str]:
    """The queries that return nothing until the deadline; a query in error raises."""
    deadline = time.monotonic() + _WITHIN
    while left and time.monotonic() < deadline:
        redis.command(world.redis, "GET", KEY)
        left = [text for text in left if not ask(text)]
    return left


def test_in_health_that_alone_is_empty_which_says_so(empty_in_health: Mapping[str, list[str]]) -> None:
    """Whoever sees an empty panel reads there whether that is good; and there are such panels in each store."""
    assert all(empty_in_health.values())


def test_a_duration_leads_to_its_trace(world: World, watched: Agent, empty_in_health: Mapping[str, list[str]]) -> None:
    """Prometheus has exemplars of the steps' durations, and each is of a trace that arrived."""
    assert watched.url
    assert empty_in_health
    asked = f'quaywatch_probe_step_duration_seconds_bucket{{environment="{ENVIRONMENT}"}}'
    times = {"start": time.time() - 600, "end": time.time()}
    answer = api.get(f"{world.prometheus.url}/api/v1/query_exemplars?{urlencode({'query': asked, **times})}")
    found = {one["labels"]["trace_id"] for series in json.loads(answer)["data"] for one in series["exemplars"]}
    assert found
    assert found & {span.trace_id for span in read_spans(world.recorder.file)}


def test_every_query_has_data_in_prometheus(troubled: World) -> None:
    """Row 37: what is scraped answers every panel."""
    assert unanswered(troubled, stores(troubled)["prometheus"], queries()) == []


def test_every_query_has_data_in_victoriametrics(troubled: World) -> None:
    """What arrives by OTLP answers every panel."""
    assert unanswered(troubled, stores(troubled)["victoriametrics"], queries()) == []


def test_annotations_and_variables_are_understood(troubled: World) -> None:
    """Both stores take the queries of annotations, and know the labels of which variables list the values."""
    for dashboard in rendered().values():
        for annotation in dashboard["annotations"]["list"]:
            for ask in stores(troubled).values():
                ask(with_choices(annotation["expr"]))
