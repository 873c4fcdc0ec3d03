"""The HTTP that the sandbox's telemetry servers have in common: readiness, reload, PromQL."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

_TIMEOUT = 10.0


def get(url: str, headers: Mapping[str, str] | None = None) -> str:
    """The body of `url`; an OSError when it cannot be had, an HTTPError among them."""
    return _send(urllib.request.Request(url, headers=dict(headers or {})))


def post(url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> str:
    """The answer of `url` to `body`; an OSError when it refuses it, an HTTPError among them."""
    return _send(urllib.request.Request(url, data=body, headers=dict(headers or {})))


def _send(request: urllib.request.Request) -> str:
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        body: bytes = response.read()
        return body.decode()


def answers(url: str) -> bool:
    """Whether a GET of `url` succeeds; an OSError when it does not, which a `Spec.ready` takes for not yet."""
    get(url)
    return True


def reload(url: str) -> None:
    """Make a Prometheus or an Alertmanager read its configuration and rules again; an OSError when it refuses them."""
    post(f"{url}/-/reload")


def query(url: str, promql: str) -> list[tuple[dict[str, str], float]]:
    """The labels and value of every series that `promql` has now, asked of Prometheus or of VictoriaMetrics.

    A scalar is one series without labels.
    """
    data: Any = json.loads(get(f"{url}/api/v1/query?{urlencode({'query': promql})}"))["data"]
    if data["resultType"] == "scalar":
        return [({}, float(data["result"][1]))]
    return [(series["metric"], float(series["value"][1])) for series in data["result"]]
