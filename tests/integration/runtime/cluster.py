"""What the tests do in a cluster: accounts with the rights they need, and pods that are what they are said to be."""

from __future__ import annotations

import secrets
import urllib.error
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.parts.kubernetes import Kubernetes, ask
from sandbox.process import until
from tests.adversity.runtime.relay import Relay

_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
_LEASES = {
    "apiGroups": ["coordination.k8s.io"],
    "resources": ["leases"],
    "verbs": ["get", "list", "create", "update", "delete"],
}
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Namespace:
    """A namespace of the test's own, and an account in it."""

    server: Kubernetes
    name: str

    def token(self, path: Path) -> Path:
        """A file with a token of the account, as the kubelet would put it there."""
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        made = ask(self.server, "POST", f"{self._path}/serviceaccounts/quaywatch/token", wanted)
        path.write_text(made["status"]["token"])
        return path

    def run(self, name: str, *, node: str, address: str = "10.1.2.3", **annotations: str) -> None:
        """A pod that runs on a node."""
        spec = {
            "nodeName": node,
            "terminationGracePeriodSeconds": 30,
            "containers": [{"name": "main", "image": "none"}],
        }
        pod = {"metadata": {"name": name, "annotations": _ours(annotations)}, "spec": spec}
        ask(self.server, "POST", f"{self._path}/pods", pod)
        self.set_status(name, phase="Running", podIP=address, podIPs=[{"ip": address}])

    def set_status(self, name: str, **status: Any) -> None:
        """What the kubelet says of a pod."""
        ask(self.server, "PATCH", f"{self._path}/pods/{name}/status", {"status": status}, kind=_MERGE)

    def annotate(self, name: str, **annotations: str | None) -> None:
        """Change annotations of a pod."""
        ask(
            self.server,
            "PATCH",
            f"{self._path}/pods/{name}",
            {"metadata": {"annotations": _ours(annotations)}},
            kind=_MERGE,
        )

    def end(self, name: str, *, grace: int = 0) -> None:
        """Tell a pod to end; without grace it is gone at once."""
        ask(self.server, "DELETE", f"{self._path}/pods/{name}?gracePeriodSeconds={grace}")

    def lease(self, name: str) -> dict[str, Any]:
        """A Lease object."""
        return ask(self.server, "GET", f"/apis/coordination.k8s.io/v1/namespaces/{self.name}/leases/{name}")

    def leases(self) -> list[dict[str, Any]]:
        """All Lease objects."""
        items: list[dict[str, Any]] = ask(
            self.server, "GET", f"/apis/coordination.k8s.io/v1/namespaces/{self.name}/leases"
        )["items"]
        return items

    def label_lease(self, name: str) -> None:
        """Change a Lease object as somebody does who labels it."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.name}/leases/{name}"
        ask(self.server, "PATCH", path, {"metadata": {"labels": {"team": "logistics"}}}, kind=_MERGE)

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.name}"


@asynccontextmanager
async def relay_to(server: Kubernetes) -> AsyncIterator[Relay]:
    """A way to the API server that can be cut."""
    relay = Relay("127.0.0.1", port_of(server))
    await relay.open()
    try:
        yield relay
    finally:
        await relay.close()


def port_of(server: Kubernetes) -> int:
    """Where the API server listens."""
    return urlsplit(server.url).port or 0


def _ours(annotations: dict[str, Any]) -> dict[str, Any]:
    return {f"quaywatch.io/{name}": text for name, text in annotations.items()}


def _may(here: Namespace, group: str, kind: str) -> bool:
    """Whether the server knows by now that the account has a right."""
    asked = {"namespace": here.name, "verb": "list", "group": group, "resource": kind}
    review = {"spec": {"user": f"system:serviceaccount:{here.name}:quaywatch", "resourceAttributes": asked}}
    answer = ask(here.server, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


@contextmanager
def namespace(server: Kubernetes, *, rights: tuple[dict[str, Any], ...] = (_PODS, _LEASES)) -> Iterator[Namespace]:
    """A namespace whose account has what the documentation says that an agent needs, and nothing else."""
    made = Namespace(server, f"test-{secrets.token_hex(4)}")
    account = {"kind": "ServiceAccount", "name": "quaywatch", "namespace": made.name}
    ask(server, "POST", "/api/v1/namespaces", {"metadata": {"name": made.name}})
    ask(server, "POST", f"/api/v1/namespaces/{made.name}/serviceaccounts", {"metadata": {"name": "quaywatch"}})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": made.name}
    ask(server, "POST", f"{_RBAC}/clusterroles", {"metadata": {"name": made.name}, "rules": list(rights)})
    role_rights = [(group, kind) for one in rights for group in one["apiGroups"] for kind in one["resources"]]
    binding = {"metadata": {"name": made.name}, "roleRef": role, "subjects": [account]}
    ask(server, "POST", f"{_RBAC}/clusterrolebindings", binding)
    assert until(lambda: all(_may(made, *right) for right in role_rights), within=30)
    try:
        yield made
    finally:
        for path in (
            f"{_RBAC}/clusterrolebindings/{made.name}",
            f"{_RBAC}/clusterroles/{made.name}",
            f"/api/v1/namespaces/{made.name}/pods?gracePeriodSeconds=0",
            f"/apis/coordination.k8s.io/v1/namespaces/{made.name}/leases",
        ):
            with suppress(urllib.error.HTTPError):
                ask(server, "DELETE", path)
