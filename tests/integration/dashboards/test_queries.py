"""Every query of every panel returns data in both stores, from a real agent on real servers."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from sandbox import agent, faults
from sandbox.parts import api, prometheus, redis, victoriametrics
from sandbox.process import LOOPBACK
from sandbox.world import World
from tests.contract.test_dashboards import expressions, panels, rendered

PARTS = ("odoo14", "odoo19", "standby", "redis", "collector", "traefik", "prometheus")
EVERY = 5.0
FAST = ("odoo_queue_channels", "postgres_databases", "postgres_wal", "http_check", "tls_expiry")
"""Whose counters are read so often that two readings come within the test; others are read at the start."""
CHOSEN = {
    "$__rate_interval": "1m",
    "$__range": "5m",
    **{f"${name}": ".*" for name in ("environment", "target", "database", "probe")},
}
KEY = "sandbox:dashboards"
_WITHIN = 60.0

Ask = Callable[[str], object]


@pytest.fixture(scope="module")
def troubled(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The sandbox under load, with all the faults at once that fill what is empty when all is well.

    Somebody waits for a lock, jobs are overdue, the standby does not replay, one Odoo takes no orders of the probes,
    and a Redis is configured that is not there.
    """
    with ExitStack() as stack:
        for fault in (faults.lock, faults.queue_stall):
            stack.enter_context(fault(world, "odoo14"))
        stack.enter_context(faults.lag(world))
        stack.enter_context(faults.FAULTS["refused-writes"](world, "odoo19"))
        host = stack.enter_context(tls_host())
        change = partial(widened, home=tmp_path_factory.mktemp("reports"), host=host)
        stack.callback(world.services.stop, agent.NAME)
        running = agent.start(
            world.services, world, every=EVERY, probe_every=EVERY, edge=True, all_flows=True, change=change
        )
        redis.command(world.redis, "SET", KEY, "1")
        stack.callback(redis.command, world.redis, "DEL", KEY)
        stack.callback(prometheus.set_targets, world.prometheus, [])
        prometheus.set_targets(world.prometheus, [running.address])
        yield world


def widened(settings: dict[str, Any], home: Path, host: str) -> None:
    """Put reports of a backup and a restore test into the configuration, a host with TLS, and shorter intervals."""
    now = time.time()
    backup = {"name": "filestore", "finished": now - 3600, "started": now - 3700, "size": 31_000_000}
    test = {"name": "erp", "ok": True, "started": now - 7200, "finished": now - 7000, "recovery_point": now - 7300}
    (home / "backups.json").write_text(json.dumps(backup))
    (home / "tests.json").write_text(json.dumps([test]))
    settings["targets"]["backups"] = {
        "kind": "backup",
        "source": "file",
        "file": str(home / "backups.json"),
        "restore_tests": str(home / "tests.json"),
    }
    settings["exporters"] |= {name: {"every": EVERY, "deadline": EVERY * 0.8} for name in FAST}
    settings["exporters"]["http_check"]["enabled"] = True
    settings["exporters"]["tls_expiry"]["hosts"] = [host]
    settings["targets"]["gone"] = {"kind": "redis", "host": LOOPBACK, "port": 1}


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


def with_choices(text: str) -> str:
    """The query as Grafana sends it with everything chosen."""
    for variable, value in CHOSEN.items():
        text = text.replace(variable, value)
    return text


def unanswered(world: World, ask: Ask) -> list[str]:
    """The queries that return nothing until the deadline; a query in error raises."""
    left, deadline = queries(), time.monotonic() + _WITHIN
    while left and time.monotonic() < deadline:
        redis.command(world.redis, "GET", KEY)
        left = [text for text in left if not ask(text)]
    return left


def test_every_query_has_data_in_prometheus(troubled: World) -> None:
    """Row 37: what is scraped answers every panel."""
    assert unanswered(troubled, lambda text: api.query(troubled.prometheus.url, text)) == []


def test_every_query_has_data_in_victoriametrics(troubled: World) -> None:
    """What arrives by OTLP answers every panel."""
    assert unanswered(troubled, lambda text: victoriametrics.query(troubled.victoriametrics, text)) == []


def test_annotations_and_variables_are_understood(troubled: World) -> None:
    """Both stores take the queries of annotations, and know the labels of which variables list the values."""
    for dashboard in rendered().values():
        for annotation in dashboard["annotations"]["list"]:
            for url in (troubled.prometheus.url, troubled.victoriametrics.url):
                api.query(url, with_choices(annotation["expr"]))
