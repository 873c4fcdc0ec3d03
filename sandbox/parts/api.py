"""The HTTP that the sandbox's telemetry servers have in common: readiness, reload, PromQL."""

import json
import urllib.request
from typing import Any
from urllib.parse import urlencode

_TIMEOUT = 10.0


def answers(url: str) -> bool:
    """Whether a GET of `url` succeeds; an OSError when it does not, which a `Spec.ready` takes for not yet."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT):
        return True


def get_json(url: str) -> Any:
    """The JSON document at `url`; an OSError when there is none."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
        return json.load(response)


def reload(url: str) -> None:
    """Make a Prometheus or an Alertmanager read its configuration and rules again; an OSError when it refuses them."""
    request = urllib.request.Request(f"{url}/-/reload", method="POST")
    with urllib.request.urlopen(request, timeout=_TIMEOUT):
        pass


def query(url: str, promql: str) -> list[tuple[dict[str, str], float]]:
    """The labels and value of every series that `promql` has now, asked of Prometheus or of VictoriaMetrics.

    A scalar is one series without labels.
    """
    data = get_json(f"{url}/api/v1/query?{urlencode({'query': promql})}")["data"]
    if data["resultType"] == "scalar":
        return [({}, float(data["result"][1]))]
    return [(series["metric"], float(series["value"][1])) for series in data["result"]]
