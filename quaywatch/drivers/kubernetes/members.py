"""Lease objects of the members of a group, one each.

Needed are ``get``, ``list``, ``create``, ``update`` and ``delete`` on ``leases``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from .api import ApiServer, Needed
from .lease import NOTE, KubernetesLease, LeaseAddress, LeaseObject, leases_of

_LABEL: Final = "quaywatch.io/members-of"
_RIGHTS: Final = "get, list, create, update and delete on leases of coordination.k8s.io"
_MISSING: Final = frozenset({404, 409})


class KubernetesMembers:
    """The objects of a group; every call raises `TargetError` when the API server does not do it.

    Args:
        address: the group: its name is what its members' objects begin with.
        member: which of them is this one's.
    """

    def __init__(self, address: LeaseAddress, member: str) -> None:
        self._address = address
        self._api = ApiServer(address)
        self._needed = Needed(f"the leases of {address.name}", _RIGHTS)
        self._own = KubernetesLease(replace(address, name=f"{address.name}-{member}"), rights=_RIGHTS)

    @property
    def own(self) -> str:
        """The name of this member's object."""
        return self._own.name

    async def all(self) -> Sequence[LeaseObject]:
        """Every member's object, as of now."""
        path = f"{self._path()}?{urlencode({'labelSelector': f'{_LABEL}={self._address.name}'})}"
        status, body = await self._api.exchange("GET", path, None, self._needed)
        raw = self._api.understood("GET", status, body, "LeaseList", self._needed)
        return [LeaseObject(_whole(item)) for item in raw.get("items") or ()]

    async def read(self) -> LeaseObject | None:
        """This member's object; None when there is none."""
        return await self._own.read()

    async def create(self, note: str, **spec: Any) -> LeaseObject | None:
        """This member's object, made; None when it is there."""
        return await self._own.create(labels={_LABEL: self._address.name}, annotations={NOTE: note}, **spec)

    async def update(self, changed: LeaseObject) -> LeaseObject | None:
        """It after the update; None when it was changed or removed since it was read."""
        return await self._own.update(changed)

    async def delete(self, gone: LeaseObject) -> None:
        """Remove an object, unless it was changed since it was read."""
        unchanged = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"resourceVersion": gone.version}}
        status, _ = await self._api.exchange("DELETE", f"{self._path()}/{gone.name}", unchanged, self._needed)
        if status not in {200, *_MISSING}:
            raise self._api.refused("DELETE", status, self._needed)

    async def close(self) -> None:
        """Let go of every connection; never raises, and is done after a second at most."""
        await self._api.close()
        await self._own.close()

    def _path(self) -> str:
        return leases_of(self._address.namespace or self._api.own_namespace())


def _whole(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a list says of which kind it is only by the list."""
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **item}
