"""The manifests, given to a real API server: it takes them, and the rights in them are those that the agent needs.

The server is of Kubernetes 1.20. What it does not know yet, native sidecars and budgets of `policy/v1`, is held against
schemas alone, and so are the operator's kinds.
"""

from __future__ import annotations

import json
import secrets
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from quaywatch.drivers.kubernetes import ApiAddress, KubernetesLease, KubernetesMembers, LeaseAddress, NodePods
from quaywatch.errors import PermissionDeniedError
from sandbox import manifests
from sandbox.parts.kubernetes import Kubernetes, ask
from sandbox.process import until
from sandbox.testing import shared_world
from tests.packaging.kubernetes import Manifest, documents

OVERLAYS = ("browser", "daemonset", "deployment")
EXAMPLES = ("browser", "complete", "daemonset", "deployment")
UNKNOWN = frozenset({"PodDisruptionBudget", "PodMonitor", "PrometheusRule", "ServiceMonitor"})
CLUSTERWIDE = frozenset({"ClusterRole", "ClusterRoleBinding", "Namespace", "PriorityClass", "RuntimeClass"})
PLURALS = {
    "NetworkPolicy": "networkpolicies",
    "PriorityClass": "priorityclasses",
    "RuntimeClass": "runtimeclasses",
}
RIGHTS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
NAME = "quaywatch"
RENDERED = [*(("overlay", name) for name in OVERLAYS), *(("example", name) for name in EXAMPLES)]


@cache
def rendered(way: str, name: str) -> list[Manifest]:
    """An overlay or an example of the chart."""
    if way == "example":
        return documents((manifests.CHART / "examples" / name / "rendered.yaml").read_text())
    return documents(manifests.kustomized(manifests.DEPLOY / "kustomize/overlays" / name))


@pytest.fixture(scope="module")
def server() -> Kubernetes:
    """The API server."""
    return shared_world("kubernetes").kubernetes


