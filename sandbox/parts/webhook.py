"""A receiver of Alertmanager's webhooks: the pager of the sandbox. It appends every notification to a file.

python -m sandbox.parts.webhook --port 9095 --file notifications.jsonl
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from sandbox.process import LOOPBACK, Services, Spec, free_port

from .api import answers

NAME = "webhook"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A running receiver: `url` takes notifications on any path below it, `file` is where it writes them."""

    url: str
    file: Path


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert of a notification; `status` is `firing` or `resolved`."""

    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.labels["alertname"]


@dataclass(frozen=True, kw_only=True)
class Notification:
    """What a receiver of Alertmanager's was told at once; `path` is where the webhook was posted to."""

    path: str
    receiver: str
    status: str
    alerts: tuple[Alert, ...]


def prepare(_progress: object) -> None:
    """Nothing to fetch: the receiver is this module."""


def start(services: Services, _world: object, _progress: object) -> Webhook:
    """Start the receiver on a free port, with its file in the state directory."""
    ports = services.ports(NAME) or {"http": free_port()}
    url = f"http://{LOOPBACK}:{ports['http']}"
    file = services.state / NAME / "notifications.jsonl"
    file.parent.mkdir(exist_ok=True)
    argv = (sys.executable, "-m", __name__, "--port", str(ports["http"]), "--file", str(file))
    root = Path(__file__).parents[2]
    services.start(Spec(name=NAME, argv=argv, ports=ports, cwd=root, ready=partial(answers, f"{url}/healthy")))
    return Webhook(url=url, file=file)


def read_notifications(path: Path) -> list[Notification]:
    """Every notification in a receiver's file, in the order of arrival; none when there is no file yet."""
    if not path.exists():
        return []
    # The last line may be only half written yet.
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [_notification(json.loads(line)) for line in lines]


def _notification(fields: Mapping[str, Any]) -> Notification:
    alerts = tuple(
        Alert(status=alert["status"], labels=alert["labels"], annotations=alert["annotations"])
        for alert in fields["alerts"]
    )
    return Notification(path=fields["path"], receiver=fields["receiver"], status=fields["status"], alerts=alerts)


async def _take(file: Path, request: web.Request) -> web.Response:
    notification = {"path": request.path, **await request.json()}
    with file.open("a") as out:
        out.write(json.dumps(notification) + "\n")
    return web.Response()


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ready\n")


def application(file: Path) -> web.Application:
    """The receiver that writes to `file`."""
    app = web.Application()
    app.router.add_get("/healthy", _healthy)
    app.router.add_post("/{path:.*}", partial(_take, file))
    return app


def main() -> None:
    """Read the command line and serve until told to end."""
    parser = argparse.ArgumentParser(prog="webhook", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    options = parser.parse_args()
    web.run_app(application(options.file), host=LOOPBACK, port=options.port)


if __name__ == "__main__":
    main()
