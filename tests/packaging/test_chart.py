"""The chart for Helm: what it renders holds together, and brings the rules and dashboards there are."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

import alerts
from otel_config.names import prometheus_name
from quaywatch import __version__
from quaywatch.cli.registry import all_metrics
from sandbox import manifests
from sandbox.cache import run
from sandbox.parts.kubernetes_tools import kubernetes_tools
from tests.packaging.agent_config import accepted
from tests.packaging.chart_values import Values, values_of
from tests.packaging.kubernetes import MINORS, Manifest, beyond_restricted, containers, documents, faults, pods

CHART = manifests.CHART
ROOT = manifests.DEPLOY.parent
EXAMPLES = [name for name in manifests.EXAMPLES if name != "sidecar"]
"""Those that start a pod."""


@cache
def example(name: str) -> list[Manifest]:
    """What an example renders to; that it is still rendered so is another test's matter."""
    return documents((CHART / "examples" / name / "rendered.yaml").read_text())


def only(kind: str, among: list[Manifest]) -> Manifest:
    """The manifest of a kind of which there is one."""
    (found,) = [item for item in among if item["kind"] == kind]
    return found


def text_of(name: str) -> str:
    """The agent's configuration in an example."""
    (text,) = [item["data"]["quaywatch.yaml"] for item in example(name) if "quaywatch.yaml" in item.get("data", {})]
    return str(text)


def agents(name: str) -> list[Manifest]:
    """The agent's containers in an example: of the workload, and of the test."""
    names = {"quaywatch", "check"}
    return [item for pod in pods(example(name)) for item in containers(pod) if item["name"] in names]


def render(folder: Path, values: Values) -> list[Manifest]:
    """What the chart renders to with these values."""
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    return documents(manifests.rendered(CHART, "--values", folder / "values.yaml"))