def create(server: Kubernetes, manifest: Manifest, query: str = "") -> None:
    """Make an object; `AssertionError` with what the server says when it refuses, but for one that is there."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    room = "" if kind in CLUSTERWIDE else f"/namespaces/{manifest['metadata'].get('namespace', 'default')}"
    plural = PLURALS.get(kind, f"{kind.lower()}s")
    path = f"/{'apis' if '/' in version else 'api'}/{version}{room}/{plural}{query}"
    try:
        ask(server, "POST", path, manifest)
    except urllib.error.HTTPError as error:
        told = json.loads(error.read())
        assert told["reason"] == "AlreadyExists", f"{kind}: {told['message']}"


def prerequisites(among: list[Manifest]) -> Iterator[Manifest]:
    """What manifests need that is the cluster's."""
    yield {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "monitoring"},
        "value": 1,
    }
    yield {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor"}, "handler": "runsc"}
    for name in {item["metadata"].get("namespace", "default") for item in among}:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


@pytest.mark.parametrize(("way", "name"), RENDERED)
def test_the_server_takes_them(server: Kubernetes, way: str, name: str) -> None:
    """Each object passes the server's own validation, which sees what no schema does: names, references, quantities."""
    for needed in prerequisites(rendered(way, name)):
        create(server, needed)
    for manifest in rendered(way, name):
        if manifest["kind"] not in UNKNOWN:
            create(server, manifest, "?dryRun=All")


def test_the_server_can_refuse(server: Kubernetes) -> None:
    """A mount without a volume, which fits the schema, is told."""
    (pod,) = [item for item in rendered("example", "deployment") if item["kind"] == "Pod"]
    broken = {**pod, "spec": {**pod["spec"], "volumes": []}}
    with pytest.raises(AssertionError, match="volumeMounts"):
        create(server, broken, "?dryRun=All")


@dataclass(frozen=True)
class Account:
    """The agents' service account."""

    namespace: str
    name: str
    token: Path


def granted(server: Kubernetes, given: list[Manifest], folder: Path) -> Account:
    """The account of some manifests, with a token, as soon as the server knows of the rights that they give it."""
    for manifest in [*prerequisites(given), *(item for item in given if item["kind"] in RIGHTS)]:
        create(server, manifest)
    (account,) = [item["metadata"] for item in given if item["kind"] == "ServiceAccount"]
    wanted: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{account['namespace']}/serviceaccounts/{account['name']}/token"
    (folder / "token").write_text(ask(server, "POST", path, wanted)["status"]["token"])
    made = Account(account["namespace"], account["name"], folder / "token")
    assert until(lambda: all(may(server, made, *right) for right in rights(given)), within=60)
    return made


def rights(given: list[Manifest]) -> Iterator[tuple[str, str, str, str]]:
    """Verb, group, resource and name of all that the roles among manifests hold."""
    rules = [rule for item in given if item["kind"] in {"Role", "ClusterRole"} for rule in item["rules"]]
    for rule in rules:
        yield from product(rule["verbs"], rule["apiGroups"], rule["resources"], rule.get("resourceNames", [""]))


def may(server: Kubernetes, account: Account, verb: str, group: str, resource: str, name: str) -> bool:
    """What the server itself says of who may do what in the account's namespace."""
    asked = {"namespace": account.namespace, "verb": verb, "group": group, "resource": resource, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": f"system:serviceaccount:{account.namespace}:{account.name}", "resourceAttributes": asked},
    }
    answer = ask(server, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


@pytest.fixture(scope="module", params=["overlay", "example"])
def account(request: pytest.FixtureRequest, server: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The account of a DaemonSet with its rights, as the overlay and as the chart give them."""
    return granted(server, rendered(request.param, "daemonset"), tmp_path_factory.mktemp("account"))


async def test_an_agent_leases_and_finds_pods(server: Kubernetes, account: Account) -> None:
    """The agent's own drivers make, read and renew the Lease, and list the node's pods."""
    reached = reach(server, account)
    lease = KubernetesLease(LeaseAddress(name=NAME, namespace=account.namespace, **reached))
    other = KubernetesLease(LeaseAddress(name="somebody-elses", namespace=account.namespace, **reached))
    pods = NodePods(ApiAddress(**reached), "worker-1")
    try:
        made = await lease.read() or await lease.create(holderIdentity="", leaseDurationSeconds=15)
        assert made is not None
        assert await lease.update(made.changed(holderIdentity="me")) is not None
        with pytest.raises(PermissionDeniedError):
            await other.read()
        assert (await pods.list("0")).pods == ()
    finally:
        for driver in (lease, other, pods):
            await driver.close()


async def test_agents_that_share_targets_keep_leases_of_their_own(server: Kubernetes, tmp_path: Path) -> None:
    """With the rights of the example with shards an agent makes, finds, renews and removes the Lease of its own."""
    account = granted(server, rendered("example", "complete"), tmp_path)
    group = LeaseAddress(name=f"erp-{secrets.token_hex(3)}", namespace=account.namespace, **reach(server, account))
    members = KubernetesMembers(group, "erp-watch-0")
    try:
        made = await members.create("", holderIdentity="me", leaseDurationSeconds=15)
        assert made is not None
        renewed = await members.update(made.changed(holderIdentity="me too"))
        assert renewed is not None
        assert [lease.name for lease in await members.all()] == [members.own]
        await members.delete(renewed)
        assert await members.all() == []
    finally:
        await members.close()


def reach(server: Kubernetes, account: Account) -> dict[str, Any]:
    """How a driver reaches the server as the account."""
    return {"url": server.url, "token_file": str(account.token), "ca_file": str(server.ca_file)}


@pytest.mark.parametrize(
    ("verb", "group", "resource", "name", "allowed"),
    [
        ("create", "coordination.k8s.io", "leases", "", True),
        ("update", "coordination.k8s.io", "leases", "quaywatch", True),
        ("update", "coordination.k8s.io", "leases", "another", False),
        ("delete", "coordination.k8s.io", "leases", "quaywatch", False),
        ("list", "", "secrets", "", False),
        ("get", "", "secrets", "quaywatch", False),
        ("list", "", "pods", "", True),
        ("get", "", "pods", "quaywatch", False),
        ("create", "", "pods", "", False),
        ("delete", "", "pods", "quaywatch", False),
        ("patch", "apps", "daemonsets", "quaywatch", False),
    ],
)
def test_an_agent_may_do_nothing_else(
    server: Kubernetes,
    account: Account,
    verb: str,
    group: str,
    resource: str,
    name: str,
    allowed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The server's own answer to who may do what: the Lease by its name, and never a Secret or somebody's pods."""
    assert may(server, account, verb, group, resource, name) is allowed
