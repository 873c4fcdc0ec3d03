"""The pods of one node: a list of them, and what changes after it.

Needed are ``list`` and ``watch`` on ``pods`` of the whole cluster: Kubernetes knows no right to the pods of a node.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from quaywatch.errors import FaultError, TargetError

from .api import ApiAddress, ApiServer, Needed

PREFIX: Final = "quaywatch.io/"
"""What the annotations begin with that mean something here."""
_RIGHTS: Final = "list and watch on pods, in a ClusterRole"
_NEEDED: Final = Needed("the node's pods", _RIGHTS)
_GONE: Final = 410
_TOO_NEW: Final = 504
"""The answer of a server that has not yet seen the version asked for."""
_FINE: Final = 200


class ExpiredError(FaultError):
    """The server no longer knows the version that was named: there is no way but a new list."""


@dataclass(frozen=True, slots=True)
class Pod:
    """As much of a pod as matters here.

    Args:
        namespace: the pod's.
        name: the pod's.
        address: its IP address; empty while it has none.
        running: whether it runs and is not told to end.
        annotations: those of ours, without `PREFIX`.
    """

    namespace: str
    name: str
    address: str = ""
    running: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all others."""
        return (self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class PodList:
    """All pods of the node, and the version from which on changes are to be asked for."""

    version: str
    pods: tuple[Pod, ...]


@dataclass(frozen=True, slots=True)
class PodChange:
    """One change: a pod that came, changed or went; none in a bookmark, which only moves the version on."""

    version: str
    pod: Pod | None = None
    gone: bool = False


class NodePods:
    """Asks an API server for the pods of a node; every call raises `TargetError` when it does not answer."""

    def __init__(self, address: ApiAddress, node: str) -> None:
        self._api = ApiServer(address)
        self._node = node

    async def list(self, since: str) -> PodList:
        """All pods, as of ``since`` or later: "0" is whatever the server has at hand, empty the very latest.

        A node has some hundreds of pods at most, so the answer is not asked for in pages.

        Raises:
            ExpiredError: when the server cannot tell.
        """
        query = {"resourceVersion": since, "resourceVersionMatch": "NotOlderThan"} if since else {}
        status, body = await self._api.exchange("GET", self._path(query), None, _NEEDED)
        if status in {_GONE, _TOO_NEW}:
            raise ExpiredError(f"the list of pods of version {since} is not to be had", code=str(status))
        raw = self._api.understood("GET", status, body, "PodList", _NEEDED)
        return PodList(raw["metadata"]["resourceVersion"], tuple(map(_pod, raw.get("items") or ())))

    async def watch(self, version: str, seconds: float) -> AsyncGenerator[PodChange, None]:
        """What changes after this version, for so many seconds at most; the server may end it sooner.

        What comes first says that the watch stands, and changes nothing.

        Raises:
            ExpiredError: when the server knows this version no longer.
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        async with self._api.streaming(self._path(query), _NEEDED) as (status, lines):
            if status == _GONE:
                raise ExpiredError(f"pods of version {version} are forgotten", code=str(status))
            if status != _FINE:
                raise self._api.refused("watch", status, _NEEDED)
            yield PodChange(version)
            async for line in lines:
                yield self._change(self._api.decoded(line))

    async def close(self) -> None:
        """Let go of every connection; never raises, and is done after half a second at most."""
        await self._api.close()

    def _path(self, query: Mapping[str, str]) -> str:
        return f"/api/v1/pods?{urlencode({'fieldSelector': f'spec.nodeName={self._node}', **query})}"

    def _change(self, event: Mapping[str, Any]) -> PodChange:
        kind, raw = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            raise _told(raw)
        version = str(raw["metadata"]["resourceVersion"])
        return PodChange(version) if kind == "BOOKMARK" else PodChange(version, _pod(raw), gone=kind == "DELETED")


def _told(status: Mapping[str, Any]) -> TargetError:
    """An error that came in a stream."""
    code, what = status.get("code"), f"the watch ended: {status.get('reason') or 'no reason given'}"
    return (ExpiredError if code == _GONE else FaultError)(what, code=str(code or ""))


def _pod(raw: Mapping[str, Any]) -> Pod:
    meta, state = raw["metadata"], raw.get("status") or {}
    written = meta.get("annotations") or {}
    return Pod(
        namespace=meta["namespace"],
        name=meta["name"],
        address=state.get("podIP") or "",
        running=state.get("phase") == "Running" and "deletionTimestamp" not in meta,
        annotations={name.removeprefix(PREFIX): text for name, text in written.items() if name.startswith(PREFIX)},
    )
