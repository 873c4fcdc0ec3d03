"""The chart's values: the schema refuses what is wrong, Helm says what it is, and each value does something."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from functools import cache, reduce
from operator import getitem
from typing import Any

import jsonschema
import pytest
import yaml

from quaywatch import __version__
from sandbox import manifests
from sandbox.parts.kubernetes_tools import kubernetes_tools
from tests.packaging.chart_values import Values, keys, merged, set_at, values_of

CHART = manifests.CHART
ROOT = manifests.DEPLOY.parent
USUAL = values_of(CHART / "values.yaml")
LEAST = values_of(CHART / "examples/deployment/values.yaml")


@cache
def schema() -> jsonschema.Draft7Validator:
    """The schema of the values, which is itself valid."""
    loaded = yaml.safe_load((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(loaded)
    return jsonschema.Draft7Validator(loaded)


@pytest.mark.parametrize("name", manifests.EXAMPLES)
def test_the_schema_takes_what_is_right(name: str) -> None:
    """Each example passes."""
    whole = merged(USUAL, values_of(CHART / "examples" / name / "values.yaml"))
    assert [error.message for error in schema().iter_errors(whole)] == []


def request_of(**request: Any) -> Values:
    """Flows of one step, which makes a request."""
    return {"label": {"kind": "http", "steps": [{"name": "book", "request": {"path": "/", **request}}]}}


def test_the_schema_takes_what_the_documentation_has() -> None:
    """The whole example of a flow of one's own, whose header is a scheme and a reference."""
    blocks = (ROOT / "docs/own-flows.md").read_text().split("```")
    (text,) = [block.removeprefix("yaml\n") for block in blocks if "Bearer ${env:" in block]
    assert list(schema().iter_errors(merged(USUAL, {"config": yaml.safe_load(text)}))) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config.telemetry.otlp.headers", {"Authorization": "Bearer ${file:/run/secrets/quaywatch/token}"}),
        ("config.flows", request_of(headers={"Authorization": "Bearer ${steps.login.token}", "X-Run": "${mark}"})),
        ("config.flows", request_of(headers={"Accept": "application/json", "Content-Type": "text/csv"})),
        (
            "config.flows",
            request_of(form={"client_secret": "${env:SECRET}", "grant_type": "client_credentials"}),
        ),
        ("config.flows", request_of(json=["neither", "names", "nor", "secrets"])),
    ],
)
def test_the_schema_takes_references(key: str, value: Any) -> None:
    """A header may have a scheme before its reference, and what is no secret is written down."""
    assert list(schema().iter_errors(merged(USUAL, LEAST, set_at(key, value)))) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("replicas", 2),
        ("replicaCount", "two"),
        ("mode", "statefulset"),
        ("image.tags", "1"),
        ("image.digest", "sha256:short"),
        ("image.pullPolicy", "Sometimes"),
        ("imagePullSecrets", ["registry"]),
        ("config.environment", ""),
        ("config.targets", None),
        ("config.targets.erp.kind", "mysql"),
        ("config.targets.erp.password", "in the clear"),
        ("config.targets.erp.janitor", {"login": "x", "password": "in the clear"}),
        ("config.discovery", {"credentials": {"db": {"password": "in the clear"}}}),
        ("config.telemetry.http", {"token": "in the clear"}),
        ("config.telemetry.http", {"listen": "127.0.0.1:9464"}),
        ("config.telemetry.otlp.headers", {"authorization": "in the clear"}),
        ("config.telemetry.otlp.headers", {"authorization": "Bearer in-the-clear"}),
        ("config.targets.erp.password", "${env:PASSWORD:-in the clear}"),
        ("config.targets.carrier", {"kind": "http", "headers": {"X-Key": "a${env:KEY}"}}),
        ("config.flows", request_of(headers={"Authorization": "Bearer in-the-clear"})),
        ("config.flows", request_of(form={"client_secret": "in the clear"})),
        ("config.flows", {"x": {"steps": [{"undo": {"request": {"headers": {"X-Key": "in the clear"}}}}]}}),
        ("config.browser", {"artifacts": {"s3": {"secret_key": "in the clear"}}}),
        ("resources", {"memory": "1Gi"}),
        ("browser.enabled", "yes"),
        ("browser.shmSize", "plenty"),
        ("resourceAttributes", {"team": "a,b"}),
        ("extraEnv", [{"value": "nameless"}]),
        ("extraEnv", [{"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "x=y"}]),
        ("livenessProbe", {"httpGet": {}}),
        ("startupProbe", {"exec": {}}),
        ("hostAliases", [{"ip": "10.0.0.1"}]),
        ("dnsPolicy", "Somehow"),
        ("dnsConfig", {"servers": []}),
        ("podDisruptionBudget.minAvailable", "half"),
        ("networkPolicy.destinations", {"erp": {"from": []}}),
        ("networkPolicy.destinations", {"erp": {"ports": [0]}}),
        ("networkPolicy.dns", [{}]),
        ("networkPolicy.dnsPorts", []),
        ("networkPolicy.discovered.to", []),
        ("service.port", 70000),
        ("serviceMonitor.interval", "often"),
        ("prometheusRule.groups", [{"name": "without rules"}]),
        ("prometheusRule.runbooks", "alerts/runbooks"),
        ("prometheusRule.dashboards", "grafana.example.com"),
        ("dashboards.labels", {"grafana_dashboard": 1}),
        ("commonLabels", ["a"]),
    ],
)
def test_the_schema_refuses_what_is_wrong(key: str, value: Any) -> None:
    """Unknown keys, wrong types, loopback addresses and secrets in the clear are refused."""
    wrong = merged(USUAL, LEAST, set_at(key, value))
    assert list(schema().iter_errors(wrong))


NO_ENDPOINT = ("config.telemetry.otlp.endpoint=null", "extraEnv[0].name=OTEL_EXPORTER_OTLP_ENDPOINT")
"""None in the configuration, so that this variable counts."""


def refusal(*settings: str) -> str:
    """What Helm says when it refuses these settings beside those of the example."""
    words = [word for setting in settings for word in ("--set", setting)]
    helm, values = kubernetes_tools().helm, CHART / "examples/deployment/values.yaml"
    done = subprocess.run(
        [helm, "template", "q", CHART, "--values", values, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("config.targets.erp.password=open",), "'open' does not match pattern"),
        (("serviceMonitor.enabled=true", "service.enabled=false"), "podMonitor.enabled needs none"),
        (("serviceMonitor.enabled=true", "podMonitor.enabled=true"), "choose one"),
        (("mode=sidecar", "podMonitor.enabled=true"), "sidecar.podLabels"),
        (("config.targets.erp.url=${env:ERP}",), "give networkPolicy.destinations.erp.to"),
        ((*NO_ENDPOINT, "extraEnv[0].value=http://$(NODE):4317"), "give networkPolicy.destinations.telemetry.otlp.to"),
        ((*NO_ENDPOINT, "extraEnv[0].valueFrom.secretKeyRef.name=x"), "networkPolicy.destinations.telemetry.otlp.to"),
    ],
)
def test_helm_says_what_is_wrong(settings: tuple[str, ...], told: str) -> None:
    """A refusal names the key that mends it."""
    assert told in refusal(*settings)


