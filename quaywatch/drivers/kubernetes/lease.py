"""A Lease object of Kubernetes (``coordination.k8s.io/v1``).

Needed are ``get``, ``create`` and ``update`` on ``leases``.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from .api import ApiAddress, ApiServer, Needed

_NOT_FOUND, _CONFLICT = 404, 409
NOTE: Final = "quaywatch.io/note"
"""The annotation that holds a note."""
_RIGHTS: Final = "get, create and update on leases of coordination.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAddress(ApiAddress):
    """Where a Lease object is.

    Args:
        name: the object's.
        namespace: the object's; the pod's own if None.
    """

    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class LeaseObject:
    """The object as it was read; ``raw`` is all of it, the version that an update is checked against included."""

    raw: Mapping[str, Any]

    @property
    def holder(self) -> str:
        """The identity of who holds it; empty when nobody does."""
        return str(self._spec.get("holderIdentity") or "")

    @property
    def duration(self) -> float:
        """Seconds after the last renewal until others may take it."""
        return float(self._spec.get("leaseDurationSeconds") or 0)

    @property
    def renewed(self) -> str:
        """When its holder renewed it last, by the holder's clock: good for telling two renewals apart, no more."""
        return str(self._spec.get("renewTime") or "")

    @property
    def transitions(self) -> int:
        """How often it went from one holder to another."""
        return int(self._spec.get("leaseTransitions") or 0)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.raw["metadata"]["name"])

    @property
    def note(self) -> str:
        """What its holder wrote on it; empty when that is nothing."""
        return str((self.raw["metadata"].get("annotations") or {}).get(NOTE) or "")

    @property
    def version(self) -> str:
        """The version that an update is checked against."""
        return str(self.raw["metadata"]["resourceVersion"])

    @property
    def _spec(self) -> Mapping[str, Any]:
        return self.raw.get("spec") or {}

    def changed(self, **spec: Any) -> LeaseObject:
        """The same object with other fields in its ``spec``; labels and whatever else others put there stays."""
        raw = deepcopy(dict(self.raw))
        raw["spec"] = {**self._spec, **spec}
        return LeaseObject(raw)

    def noted(self, note: str) -> LeaseObject:
        """The same object with another note."""
        raw = deepcopy(dict(self.raw))
        raw["metadata"]["annotations"] = {**(raw["metadata"].get("annotations") or {}), NOTE: note}
        return LeaseObject(raw)


def leases_of(namespace: str) -> str:
    """The path of all Lease objects of a namespace."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


class KubernetesLease:
    """Reads and writes one Lease object; every call raises `TargetError` when the API server does not do it."""

    def __init__(self, address: LeaseAddress, *, rights: str = _RIGHTS) -> None:
        self._address = address
        self._api = ApiServer(address)
        self._needed = Needed(f"the lease {address.name}", rights)

    @property
    def name(self) -> str:
        """The object's name."""
        return self._address.name

    async def read(self) -> LeaseObject | None:
        """The object; None when there is none."""
        return await self._exchange("GET", f"/{self._address.name}", None)

    async def create(
        self, *, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None, **spec: Any
    ) -> LeaseObject | None:
        """A new object; None when somebody else made it meanwhile."""
        words = {"labels": dict(labels or {}), "annotations": dict(annotations or {})}
        raw = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._address.name, "namespace": self._namespace(), **words},
            "spec": spec,
        }
        return await self._exchange("POST", "", raw)

    async def update(self, changed: LeaseObject) -> LeaseObject | None:
        """The object as it stands after the update; None when it was changed by somebody else since it was read."""
        return await self._exchange("PUT", f"/{self._address.name}", changed.raw)

    async def close(self) -> None:
        """Let go of every connection; never raises, and is done after half a second at most."""
        await self._api.close()

    async def _exchange(self, method: str, path: str, raw: Mapping[str, Any] | None) -> LeaseObject | None:
        path = f"{leases_of(self._namespace())}{path}"
        status, body = await self._api.exchange(method, path, raw, self._needed)
        if status == _CONFLICT or (status == _NOT_FOUND and method != "POST"):
            return None
        return LeaseObject(self._api.understood(method, status, body, "Lease", self._needed))

    def _namespace(self) -> str:
        return self._address.namespace or self._api.own_namespace()
