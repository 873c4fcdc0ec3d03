"""A Lease object of Kubernetes (``coordination.k8s.io/v1``) over plain REST.

Needed are ``get``, ``create`` and ``update`` on ``leases``. The token is read anew for each request, since the kubelet
renews it, and so is the namespace where none is given.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from quaywatch.errors import AuthError, ConfigError, ConnectError, FaultError, ParseError, PermissionDeniedError

from .deadline import deadline
from .http import USER_AGENT
from .network import connect_error

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_NOT_FOUND, _CONFLICT = 404, 409
_FINE: Final = frozenset({200, 201})
_CLOSE_WITHIN: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAddress:
    """Where a Lease object is; the defaults are what a pod finds in its cluster.

    Args:
        name: the object's.
        namespace: the object's; the pod's own if None.
        url: the API server.
        token_file: holds the bearer token.
        ca_file: the certificates that are trusted.
        answer_within: seconds for one exchange.
    """

    name: str
    namespace: str | None = None
    url: str = "https://kubernetes.default.svc"
    token_file: str = str(_ACCOUNT / "token")
    ca_file: str = str(_ACCOUNT / "ca.crt")
    answer_within: float = 5.0


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
    def _spec(self) -> Mapping[str, Any]:
        return self.raw.get("spec") or {}

    def changed(self, **spec: Any) -> LeaseObject:
        """The same object with other fields in its ``spec``; labels and whatever else others put there stays."""
        raw = deepcopy(dict(self.raw))
        raw["spec"] = {**self._spec, **spec}
        return LeaseObject(raw)


class KubernetesLease:
    """Reads and writes one Lease object; every call raises `TargetError` when the API server does not do it."""

    def __init__(self, address: LeaseAddress) -> None:
        self._address = address
        self._session: aiohttp.ClientSession | None = None

    async def read(self) -> LeaseObject | None:
        """The object; None when there is none."""
        return await self._exchange("GET", f"/{self._address.name}", None)

    async def create(self, **spec: Any) -> LeaseObject | None:
        """A new object; None when somebody else made it meanwhile."""
        raw = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._address.name, "namespace": self._namespace()},
            "spec": spec,
        }
        return await self._exchange("POST", "", raw)

    async def update(self, changed: LeaseObject) -> LeaseObject | None:
        """The object as it stands after the update; None when it was changed by somebody else since it was read."""
        return await self._exchange("PUT", f"/{self._address.name}", changed.raw)

    async def close(self) -> None:
        """Let go of every connection; never raises, and is done after half a second at most."""
        if self._session is not None:
            session, self._session = self._session, None
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await session.close()

    async def _exchange(self, method: str, path: str, raw: Mapping[str, Any] | None) -> LeaseObject | None:
        where = self._address.url
        url = f"{where}/apis/coordination.k8s.io/v1/namespaces/{self._namespace()}/leases{path}"
        headers = {"Authorization": f"Bearer {self._account(self._address.token_file)}"}
        async with deadline(self._address.answer_within, f"{where}: {method} of the lease"):
            try:
                async with self._opened().request(method, url, json=raw, headers=headers) as response:
                    return self._understood(method, response.status, await response.read())
            except aiohttp.ClientConnectorError as error:
                raise connect_error(error.os_error, where) from error
            except (aiohttp.ClientError, OSError) as error:
                raise ConnectError(f"{where}: the connection was cut") from error

    def _understood(self, method: str, status: int, body: bytes) -> LeaseObject | None:
        if status == _CONFLICT or (status == _NOT_FOUND and method != "POST"):
            return None
        if status not in _FINE:
            raise self._refused(method, status)
        try:
            raw = json.loads(body)
        except ValueError as error:
            raise ParseError(f"{self._address.url}: the answer is no JSON") from error
        if not isinstance(raw, dict) or raw.get("kind") != "Lease":
            raise ParseError(f"{self._address.url}: the answer is no Lease")
        return LeaseObject(raw)

    def _refused(self, method: str, status: int) -> AuthError | PermissionDeniedError | FaultError:
        what = f"{self._address.url}: {method} of the lease {self._address.name}: status {status}"
        match status:
            case 401:
                return AuthError(what, remedy="check the token of the service account", code=str(status))
            case 403:
                remedy = "give the service account a role with get, create and update on leases of coordination.k8s.io"
                return PermissionDeniedError(what, remedy=remedy, code=str(status))
        return FaultError(what, code=str(status))

    def _namespace(self) -> str:
        return self._address.namespace or self._account(str(_ACCOUNT / "namespace"))

    def _account(self, path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AuthError(f"{path} cannot be read", remedy="let the pod mount its service account's token") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A kept connection that the server ends at the wrong moment would read as an outage.
                connector=aiohttp.TCPConnector(ssl=self._tls(), force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            )
        return self._session

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._address.url.startswith("https:"):
            return False
        try:
            return ssl.create_default_context(cafile=self._address.ca_file)
        except OSError as error:
            what = f"{self._address.ca_file}: no certificates can be read from it, a PEM file is allowed"
            raise ConfigError(what) from error