# --- every value does something ---------------------------------------------------------------------------------------

_EVERYTHING: Values = {
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True, "groups": [{"name": "g", "rules": []}]},
    "networkPolicy": {"destinations": {"erp": {"ports": [1]}}},
    "config": {"discovery": {"node": "n"}},
}
_SETTINGS: Mapping[str, Values] = {
    "": {},
    "browser.": {"browser": {"enabled": True}},
    "dashboards.": {"dashboards": {"enabled": True}},
    "prometheusRule.": {"prometheusRule": {"groups": []}},
    "service.": {"serviceMonitor": {"enabled": False}},
    "podMonitor.": {"serviceMonitor": {"enabled": False}, "podMonitor": {"enabled": True}},
    "sidecar.": {
        "mode": "sidecar",
        "serviceMonitor": {"enabled": False},
        "podMonitor": {"enabled": True},
        "sidecar": {"podLabels": {"app": "odoo"}},
    },
}
"""What has to be switched on for the keys that begin so to matter."""
_NOTHING = "nothing"
_PEERS: list[Values] = [{"podSelector": {}}]
_OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}}
_OTHER: Mapping[str, Any] = {
    "mode": "daemonset",
    "config.targets": {"more": {"kind": "redis", "host": "more"}},
    "image.digest": f"sha256:{'0' * 64}",
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "more"}],
    "browser.shmSize": "1Gi",
    "browser.tmpSize": "2Gi",
    "tmpSize": "2Gi",
    "topologySpreadConstraints": [],
    "startupProbe": {"failureThreshold": 30},
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["more"]}],
    "dnsPolicy": "Default",
    "dnsConfig": {"searches": ["more"]},
    "extraEnv": [{"name": "MORE", "value": "1"}],
    "extraManifests": [_OBJECT],
    "podDisruptionBudget.minAvailable": 1,
    "podDisruptionBudget.maxUnavailable": 2,
    "networkPolicy.destinations": {"erp": {"ports": [2]}},
    "networkPolicy.dns": _PEERS,
    "networkPolicy.dnsPorts": [5353],
    "networkPolicy.apiServer.to": _PEERS,
    "networkPolicy.apiServer.ports": [1],
    "networkPolicy.discovered.to": _PEERS,
    "networkPolicy.discovered.ports": [1],
    "networkPolicy.extraEgress": [{"to": _PEERS}],
    "prometheusRule.groups": [{"name": "other", "rules": []}],
    "prometheusRule.runbooks": "https://wiki.example.com",
    "prometheusRule.dashboards": "https://grafana.example.com",
    "securityContext.capabilities.drop": ["NET_RAW"],
    **{
        f"{monitor}.{key}": value
        for monitor in ("serviceMonitor", "podMonitor")
        for key, value in {
            "interval": "1m",
            "scrapeTimeout": "1s",
            "relabelings": [{"action": "labeldrop"}],
            "metricRelabelings": [{"action": "labeldrop"}],
        }.items()
    },
}
"""Another value for each key for which none can be made up."""