def test_the_chart_is_of_this_version() -> None:
    """Chart and agent are released together, with one version."""
    chart = values_of(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_helm_finds_nothing_wrong() -> None:
    """Helm's own linter passes, warnings counted, with the example that sets the most."""
    run(kubernetes_tools().helm, "lint", "--strict", CHART, "--values", CHART / "examples/complete/values.yaml")


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("name", manifests.EXAMPLES)
def test_every_manifest_fits_the_schema(name: str, minor: str) -> None:
    """The three newest Kubernetes minors accept every field, unknown ones refused."""
    assert [found for item in example(name) for found in faults(item, minor)] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_pod_is_restricted(name: str) -> None:
    """The restricted profile holds for every container, and the agent's root file system is read-only."""
    assert [found for pod in pods(example(name)) for found in beyond_restricted(pod)] == []
    assert {agent["securityContext"]["readOnlyRootFilesystem"] for agent in agents(name)} == {True}


@pytest.mark.parametrize("name", manifests.EXAMPLES)
def test_the_agent_takes_the_configuration(name: str, tmp_path: Path) -> None:
    """What the chart makes of the configuration passes the agent's own check; no manifest holds a secret."""
    assert accepted(text_of(name), tmp_path).targets
    assert [item["kind"] for item in example(name) if item["kind"] == "Secret"] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_agent_knows_where_it_runs(name: str) -> None:
    """OTEL_RESOURCE_ATTRIBUTES stands last, so that all it refers to is known, and says what the Downward API says."""
    for agent in agents(name):
        names = [entry["name"] for entry in agent["env"]]
        told = agent["env"][-1]["value"]
        assert names[-1] == "OTEL_RESOURCE_ATTRIBUTES"
        assert set(re.findall(r"\$\(([A-Z_]+)\)", told)) >= {"POD_NAME", "POD_UID", "POD_NAMESPACE", "NODE_NAME"}
        assert set(re.findall(r"\$\(([A-Z_]+)\)", told)) <= set(names[:-1])


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_mount_has_its_volume(name: str) -> None:
    """What containers mount is what their pods have."""
    for pod in pods(example(name)):
        mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_agents_may_do_what_their_configuration_needs(name: str) -> None:
    """The one Lease is theirs, or all where each has its own; who discovers pods may read them, and nobody else."""
    config = yaml.safe_load(text_of(name))
    rules = only("Role", example(name))["rules"]
    one = [(["create"], None), (["get", "update"], [config["lease"]["kubernetes"]["name"]])]
    several = [(["get", "list", "create", "update", "delete"], None)]
    found = [(rule["verbs"], rule.get("resourceNames")) for rule in rules]
    assert found == (several if config["lease"].get("shards") else one)
    clusterwide = [rule["verbs"] for item in example(name) if item["kind"] == "ClusterRole" for rule in item["rules"]]
    assert clusterwide == ([["list", "watch"]] if "discovery" in config else [])


@pytest.mark.parametrize(
    ("lease", "made"),
    [
        ({"shards": True}, {"shards": True, "kubernetes": {"name": "quaywatch"}}),
        ({"target": "erp-db"}, {"target": "erp-db"}),
        ("none", "none"),
    ],
)
def test_the_lease_is_where_the_configuration_says(lease: Values | str, made: Values | str, tmp_path: Path) -> None:
    """The chart adds a Lease object where no other place is named; without one there are neither rights nor a token."""
    values = values_of(CHART / "examples/deployment/values.yaml")
    values["config"]["lease"] = lease
    found = render(tmp_path, values)
    (text,) = [item["data"]["quaywatch.yaml"] for item in found if item["kind"] == "ConfigMap"]
    assert yaml.safe_load(text)["lease"] == made
    volumes = [volume["name"] for pod in pods(found) for volume in pod["volumes"]]
    assert ("Role" in {item["kind"] for item in found}) is ("quaywatch-api" in volumes) is ("kubernetes" in made)


def test_the_right_to_a_lease_is_where_the_lease_is(tmp_path: Path) -> None:
    """A Lease in another namespace has its Role and its binding there, and the agents' account where the agents are."""
    values = values_of(CHART / "examples/deployment/values.yaml")
    values["config"]["lease"] = {"kubernetes": {"namespace": "locks"}}
    found = render(tmp_path, values)
    role, binding, account = (only(kind, found) for kind in ("Role", "RoleBinding", "ServiceAccount"))
    assert (role["metadata"]["namespace"], binding["metadata"]["namespace"]) == ("locks", "locks")
    assert binding["subjects"][0]["namespace"] == account["metadata"]["namespace"] == "monitoring"


def test_the_service_chooses_the_agents_and_not_the_test() -> None:
    """Neither Service, budget nor workload takes the pod of `helm test` for an agent; the policy binds it as well."""
    manifest = example("deployment")
    test = only("Pod", manifest)["metadata"]["labels"].items()
    selectors = [only("Service", manifest)["spec"]["selector"]]
    selectors += [
        only(kind, manifest)["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")
    ]
    agent = only("Deployment", manifest)["spec"]["template"]["metadata"]["labels"].items()
    assert all(agent >= selector.items() and not test >= selector.items() for selector in selectors)
    assert test >= only("NetworkPolicy", manifest)["spec"]["podSelector"]["matchLabels"].items()


def test_a_changed_configuration_rolls_the_pods(tmp_path: Path) -> None:
    """The pods' annotation follows the configuration."""
    values = values_of(CHART / "examples/deployment/values.yaml")
    values["config"]["installation"] = "another"
    before, after = (
        only("Deployment", found)["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for found in (example("deployment"), render(tmp_path, values))
    )
    assert before != after


def test_a_browser_has_its_image_and_room() -> None:
    """The variant with Chromium has a sized /dev/shm in memory, and a limit for it, the browser and the agent."""
    (pod,) = [pod for pod in pods(example("browser")) if pod["containers"][0]["name"] == "quaywatch"]
    (agent,) = pod["containers"]
    (shm,) = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "quaywatch-shm"]
    assert agent["image"] == f"quaywatch:{__version__}-browser"
    assert shm == {"medium": "Memory", "sizeLimit": "512Mi"}
    assert agent["resources"]["limits"]["memory"] == f"{1024 + 256 + 512}Mi"
    assert yaml.safe_load(text_of("browser"))["browser"] == {"sandbox": False, "dev_shm": True}


def test_a_monitor_elsewhere_finds_the_agents() -> None:
    """It looks into the agents' namespace, and is in its own."""
    monitor = only("ServiceMonitor", example("complete"))
    assert monitor["metadata"]["namespace"] == "prometheus"
    assert monitor["spec"]["namespaceSelector"]["matchNames"] == ["observability"]
    assert only("Service", example("complete"))["metadata"]["namespace"] == "observability"


def test_an_annotation_for_all_reaches_everything() -> None:
    """Beside those that an object has of its own, and nothing of them is lost."""
    annotations = {item["kind"]: item["metadata"]["annotations"] for item in rendered_by_the_chart("complete")}
    assert {told["example.com/contact"] for told in annotations.values()} == {"platform@example.com"}
    assert annotations["Service"]["example.com/scrape"] == "no"
    assert annotations["Pod"]["helm.sh/hook"] == "test"


def rendered_by_the_chart(name: str) -> list[Manifest]:
    """What an example renders to without the objects that its values bring along."""
    return [item for item in example(name) if "app.kubernetes.io/name" in item["metadata"].get("labels", {})]


def test_egress_is_to_what_is_configured() -> None:
    """Addresses, Services here and elsewhere, names outside, and what only the values can tell: each has its rule."""
    (pod_policy,) = [item["spec"] for item in example("complete") if item["kind"] == "NetworkPolicy"]
    assert pod_policy["policyTypes"] == ["Egress"]
    assert sorted(opened(pod_policy)) == [
        ("10.0.0.1/32", 6443),  # the API server
        ("10.0.0.5/32", 6432),  # erp-db
        ("10.1.0.0/16", 443),  # backups, whose address is a variable
        ("10.2.0.0/16", 9000),  # extraEgress
        ("any", 443),  # edge
        ("any", 443),  # telemetry.otlp
        ("any", 6379),  # cache
        ("fd00::5/128", 5432),  # erp-db-ipv6
        ("openshift-dns", 5353),
        ("openshift-dns", 5353),
    ]
    (policy,) = [item["spec"] for item in example("browser") if item["kind"] == "NetworkPolicy"]
    peers = {peer for peer, _ in opened(policy)}
    assert peers == {"kube-system", "any", "erp", "ingress", "observability"}
    (policy,) = [item["spec"] for item in example("deployment") if item["kind"] == "NetworkPolicy"]
    assert {port for peer, port in opened(policy) if peer == "own"} == {5432, 6379, 8069}


@pytest.mark.parametrize(
    ("endpoint", "gets"),
    [
        ("http://collector.watch.svc:4318", [("watch", 4318)]),
        ("collector.watch.svc:4317", [("watch", 4317)]),
        ("https://otlp.example.com", [("any", 443)]),
        ("", []),
    ],
)
def test_telemetry_that_a_variable_leads_elsewhere_gets_through(
    endpoint: str, gets: list[tuple[str, int]], tmp_path: Path
) -> None:
    """Where the configuration names no endpoint, the variables that the agent honours then have their rules."""
    values = values_of(CHART / "examples/deployment/values.yaml")
    del values["config"]["telemetry"]
    without = list(opened(policy_of(render(tmp_path, values))))
    values["extraEnv"] = [{"name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "value": endpoint}]
    assert list(opened(policy_of(render(tmp_path, values)))) == [*without, *gets]


def test_telemetry_goes_where_the_configuration_says(tmp_path: Path) -> None:
    """An endpoint there wins over a variable, as it does in the agent, so that the variable's address stays closed."""
    values = values_of(CHART / "examples/deployment/values.yaml")
    values["extraEnv"] = [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector.watch.svc:4318"}]
    assert policy_of(render(tmp_path, values)) == policy_of(example("deployment"))


def policy_of(manifest: list[Manifest]) -> Manifest:
    """What the agents may connect to."""
    spec: Manifest = only("NetworkPolicy", manifest)["spec"]
    return spec


def opened(policy: Manifest) -> Iterator[tuple[str, int]]:
    """Who may be connected to, on which port."""
    for rule in policy["egress"]:
        for peer in rule.get("to", [{}]):
            namespace = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
            who = peer.get("ipBlock", {}).get("cidr") or namespace or ("own" if peer else "any")
            yield from ((who, port["port"]) for port in rule["ports"])


# --- rules, dashboards, package ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """The deployment with rules and dashboards."""
    values = values_of(CHART / "examples/deployment/values.yaml")
    values |= {
        "dashboards": {"enabled": True, "labels": {"team": "platform"}},
        "prometheusRule": {"enabled": True, "extraLabels": {"release": "stack"}},
        "podMonitor": {"enabled": True, "extraLabels": {"release": "stack"}},
    }
    return render(tmp_path_factory.mktemp("watched"), values)


def test_the_rules_are_the_rendered_ones(watched: list[Manifest]) -> None:
    """The PrometheusRule holds the groups of `alerts/rules`, unchanged, under the labels that are passed through."""
    rule = only("PrometheusRule", watched)
    assert rule["spec"] == yaml.load((ROOT / "alerts/rules/quaywatch.yml").read_text(), yaml.CSafeLoader)
    assert rule["metadata"]["labels"]["release"] == "stack"
    assert only("PodMonitor", watched)["metadata"]["labels"]["release"] == "stack"
    assert [found for item in watched for found in faults(item, MINORS[-1])] == []


def test_links_of_alerts_lead_where_they_are_told_to(tmp_path: Path) -> None:
    """With the addresses of runbooks and of Grafana the rules are those that the agent renders with the same ones."""
    values = values_of(CHART / "examples/deployment/values.yaml")
    places = alerts.Places("https://wiki.example.com/runbooks", "https://example.com/grafana")
    links = {"runbooks": f"{places.runbooks}/", "dashboards": places.dashboards}
    rule = only("PrometheusRule", render(tmp_path, {**values, "prometheusRule": {"enabled": True, **links}}))
    rendered = alerts.render(all_metrics(), prometheus_name, places=places)
    assert rule["spec"] == yaml.load(rendered, yaml.CSafeLoader)


def test_every_dashboard_is_shipped(watched: list[Manifest]) -> None:
    """Each rendered dashboard is in a ConfigMap of its own, unchanged, with the label of Grafana's sidecar."""
    found = [item for item in watched if "grafana_dashboard" in item["metadata"]["labels"]]
    shipped = {name: text.strip() for item in found for name, text in item["data"].items()}
    assert shipped == {path.name: path.read_text().strip() for path in (ROOT / "dashboards/json").glob("*.json")}
    assert {item["metadata"]["labels"]["team"] for item in found} == {"platform"}
    assert {item["metadata"]["annotations"]["grafana_folder"] for item in found} == {"Quaywatch"}


def test_the_package_is_whole(tmp_path: Path) -> None:
    """The packed chart brings rules and dashboards themselves, not links to them, and leaves the examples behind."""
    run(kubernetes_tools().helm, "package", CHART, "--destination", tmp_path)
    with tarfile.open(tmp_path / f"quaywatch-{__version__}.tgz") as package:
        sizes = {member.name.removeprefix("quaywatch/"): member.size for member in package if member.isreg()}
    expected = {f"files/dashboards/{path.name}" for path in (ROOT / "dashboards/json").glob("*.json")}
    assert {name for name in sizes if name.startswith("files/dashboards/")} == expected
    assert sizes["files/rules.yml"] == (ROOT / "alerts/rules/quaywatch.yml").stat().st_size
    assert [name for name in sizes if name.startswith("examples/")] == []


def test_the_notes_hold_a_sidecar() -> None:
    """What the notes tell to put into Odoo's pod is a native sidecar that fits schema and restricted profile."""
    helm, values = kubernetes_tools().helm, CHART / "examples/sidecar/values.yaml"
    said = run(helm, "install", "--dry-run=client", "quaywatch", CHART, "--namespace", "monitoring", "--values", values)
    notes = said.partition("NOTES:")[2]
    spec = yaml.safe_load(re.search(r"^spec:\n(?: .*\n)+", notes, re.MULTILINE).group())["spec"]  # type: ignore[union-attr]
    (sidecar,) = spec["initContainers"]
    assert (sidecar["restartPolicy"], "readinessProbe" in sidecar) == ("Always", False)
    odoo = {"name": "odoo", "securityContext": sidecar["securityContext"]}
    pod: Manifest = {**spec, "containers": [odoo]}
    assert faults({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "odoo"}, "spec": pod}, MINORS[-1]) == []
    assert beyond_restricted(pod) == []
    assert {volume["name"].partition("-")[0] for volume in spec["volumes"]} == {"quaywatch"}
    assert {item["kind"] for item in example("sidecar")} == {"ConfigMap", "PodMonitor"}
    secrets = re.findall(r"/run/secrets/quaywatch/([a-z-]+)", text_of("sidecar"))
    assert notes.split("refers to:")[1].split() == sorted(set(secrets))
