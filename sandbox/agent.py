"""The agent on the sandbox: a configuration for what runs, and the process beside the servers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from sandbox import seed
from sandbox.cache import run
from sandbox.parts import api
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import Postgres
from sandbox.process import LOOPBACK, Services, Spec, free_port
from sandbox.world import World

NAME = "agent"
STOP_WITHIN = 10.0
LIMIT_TIME_REAL = 10
"""How long Odoo may go on for a client that died, in seconds: the servers here answer in less."""

_PROGRAM = Path(sys.executable).with_name("quaywatch")
_ODOOS = {"erp14": "odoo14", "erp19": "odoo19"}

Section = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A running agent; `url` has its status page and `/metrics`."""

    url: str
    config: Path

    @property
    def address(self) -> str:
        """Host and port, as a scraper wants them."""
        return self.url.removeprefix("http://")

    def status(self) -> Any:
        """What `/status.json` says."""
        return json.loads(api.get(f"{self.url}/status.json"))


def configuration(
    world: World,
    listen: str,
    *,
    every: float = 5.0,
    probe_every: float = 5.0,
    edge: bool = False,
    all_flows: bool = False,
) -> Section:
    """The agent's configuration for everything of `world` that runs; intervals are in seconds.

    With `edge` Odoo is reached through Traefik, as its users do. With `all_flows` every flow over RPC runs that leaves
    nothing, those beside `order_create` half as often.
    """
    odoos = [name for name, part in _ODOOS.items() if part in world]
    flows = {"order_create": _order_create(odoos, probe_every)}
    flows |= _other_flows(odoos, 2 * probe_every) if all_flows else {}
    return {
        "environment": "sandbox",
        "installation": "sandbox",
        "targets": _targets(world, edge=edge),
        "exporters": {name: {"every": every, "deadline": every * 0.8} for name in _exporters(world)},
        "probes": flows if odoos else {},
        "telemetry": _telemetry(world, listen, every),
        "lease": {"target": "erp-db"} if "postgres" in world else "none",
    }


def quaywatch(*arguments: str) -> str:
    """What the command line prints; it must succeed."""
    return run(_PROGRAM, *arguments)


def start(
    services: Services,
    world: World,
    *,
    every: float = 5.0,
    probe_every: float = 5.0,
    edge: bool = False,
    all_flows: bool = False,
    change: Callable[[Section], None] = lambda _settings: None,
) -> Agent:
    """Start `quaywatch run` on the sandbox, on a free port; ready when its first cycle is done.

    `change` may put into the configuration what else is to be read.
    """
    ports = services.ports(NAME) or {"http": free_port()}
    listen = f"{LOOPBACK}:{ports['http']}"
    config = services.state / NAME / "quaywatch.yaml"
    config.parent.mkdir(exist_ok=True)
    settings = configuration(world, listen, every=every, probe_every=probe_every, edge=edge, all_flows=all_flows)
    change(settings)
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    url = f"http://{listen}"
    argv = (str(_PROGRAM), "run", "--config", str(config))
    services.start(Spec(name=NAME, argv=argv, ports=ports, ready=partial(api.answers, f"{url}/readyz")))
    return Agent(url=url, config=config)


def _targets(world: World, *, edge: bool) -> dict[str, Section]:
    made: dict[str, Section] = {}
    if "postgres" in world:
        made["erp-db"] = _postgres(world.postgres) | {"tenants": {"include": ["odoo*"]}}
    if "standby" in world:
        made["erp-standby"] = _postgres(world.standby)
    if "redis" in world:
        made["cache"] = {"kind": "redis", **_address(world.redis), "password": world.redis.password}
    if "traefik" in world:
        made["edge"] = {"kind": "http", "url": world.traefik.url}
    for name, part in _ODOOS.items():
        if part in world:
            odoo: Odoo = getattr(world, part)
            made[name] = _odoo(odoo, getattr(world.traefik, part) if edge else odoo.url)
    return made


def _exporters(world: World) -> list[str]:
    """What is read as often as the sandbox's own story needs it; the others keep their usual times."""
    by_server = {
        "postgres": ["postgres_locks", "postgres_replication", "odoo_queue"],
        "redis": ["redis_memory", "redis_stats", "redis_replication"],
        "traefik": ["traefik_edge"],
    }
    return [name for server, names in by_server.items() if server in world for name in names]


def _address(server: Any) -> Section:
    return {"host": server.host, "port": server.port}


def _postgres(server: Postgres) -> Section:
    return {"kind": "postgres", **_address(server), "user": server.user, "password": server.password}


def _odoo(odoo: Odoo, url: str) -> Section:
    janitor = {"login": odoo.janitor_login, "password": odoo.janitor_password}
    place = {"kind": "odoo", "url": url, "database": odoo.database, "limit_time_real": LIMIT_TIME_REAL}
    return {**place, "login": odoo.login, "password": odoo.password, "janitor": janitor}


def _order_create(targets: list[str], every: float) -> Section:
    """One table for all Odoos: their records are named by reference, which is the same in each."""
    records = {"partner": seed.PARTNER, "product": seed.PRODUCT}
    return {"targets": targets, "every": every, "deadline": every * 0.9, **records}


def _other_flows(targets: list[str], every: float) -> dict[str, Section]:
    """What is done with goods of which stock is kept. Odoo 19 has no wkhtmltopdf here, so papers stay pages."""
    flow = {"targets": targets, "every": every, "deadline": every * 0.9}
    goods = {"partner": seed.PARTNER, "product": seed.STORABLE}
    return {
        "stock_reserve": {**flow, **goods},
        "label_print": {**flow, **goods, "paper": "html"},
        "portal_lookup": {**flow, **goods},
        "login": flow,
    }


def _telemetry(world: World, listen: str, every: float) -> Section:
    http = {"http": {"listen": listen}}
    if "collector" not in world:
        return http
    return http | {"otlp": {"endpoint": f"http://{world.collector.grpc}", "protocol": "grpc", "interval": every}}
