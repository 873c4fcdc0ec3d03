"""The Kubernetes manifests render, fit the API's schema and keep to the restricted profile."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import utils as schemas

from quaywatch import __version__
from sandbox import cache

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.name for path in (ROOT / "deploy/kustomize/overlays").iterdir())
NEWEST_MINORS = sorted({schemas.major_minor(version) for version in schemas.all_versions()}, key=str)[-3:]

Manifest = dict[str, Any]


def fetch_kubectl(into: Path) -> None:
    """The real kubectl, from a later Debian suite than the machine's."""
    cache.fetch_deb("kubectl", "trixie", into)


@pytest.fixture(scope="session", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """Everything one overlay renders to."""
    kubectl = cache.built("kubectl", "1", fetch_kubectl) / "usr/bin/kubectl"
    folder = ROOT / "deploy/kustomize/overlays" / request.param
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pod_of(manifests: list[Manifest]) -> Manifest:
    """The pod that runs the agent."""
    (workload,) = [item for item in manifests if item["kind"] in {"Deployment", "DaemonSet"}]
    pod: Manifest = workload["spec"]["template"]["spec"]
    return pod


def agent_in(pod: Manifest) -> Manifest:
    """The agent's container, whichever list it stands in."""
    (agent,) = [item for item in [*pod["containers"], *pod.get("initContainers", [])] if item["name"] == "quaywatch"]
    return dict(agent)


def test_there_is_an_overlay_for_each_way_to_run() -> None:
    """Sidecar, DaemonSet and Deployment are all there."""
    assert OVERLAYS == ["daemonset", "deployment", "sidecar"]


@pytest.mark.parametrize("minor", NEWEST_MINORS)
def test_every_manifest_fits_the_schema(manifests: list[Manifest], minor: str) -> None:
    """The three newest Kubernetes minors accept every field, unknown ones refused."""
    for manifest in manifests:
        schemas.validate(manifest, minor, strict=True)


def test_the_schema_check_can_fail(manifests: list[Manifest]) -> None:
    """A misspelt field does not pass."""
    broken = {**manifests[0], "metdata": {}}
    with pytest.raises(schemas.ValidationError):
        schemas.validate(broken, NEWEST_MINORS[-1], strict=True)


def test_the_pod_is_restricted(manifests: list[Manifest]) -> None:
    """The restricted pod security profile holds, and the root file system is read-only."""
    pod = pod_of(manifests)
    agent = agent_in(pod)["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert agent["allowPrivilegeEscalation"] is False
    assert agent["capabilities"] == {"drop": ["ALL"]}
    assert agent["readOnlyRootFilesystem"] is True
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= {
        "configMap",
        "secret",
        "emptyDir",
    }


def test_a_sidecar_is_native_and_never_gates_its_host(manifests: list[Manifest]) -> None:
    """The sidecar starts before Odoo, stops after it, and its readiness is not Odoo's."""
    pod = pod_of(manifests)
    sidecars = [item for item in pod.get("initContainers", []) if item["name"] == "quaywatch"]
    assert all(item["restartPolicy"] == "Always" and "readinessProbe" not in item for item in sidecars)
    assert bool(sidecars) == (len(pod["containers"]) == 1 and pod["containers"][0]["name"] == "odoo")


def test_secrets_come_by_reference(manifests: list[Manifest]) -> None:
    """No manifest holds a secret; the pod's identity reaches the resource attributes."""
    assert [item["kind"] for item in manifests if item["kind"] == "Secret"] == []
    environment = {entry["name"]: entry for entry in agent_in(pod_of(manifests))["env"]}
    assert all(f"$({name})" in environment["OTEL_RESOURCE_ATTRIBUTES"]["value"] for name in ("POD_NAME", "NODE_NAME"))


def test_the_image_is_this_version(manifests: list[Manifest]) -> None:
    """The manifests start the version they came with."""
    assert agent_in(pod_of(manifests))["image"] == f"quaywatch:{__version__}"
