"""The stage on which faults raise alerts: an agent on the sandbox, and rules whose time runs faster."""

from __future__ import annotations

import json
import time
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporters import EXPORTERS
from sandbox import agent
from sandbox.agent import Agent
from sandbox.parts import api, prometheus, traefik
from sandbox.parts.collector import Collector
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.parts.traefik import Traefik
from sandbox.process import LOOPBACK, Services
from sandbox.world import World
from tests.integration.alerts import answers
from tests.integration.alerts.promised import EVERY, LOGIN, TENANTS, meant, rules
from tests.integration.alerts.shops import HOSTS, Shops, opened

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
    "tls_expiry",
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
    shops: Shops
    reports: Path

    def firing(self) -> dict[str, dict[str, str]]:
        """The labels of what is meant to fire now in the sandbox's environment, by the alert's name."""
        found: list[dict[str, Any]] = json.loads(api.get(f"{self.world.prometheus.url}/api/v1/alerts"))["data"][
            "alerts"
        ]
        labels = [alert["labels"] for alert in found if alert["state"] == "firing"]
        return {
            one["alertname"]: one for one in labels if one.get("environment", "sandbox") == "sandbox" and meant(one)
        }

    def visit(self) -> None:
        """Somebody asks the edge for a page."""
        with suppress(urllib.error.HTTPError):
            api.get(f"{self.edge.odoo14}/web/login")


@contextmanager
def staged(world: World, place: Path) -> Iterator[Stage]:
    """The agent runs, Prometheus reads it every second and evaluates the rules made for it."""
    services = Services(place / "edge")
    written = world.prometheus.rules / "faults.yml"
    with ExitStack() as ends:
        shops = ends.enter_context(opened(place))
        ends.callback(services.stop_all)
        edge = traefik.start(services, _Behind(world.odoo14, _NOWHERE), None, dict.fromkeys(HOSTS, shops.url))
        ends.enter_context(shops.visited(edge.odoo14))
        stage = Stage(world, _agent(ends, world, edge, shops, place), edge, shops, place)
        report(place, ill=False)
        sql(world.postgres, _PUNCTUAL, "odoo14")
        ends.callback(_forget, world, written)
        prometheus.set_targets(world.prometheus, [stage.agent.address])
        written.write_text(rules())
        api.reload(world.prometheus.url)
        yield stage


def _agent(ends: ExitStack, world: World, edge: Traefik, shops: Shops, place: Path) -> Agent:
    ends.callback(world.services.stop, agent.NAME)

    def change(settings: dict[str, Any]) -> None:
        _watch_more(settings, edge, shops, place)
        _run_more(settings)

    return agent.start(world.services, world, every=EVERY, probe_every=EVERY, change=change)


def _forget(world: World, written: Path) -> None:
    prometheus.set_targets(world.prometheus, [])
    written.unlink(missing_ok=True)
    api.reload(world.prometheus.url)


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


def _watch_more(settings: dict[str, Any], edge: Traefik, shops: Shops, place: Path) -> None:
    """Into the agent's configuration: the edge, the jobs' reports, and what is read as often as orders are made.

    Nothing else: what is read once a minute would tell of a fault long after its end.
    """
    backup = {"kind": "backup", "reach": "local"}
    settings["targets"] |= {
        "front": {"kind": "http", "url": edge.url, "ca_file": str(shops.trusted)},
        "backups": {**backup, "source": "file", "file": str(place / "backups.json")},
        "tested": {**backup, "restore_tests": str(place / "tests.json")},
        "untested": {**backup, "restore_tests": str(place / "others.json")},
    }
    often = {"every": EVERY, "deadline": EVERY * 0.8}
    needed = settings["exporters"] | {name: dict(often) for name in _READ}
    others = {exporter.name: {"enabled": False} for exporter in EXPORTERS if exporter.name not in needed}
    settings["exporters"] = needed | others
    settings["exporters"]["postgres_replication"]["expected_standbys"] = 1
    settings["exporters"]["tls_expiry"]["hosts"] = [site.host for site in shops.sites]


def _run_more(settings: dict[str, Any]) -> None:
    """Into it, too: flows beside that of the orders, and targets more on which to log in."""
    first, *others = TENANTS
    settings["targets"] |= dict.fromkeys(others, settings["targets"][first])
    settings["flows"] = answers.flows()
    login = {"targets": list(TENANTS), "every": EVERY, "deadline": EVERY * 0.9, "web": False}
    settings["probes"] |= answers.probes([first], EVERY) | {LOGIN: login}
