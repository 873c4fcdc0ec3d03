"""The stage on which faults raise alerts: an agent on the sandbox, and rules whose time runs faster."""

from __future__ import annotations

import json
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

import alerts
from alerts import Flow, Objectives
from alerts.objectives import Paging
from exporters import EXPORTERS
from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics
from sandbox import agent
from sandbox.agent import Agent
from sandbox.parts import api, prometheus, traefik
from sandbox.parts.collector import Collector
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.parts.traefik import Traefik
from sandbox.process import LOOPBACK, Services
from sandbox.world import World
from tests.alerts.hurried import hurried

FASTER = 60
"""Minutes of the rules are seconds here."""
EVERY = 3.0
"""Seconds between two orders, and between two readings of everything else."""
FLOW = Flow("sandbox", "erp14", "order_create", EVERY * FASTER)
PROMISED = replace(
    Objectives(),
    tickets=Paging(3, 5),
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
_READ = (
    "odoo_cron",
    "odoo_edi",
    "odoo_mail",
    "odoo_orders",
    "odoo_web",
    "postgres_activity",
    "postgres_archiver",
    "postgres_databases",
    "backup_sets",
    "backup_restore_tests",
    "traefik_edge",
)
_DAY = 86400.0
_PUNCTUAL = """
update ir_cron set nextcall = (now() at time zone 'utc') + interval '1 hour'
 where nextcall < (now() at time zone 'utc') - interval '10 minutes'
"""
"""What waits since the sandbox was last up is no fault of ours, and takes Odoo a minute to see."""
_NOWHERE = Collector(grpc=f"{LOOPBACK}:9", http="", metrics="")


@dataclass(frozen=True)
class Stage:
    """All that is played with: ``reports`` is the directory of what backup jobs report."""

    world: World
    agent: Agent
    edge: Traefik
    reports: Path

    def firing(self) -> dict[str, dict[str, str]]:
        """The labels of what fires now in the sandbox's environment, by the alert's name."""
        found: list[dict[str, Any]] = json.loads(api.get(f"{self.world.prometheus.url}/api/v1/alerts"))["data"][
            "alerts"
        ]
        labels = [alert["labels"] for alert in found if alert["state"] == "firing"]
        return {one["alertname"]: one for one in labels if one.get("environment", "sandbox") == "sandbox"}

    def visit(self) -> None:
        """Somebody asks the edge for a page."""
        with suppress(urllib.error.HTTPError):
            api.get(f"{self.edge.odoo14}/web/login")


@contextmanager
def staged(world: World, place: Path) -> Iterator[Stage]:
    """The agent runs, Prometheus reads it every second and evaluates the rules made for it."""
    services = Services(place / "edge")
    edge = traefik.start(services, _Behind(world.odoo14, _NOWHERE), None)
    rules = world.prometheus.rules / "faults.yml"
    try:
        running = agent.start(
            world.services, world, every=EVERY, probe_every=EVERY, change=lambda settings: _add(settings, edge, place)
        )
        report(place, ill=False)
        sql(world.postgres, _PUNCTUAL, "odoo14")
        prometheus.set_targets(world.prometheus, [running.address])
        rules.write_text(_rules())
        api.reload(world.prometheus.url)
        yield Stage(world, running, edge, place)
    finally:
        prometheus.set_targets(world.prometheus, [])
        rules.unlink(missing_ok=True)
        api.reload(world.prometheus.url)
        world.services.stop(agent.NAME)
        services.stop_all()


def report(place: Path, *, ill: bool) -> None:
    """Jobs report what they did: a backup and a restore test that failed, a backup that is old, a test or none."""
    now = time.time()
    backups = [
        {"name": "failed", "finished": now, "size": 1, "ok": not ill},
        {"name": "old", "finished": now - (2 * _DAY if ill else 0), "size": 1},
    ]
    test = {"name": "all", "started": now - 60, "finished": now, "ok": not ill}
    (place / "backups.json").write_text(json.dumps(backups))
    (place / "tests.json").write_text(json.dumps(test))
    if ill:
        (place / "others.json").unlink()
    else:
        (place / "others.json").write_text(json.dumps(test))


@dataclass(frozen=True)
class _Behind:
    """What Traefik stands before: Odoo 14 twice."""

    odoo14: Odoo
    collector: Collector

    @property
    def odoo19(self) -> Odoo:
        """The same."""
        return self.odoo14


def _add(settings: dict[str, Any], edge: Traefik, place: Path) -> None:
    """Into the agent's configuration: the edge, the jobs' reports, and what is read as often as orders are made.

    Nothing else: what is read once a minute would tell of a fault long after its end.
    """
    backup = {"kind": "backup", "reach": "local"}
    settings["targets"] |= {
        "front": {"kind": "http", "url": edge.url},
        "backups": {**backup, "source": "file", "file": str(place / "backups.json")},
        "tested": {**backup, "restore_tests": str(place / "tests.json")},
        "untested": {**backup, "restore_tests": str(place / "others.json")},
    }
    often = {"every": EVERY, "deadline": EVERY * 0.8}
    needed = settings["exporters"] | {name: dict(often) for name in _READ}
    others = {exporter.name: {"enabled": False} for exporter in EXPORTERS if exporter.name not in needed}
    settings["exporters"] = needed | others
    settings["exporters"]["postgres_replication"]["expected_standbys"] = 1


def _rules() -> str:
    text = alerts.render(all_metrics(), prometheus_name, objectives=PROMISED, flows_run=[FLOW])
    return yaml.safe_dump({"groups": list(hurried(yaml.safe_load(text)["groups"], FASTER, "faults", real_clock=True))})
