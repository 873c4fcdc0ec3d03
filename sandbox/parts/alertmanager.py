"""Alertmanager: takes the alerts of Prometheus and tells the webhook, or routes as a given configuration says."""

import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import yaml

from sandbox.cache import built, fetch_deb
from sandbox.process import LOOPBACK, Services, Spec, free_port

from .api import answers, reload
from .webhook import Webhook

NAME = "alertmanager"
SUITE = "sid"
SUITES = ("bookworm", "trixie", SUITE)
"""Debian's, with Alertmanager 0.25, 0.28 and 0.33."""
# Debian's Alertmanager reads its default templates from `/usr/share/prometheus` only. It sees the unpacked ones there
# by a mount that no other process sees.
_SHOW = 'mount -t overlay overlay -o "lowerdir=$0/usr/share:/usr/share" /usr/share && exec "$@"'


class Pager(Protocol):
    """What Alertmanager needs of the world: whom to tell."""

    @property
    def webhook(self) -> Webhook:
        """The receiver of its notifications."""


@dataclass(frozen=True, kw_only=True)
class Alertmanager:
    """A running Alertmanager: `url` is its API, `config` the file it reads."""

    url: str
    config: Path


def programs(suite: str = SUITE) -> Path:
    """The directory of `prometheus-alertmanager` and `amtool`, fetched when not yet there."""
    return _unpacked(suite) / "usr" / "bin"


def runnable(into: Path, suite: str = SUITE) -> Path:
    """A script in the directory `into` that is Alertmanager as if it were installed."""
    script = into / f"alertmanager-{suite}"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(_command(suite))} "$@"\n')
    script.chmod(0o755)
    return script


def _command(suite: str = SUITE) -> tuple[str, ...]:
    unpacked = _unpacked(suite)
    return ("unshare", "--mount", "sh", "-c", _SHOW, str(unpacked), str(programs(suite) / "prometheus-alertmanager"))


def _unpacked(suite: str) -> Path:
    return built("alertmanager", f"{suite}-1", partial(_fetch, suite))


def _fetch(suite: str, part: Path) -> None:
    fetch_deb("prometheus-alertmanager", suite, part)


def prepare(_progress: object) -> None:
    """Fetch the programs."""
    programs()


def start(services: Services, world: Pager, _progress: object) -> Alertmanager:
    """Start Alertmanager on a free port, telling the world's webhook of every alert one second after it came."""
    ports = services.ports(NAME) or {"http": free_port()}
    address = f"{LOOPBACK}:{ports['http']}"
    config = services.state / NAME / "alertmanager.yml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(yaml.safe_dump(_config(world.webhook), sort_keys=False))
    argv = (
        *_command(),
        f"--config.file={config}",
        f"--storage.path={config.parent / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    )
    services.start(Spec(name=NAME, argv=argv, ports=ports, ready=partial(answers, f"http://{address}/-/ready")))
    return Alertmanager(url=f"http://{address}", config=config)


def _config(webhook: Webhook) -> dict[str, Any]:
    return {
        "route": {
            "receiver": "webhook",
            "group_by": ["alertname"],
            "group_wait": "1s",
            "group_interval": "1s",
            "repeat_interval": "1h",
        },
        "receivers": [{"name": "webhook", "webhook_configs": [{"url": f"{webhook.url}/", "send_resolved": True}]}],
    }


def configure(alertmanager: Alertmanager, text: str) -> None:
    """Route by the configuration `text` from now on; an OSError when Alertmanager refuses it."""
    alertmanager.config.write_text(text)
    reload(alertmanager.url)
