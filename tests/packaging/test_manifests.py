"""The kustomizations render, fit Kubernetes' schemas, keep to the restricted profile, and hold together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from quaywatch import __version__
from sandbox import manifests
from tests.packaging.agent_config import accepted
from tests.packaging.kubernetes import MINORS, Manifest, beyond_restricted, containers, documents, faults, pods

ROOT = manifests.DEPLOY.parent
KUSTOMIZE = manifests.DEPLOY / "kustomize"
OVERLAYS = sorted(path.name for path in (KUSTOMIZE / "overlays").iterdir())
DASHBOARDS = ROOT / "dashboards"


@cache
def overlay(name: str) -> list[Manifest]:
    """Everything one overlay renders to."""
    return documents(manifests.kustomized(KUSTOMIZE / "overlays" / name))


def only(kind: str, among: list[Manifest]) -> Manifest:
    """The manifest of a kind of which there is one."""
    (found,) = [item for item in among if item["kind"] == kind]
    return found


def agent_of(name: str) -> Manifest:
    """The agent's container, whichever list of the pod it stands in."""
    (pod,) = pods(overlay(name))
    (agent,) = [item for item in containers(pod) if item["name"] == "quaywatch"]
    return agent


def config_of(name: str) -> Any:
    """The agent's configuration in an overlay."""
    return yaml.safe_load(only("ConfigMap", overlay(name))["data"]["quaywatch.yaml"])


