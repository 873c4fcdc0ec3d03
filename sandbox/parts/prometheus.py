"""Prometheus: scrapes the agents it is told of, evaluates the rules it is given, and tells Alertmanager.

Debian's build has no OTLP receiver and no UI.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import yaml

from sandbox.cache import built, fetch_deb
from sandbox.process import LOOPBACK, Services, Spec, free_port

from .alertmanager import Alertmanager
from .api import answers

NAME = "prometheus"
JOB = "quaywatch"


class Alerting(Protocol):
    """What Prometheus needs of the world: where alerts go."""

    @property
    def alertmanager(self) -> Alertmanager:
        """The receiver of its alerts."""


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """A running Prometheus: `url` answers PromQL, `rules` is the directory whose `*.yml` it reads on a reload."""

    url: str
    rules: Path
    targets: Path


def programs() -> Path:
    """The directory of `prometheus` and `promtool`, fetched when not yet there."""
    return built("prometheus", "sid-1", _fetch) / "usr" / "bin"


def _fetch(part: Path) -> None:
    for package in ("prometheus", "promtool"):
        fetch_deb(package, "sid", part)


def prepare(_progress: object) -> None:
    """Fetch the programs."""
    programs()


def start(services: Services, world: Alerting, _progress: object) -> Prometheus:
    """Start Prometheus on a free port with the targets and rules it had, at first none; `alertmanager` is told."""
    ports = services.ports(NAME) or {"http": free_port()}
    home = services.state / NAME
    prometheus = Prometheus(
        url=f"http://{LOOPBACK}:{ports['http']}", rules=home / "rules", targets=home / "targets.json"
    )
    prometheus.rules.mkdir(parents=True, exist_ok=True)
    if not prometheus.targets.exists():
        set_targets(prometheus, ())
    config = home / "prometheus.yml"
    config.write_text(yaml.safe_dump(_config(prometheus, world.alertmanager), sort_keys=False))
    argv = (
        str(programs() / "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={home / 'data'}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address={LOOPBACK}:{ports['http']}",
        "--web.enable-lifecycle",
        "--enable-feature=exemplar-storage",
        "--scrape.discovery-reload-interval=1s",
    )
    services.start(Spec(name=NAME, argv=argv, ports=ports, ready=partial(answers, f"{prometheus.url}/-/ready")))
    return prometheus


def _config(prometheus: Prometheus, alertmanager: Alertmanager) -> dict[str, Any]:
    receivers = [{"targets": [alertmanager.url.removeprefix("http://")]}]
    found = {"files": [str(prometheus.targets)], "refresh_interval": "1s"}
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(prometheus.rules / "*.yml")],
        "alerting": {"alertmanagers": [{"static_configs": receivers}]},
        "scrape_configs": [{"job_name": JOB, "file_sd_configs": [found]}],
    }


def set_targets(prometheus: Prometheus, addresses: Iterable[str], *, every: str = "1s") -> None:
    """Scrape `/metrics` of these addresses (`host:port`) and no others, within 10 s from now, `every` so long."""
    fresh = prometheus.targets.with_suffix(".new")
    times = {"__scrape_interval__": every, "__scrape_timeout__": every}
    fresh.write_text(json.dumps([{"targets": list(addresses), "labels": times}]))
    fresh.replace(prometheus.targets)