def another(key: str, value: Any) -> Any:
    """A value that differs from the usual one."""
    if key in _OTHER:
        return _OTHER[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return {"str": "more", "dict": {"more": "more"}, "list": [{"name": "more"}]}[type(value).__name__]


def switched_on(key: str) -> str:
    """Which settings a key needs."""
    return next(prefix for prefix in sorted(_SETTINGS, reverse=True) if key.startswith(prefix))


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What is rendered for each key with another value, by key, and without any by the settings' prefix.

    They are the parts of one chart, each under a name of its own, since Helm takes a while to begin.
    """
    changes = {prefix: (prefix, Values()) for prefix in _SETTINGS} | {_NOTHING: ("", Values())}
    for key, _ in keys(USUAL):
        prefix = switched_on(key)
        value = reduce(getitem, key.split("."), merged(USUAL, LEAST, _EVERYTHING, _SETTINGS[prefix]))
        changes[key] = (prefix, set_at(key, another(key, value)))
    aliases = {key: f"part{number:03}x" for number, key in enumerate(changes)}
    umbrella = tmp_path_factory.mktemp("umbrella")
    (umbrella / "charts").mkdir()
    (umbrella / "charts/quaywatch").symlink_to(CHART)
    parts = [{"name": "quaywatch", "version": __version__, "alias": alias} for alias in aliases.values()]
    chart = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": parts}
    (umbrella / "Chart.yaml").write_text(yaml.safe_dump(chart))
    values = {
        aliases[key]: merged(LEAST, _EVERYTHING, _SETTINGS[prefix], change) for key, (prefix, change) in changes.items()
    }
    (umbrella / "values.yaml").write_text(yaml.safe_dump(values))
    return _by_key(manifests.rendered(umbrella), aliases)


def _by_key(rendered: str, aliases: Mapping[str, str]) -> Mapping[str, str]:
    """The manifests of each part, without its name and without the checksum, which differs by the name."""
    found: dict[str, list[str]] = {alias: [] for alias in aliases.values()}
    for document in rendered.removeprefix("---\n").split("\n---\n"):
        named = re.search(r"^# Source: umbrella/charts/(part\d+x)/", document, re.MULTILINE)
        assert named, document[:300]
        text = document.strip().replace(named[1], "part")
        found[named[1]].append(re.sub(r"checksum/config: [0-9a-f]{64}", "", text))
    return {key: "\n".join(sorted(found[alias])) for key, alias in aliases.items()}


@pytest.mark.parametrize("key", [key for key, _ in keys(USUAL)])
def test_every_value_does_something(key: str, variants: Mapping[str, str]) -> None:
    """With another value for a key, something else is rendered."""
    assert variants[switched_on(key)]
    assert variants[key] != variants[switched_on(key)]


def test_a_value_that_does_nothing_would_be_found(variants: Mapping[str, str]) -> None:
    """The same values under another name render the same."""
    assert variants[_NOTHING] == variants[""]