@pytest.fixture(scope="module")
def all_of_it(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """What the kustomization of the documentation renders to, with more components and another namespace."""
    folder = tmp_path_factory.mktemp("own")
    text = (ROOT / "docs/kubernetes.md").read_text()
    own = yaml.safe_load(text.partition("# kustomization.yaml\n")[2].partition("```")[0])
    own["namespace"] = "mine"
    own["components"] += [f"quaywatch/deploy/kustomize/components/{name}" for name in ("pod-monitor", "shards")]
    here = os.path.relpath(ROOT, folder.resolve())
    for paths in (own["resources"], own["components"]):
        paths[:] = [f"{here}/{path.removeprefix('quaywatch/')}" for path in paths]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
    shutil.copy(KUSTOMIZE / "overlays/deployment/quaywatch.yaml", folder)
    return documents(manifests.kustomized(folder))


def test_there_is_an_overlay_for_each_way_to_run() -> None:
    """Sidecar, DaemonSet, Deployment, and Deployment with a browser are all there."""
    assert OVERLAYS == ["browser", "daemonset", "deployment", "sidecar"]


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_manifest_fits_the_schema(name: str, minor: str) -> None:
    """The three newest Kubernetes minors accept every field, unknown ones refused."""
    assert [faults(manifest, minor) for manifest in overlay(name)] == [[]] * len(overlay(name))


@pytest.mark.parametrize("minor", MINORS)
def test_every_component_fits_the_schema(minor: str, all_of_it: list[Manifest]) -> None:
    """What is optional fits as well, the operator's kinds included."""
    assert {item["kind"] for item in all_of_it} >= {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    assert [found for item in all_of_it for found in faults(item, minor)] == []


@pytest.mark.parametrize("wrong", [{"metdata": {}}, {"metadata": {"nme": "x"}}, {"kind": "PodMonitor", "spec": {}}])
def test_the_schema_check_can_fail(wrong: Manifest) -> None:
    """A misspelt or missing field does not pass, neither of Kubernetes' kinds nor of the operator's."""
    monitor = {"apiVersion": "monitoring.coreos.com/v1"} if "kind" in wrong else {}
    assert faults({**overlay("deployment")[0], **monitor, **wrong}, MINORS[-1])


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_is_restricted(name: str) -> None:
    """The restricted pod security profile holds for all containers, and the agent's root file system is read-only."""
    (pod,) = pods(overlay(name))
    assert beyond_restricted(pod) == []
    assert agent_of(name)["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_namespace_lets_nothing_else_in() -> None:
    """The API server itself holds the agents' namespace to the profile."""
    labels = only("Namespace", overlay("deployment"))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_agent_takes_the_configuration(name: str, tmp_path: Path) -> None:
    """Each configuration passes the agent's own check, and the keys of the Secret are all it refers to."""
    text = only("ConfigMap", overlay(name))["data"]["quaywatch.yaml"]
    settings = accepted(text, tmp_path)
    assert settings.targets
    assert [item["kind"] for item in overlay(name) if item["kind"] == "Secret"] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_pod_mounts_what_it_refers_to(name: str) -> None:
    """Each mount has its volume, and the configuration that is mounted is the one that is rendered."""
    (pod,) = pods(overlay(name))
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]} == set(volumes)
    assert volumes["quaywatch-config"]["configMap"]["name"] == only("ConfigMap", overlay(name))["metadata"]["name"]


def test_a_sidecar_leaves_the_volumes_of_odoo_alone() -> None:
    """What Odoo's pod has under the most usual names comes out as it was; the agent's have names of their own."""
    (odoo,) = pods(documents((KUSTOMIZE / "overlays/sidecar/odoo.yaml").read_text()))
    (patched,) = pods(overlay("sidecar"))
    assert {volume["name"] for volume in odoo["volumes"]} >= {"config", "tmp"}
    ours = [volume for volume in patched["volumes"] if volume["name"].startswith("quaywatch-")]
    assert [volume for volume in patched["volumes"] if volume not in ours] == odoo["volumes"]
    assert {mount["name"] for mount in agent_of("sidecar")["volumeMounts"]} == {volume["name"] for volume in ours}
    assert patched["containers"] == odoo["containers"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_agent_knows_where_it_runs(name: str) -> None:
    """The pod's identity reaches the resource attributes, which stand last since they refer to the others."""
    names = [entry["name"] for entry in agent_of(name)["env"]]
    assert names[-1] == "OTEL_RESOURCE_ATTRIBUTES"
    assert all(f"$({variable})" in agent_of(name)["env"][-1]["value"] for variable in names[:-1])


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_image_is_this_version(name: str) -> None:
    """The manifests start the version they came with."""
    variant = "-browser" if name == "browser" else ""
    assert agent_of(name)["image"] == f"quaywatch:{__version__}{variant}"


def test_a_sidecar_is_native_and_never_gates_its_host() -> None:
    """The sidecar starts before Odoo, stops after it, and its readiness is not Odoo's; it cannot ask the API."""
    (pod,) = pods(overlay("sidecar"))
    (sidecar,) = pod["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert "readinessProbe" not in sidecar
    assert [volume for volume in pod["volumes"] if "projected" in volume] == []
    alone = {**agent_of("deployment")}
    shared = set(alone) - {"readinessProbe", "volumeMounts", "securityContext"}
    assert {key: sidecar[key] for key in shared} == {key: alone[key] for key in shared}


def test_a_browser_has_room() -> None:
    """The memory limit covers the browser's own bound, its shared memory and an agent; /dev/shm is sized memory."""
    (pod,) = pods(overlay("browser"))
    (shm,) = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "quaywatch-shm"]
    assert shm["medium"] == "Memory"
    assert {"name": "quaywatch-shm", "mountPath": "/dev/shm"} in agent_of("browser")["volumeMounts"]
    browser, agent = 1024, mebibytes(agent_of("deployment")["resources"]["limits"]["memory"])
    assert mebibytes(agent_of("browser")["resources"]["limits"]["memory"]) >= browser + agent + mebibytes(
        shm["sizeLimit"]
    )


def mebibytes(quantity: str) -> int:
    """A quantity such as 512Mi."""
    assert quantity.endswith("Mi")
    return int(quantity.removesuffix("Mi"))


@pytest.mark.parametrize("name", ["daemonset", "deployment"])
def test_agents_reach_what_is_configured_and_nothing_else(name: str) -> None:
    """The policy is of egress alone; its peers are the configured hosts' namespaces with the configured ports."""
    spec = only("NetworkPolicy", overlay(name))["spec"]
    dns, api, *rest = spec["egress"]
    assert spec["policyTypes"] == ["Egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert {port["port"] for port in api["ports"]} == {443, 6443}
    assert set(allowed(rest)) == set(configured(config_of(name)))


def test_the_api_server_is_one_address_when_you_say_so(all_of_it: list[Manifest]) -> None:
    """The patch of the documentation narrows the one rule that is open to any address, and no other."""
    before, after = (only("NetworkPolicy", found)["spec"]["egress"] for found in (overlay("deployment"), all_of_it))
    assert [index for index, rule in enumerate(before) if "to" not in rule] == [1]
    assert after == [before[0], {**before[1], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}, *before[2:]]


def allowed(egress: list[Manifest]) -> Iterator[tuple[str, int]]:
    """Namespace and port of everything that rules let through."""
    for rule in egress:
        for peer in rule["to"]:
            for port in rule["ports"]:
                yield peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"]


def configured(config: Any) -> Iterator[tuple[str, int]]:
    """Namespace and port of everything that a configuration names; a credential has the name of its kind."""
    usual = {"postgres": 5432, "redis": 6379}
    for kind, credential in config.get("discovery", {}).get("credentials", {}).items():
        yield from ((namespace, usual[kind]) for namespace in credential["namespaces"])
    for target in config["targets"].values():
        host = target.get("host") or urlsplit(target["url"]).hostname
        yield host.split(".")[1], target.get("port") or usual.get(target["kind"]) or urlsplit(target["url"]).port
    collector = urlsplit(config["telemetry"]["otlp"]["endpoint"])
    assert collector.hostname
    assert collector.port
    yield collector.hostname.split(".")[1], collector.port


@pytest.mark.parametrize("name", ["daemonset", "deployment"])
def test_agents_may_do_what_they_need(name: str) -> None:
    """Leases can be made, read and renewed, by the name that the configuration gives; the node's pods only read."""
    rules = only("Role", overlay(name))["rules"]
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in rules] == [
        (["create"], None),
        (["get", "update"], ["quaywatch"]),
    ]
    assert config_of(name)["lease"] == {"kubernetes": {}}
    clusterwide = [item["rules"] for item in overlay(name) if item["kind"] == "ClusterRole"]
    pods_of_the_node = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]
    assert clusterwide == ([pods_of_the_node] if name == "daemonset" else [])


def test_agents_that_share_targets_have_leases_of_their_own(all_of_it: list[Manifest]) -> None:
    """The component for shards gives what one Lease for each agent takes."""
    (rule,) = only("Role", all_of_it)["rules"]
    assert (rule["verbs"], rule["resources"]) == (["get", "list", "create", "update", "delete"], ["leases"])


def test_the_token_reaches_the_agent_alone() -> None:
    """The service account's token is no matter of the pod, but mounted in one container, with what goes with it."""
    (pod,) = pods(overlay("deployment"))
    assert pod["automountServiceAccountToken"] is False
    (api,) = [volume["projected"]["sources"] for volume in pod["volumes"] if "projected" in volume]
    assert [key for source in api for key in source] == ["serviceAccountToken", "configMap", "downwardAPI"]


def test_a_namespace_of_your_own_reaches_everything(all_of_it: list[Manifest]) -> None:
    """Whoever sets another namespace gets it on each object, on the namespace, and on the subjects of the rights."""
    assert only("Namespace", all_of_it)["metadata"]["name"] == "mine"
    assert {item["metadata"].get("namespace", "mine") for item in all_of_it} == {"mine"}
    assert only("RoleBinding", all_of_it)["subjects"][0]["namespace"] == "mine"


def test_a_label_of_your_own_reaches_everything(all_of_it: list[Manifest]) -> None:
    """The label by which a Prometheus chooses its monitors and rules is passed through."""
    assert {item["metadata"]["labels"]["release"] for item in all_of_it} == {"kube-prometheus-stack"}


def test_an_image_of_your_own_is_started(all_of_it: list[Manifest]) -> None:
    """The image that a kustomization names takes the place of ours, in the version that the documentation names."""
    (pod,) = pods(all_of_it)
    assert [item["image"] for item in pod["containers"]] == [f"registry.example.com/quaywatch:{__version__}"]


def test_the_monitors_find_the_agents(all_of_it: list[Manifest]) -> None:
    """Service and ServiceMonitor choose the agents' pods, and both monitors know the port and the token."""
    labels = only("Deployment", all_of_it)["spec"]["template"]["metadata"]["labels"]
    service, by_service = only("Service", all_of_it), only("ServiceMonitor", all_of_it)["spec"]
    assert labels.items() >= service["spec"]["selector"].items()
    assert service["metadata"]["labels"].items() >= by_service["selector"]["matchLabels"].items()
    (port,), (endpoint,) = service["spec"]["ports"], by_service["endpoints"]
    (by_pod,) = only("PodMonitor", all_of_it)["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], port["targetPort"], by_pod["port"]) == ("http", "http-quaywatch", "http-quaywatch")
    token = config_of("deployment")["telemetry"]["http"]["token"]
    for one in (endpoint, by_pod):
        assert token == f"${{file:/run/secrets/quaywatch/{one['authorization']['credentials']['key']}}}"


def test_every_dashboard_is_shipped(all_of_it: list[Manifest]) -> None:
    """Each rendered dashboard is in a ConfigMap of its own, unchanged, with the label of Grafana's sidecar."""
    found = [item for item in all_of_it if "grafana_dashboard" in item["metadata"]["labels"]]
    shipped = {name: text for item in found for name, text in item["data"].items()}
    assert shipped == {path.name: path.read_text() for path in (DASHBOARDS / "json").glob("*.json")}
    assert {item["metadata"]["labels"]["grafana_dashboard"] for item in found} == {"1"}
    assert len(found) == len(shipped)


def test_what_is_generated_is_what_is_checked_in() -> None:
    """`make manifests` would change nothing."""
    stale = [str(path.relative_to(ROOT)) for path, text in manifests.generated() if path.read_text() != text]
    assert stale == [], "run make manifests"


# --- the check of pods itself -----------------------------------------------------------------------------------------

_SAFE: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(container: Manifest | None = None, context: Manifest | None = None, **spec: Any) -> Manifest:
    """A pod that is restricted but for what is said otherwise."""
    return {
        "containers": [{"name": "it", "securityContext": {**_SAFE, **(context or {})}, **(container or {})}],
        **spec,
    }


def test_a_restricted_pod_passes() -> None:
    """A pod with everything that the profile asks for is not found fault with."""
    assert beyond_restricted(pod(volumes=[{"name": "tmp", "emptyDir": {}}])) == []


@pytest.mark.parametrize(
    "wrong",
    [
        pod(hostNetwork=True),
        pod(hostPID=True),
        pod(volumes=[{"name": "host", "hostPath": {"path": "/"}}]),
        pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        pod(securityContext={"seLinuxOptions": {"type": "spc_t"}}),
        pod(securityContext={"appArmorProfile": {"type": "Unconfined"}}),
        pod(context={"windowsOptions": {"hostProcess": True}}),
        pod(context={"privileged": True}),
        pod(context={"allowPrivilegeEscalation": None}),
        pod(context={"procMount": "Unmasked"}),
        pod(context={"capabilities": {"drop": ["NET_RAW"]}}),
        pod(context={"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}),
        pod(context={"runAsNonRoot": False}),
        pod(context={"runAsUser": 0}),
        pod(context={"seccompProfile": {"type": "Unconfined"}}),
        pod({"ports": [{"containerPort": 1, "hostPort": 1}]}),
        pod({"livenessProbe": {"httpGet": {"port": 1, "host": "10.0.0.1"}}}),
        pod(initContainers=[{"name": "first"}]),
    ],
)
def test_an_unrestricted_pod_is_found(wrong: Manifest) -> None:
    """Each control of the profile is looked at, in every sort of container."""
    assert beyond_restricted(wrong)
