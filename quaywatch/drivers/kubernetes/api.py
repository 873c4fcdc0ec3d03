"""Requests to an API server as a pod's service account.

The token is read anew for each request, since the kubelet renews it, and so is the namespace where none is given. The
certificates that are trusted are read anew when their file has changed.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from quaywatch.drivers.deadline import deadline
from quaywatch.drivers.http import USER_AGENT
from quaywatch.drivers.network import connect_error
from quaywatch.drivers.trust import Trust
from quaywatch.errors import AuthError, ConnectError, FaultError, ParseError, PermissionDeniedError

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CLOSE_WITHIN: Final = 0.5
_LINE_AT_MOST: Final = 4_194_304
"""Bytes of one line of a stream: twice what the API server takes as one object."""
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 2))
"""Seconds and times after which the system finds out that the other side of a silent line has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAddress:
    """Where an API server is; the defaults are what a pod finds in its cluster.

    Args:
        url: its address.
        token_file: holds the bearer token.
        ca_file: the certificates that are trusted.
        answer_within: seconds for one exchange.
    """

    url: str = "https://kubernetes.default.svc"
    token_file: str = str(_ACCOUNT / "token")
    ca_file: str = str(_ACCOUNT / "ca.crt")
    answer_within: float = 5.0


@dataclass(frozen=True, slots=True)
class Needed:
    """What a request does, for its errors: ``what`` it asks for, and the ``rights`` that it takes."""

    what: str
    rights: str


class ApiServer:
    """Sends requests; every call raises `TargetError` when the API server does not answer."""

    def __init__(self, address: ApiAddress) -> None:
        self._address = address
        self._session: aiohttp.ClientSession | None = None
        self._trust = Trust(address.ca_file)

    async def exchange(
        self, method: str, path: str, raw: Mapping[str, Any] | None, needed: Needed
    ) -> tuple[int, bytes]:
        """Status and content of an answer."""
        url = self._address.url
        async with deadline(self._address.answer_within, f"{url}: {method} of {needed.what}"):
            with self._cuts():
                headers = self._authorization()
                async with self._opened().request(
                    method, url + path, json=raw, headers=headers, ssl=self._tls()
                ) as response:
                    return response.status, await response.read()

    @asynccontextmanager
    async def streaming(self, path: str, needed: Needed) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Status and lines of an answer that goes on; only its head is waited for no longer than ``answer_within``."""
        url = self._address.url
        with self._cuts():
            async with deadline(self._address.answer_within, f"{url}: GET of {needed.what}"):
                response = await self._opened().get(
                    url + path, headers=self._authorization(), ssl=self._tls(), read_bufsize=_LINE_AT_MOST // 2
                )
            async with response:
                yield response.status, _lines(response.content)

    def understood(self, method: str, status: int, body: bytes, kind: str, needed: Needed) -> dict[str, Any]:
        """The object of this kind that an answer holds.

        Raises:
            TargetError: when it holds none.
        """
        if status not in {200, 201}:
            raise self.refused(method, status, needed)
        raw = self.decoded(body)
        if raw.get("kind") != kind:
            raise ParseError(f"{self._address.url}: the answer is no {kind}")
        return raw

    def decoded(self, text: bytes) -> dict[str, Any]:
        """An object that was sent as JSON.

        Raises:
            ParseError: when it is none.
        """
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ParseError(f"{self._address.url}: the answer is no JSON") from error
        if not isinstance(raw, dict):
            raise ParseError(f"{self._address.url}: the answer is no object")
        return raw

    def refused(self, method: str, status: int, needed: Needed) -> AuthError | PermissionDeniedError | FaultError:
        """The error that a status is."""
        what = f"{self._address.url}: {method} of {needed.what}: status {status}"
        match status:
            case 401:
                return AuthError(what, remedy="check the token of the service account", code=str(status))
            case 403:
                remedy = f"give the service account a role with {needed.rights}"
                return PermissionDeniedError(what, remedy=remedy, code=str(status))
        return FaultError(what, code=str(status))

    def own_namespace(self) -> str:
        """The namespace of the pod that this process runs in.

        Raises:
            AuthError: when it runs in none.
        """
        return _account(str(_ACCOUNT / "namespace"))

    async def close(self) -> None:
        """Let go of every connection; never raises, and is done after half a second at most."""
        if self._session is not None:
            session, self._session = self._session, None
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await session.close()

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {_account(self._address.token_file)}"}

    @contextmanager
    def _cuts(self) -> Iterator[None]:
        """What the network says, in words of ours."""
        try:
            yield
        except aiohttp.ClientConnectorError as error:
            raise connect_error(error.os_error, self._address.url) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectError(f"{self._address.url}: the connection was cut") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A kept connection that the server ends at the wrong moment would read as an outage.
                connector=aiohttp.TCPConnector(force_close=True, socket_factory=_kept_alive),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            )
        return self._session

    def _tls(self) -> ssl.SSLContext | bool:
        return self._trust.context() if self._address.url.startswith("https:") else False


def _account(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AuthError(f"{path} cannot be read", remedy="let the pod mount its service account's token") from error


def _kept_alive(info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose other side is asked for a sign of life: a stream may be silent for long."""
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, amount in _KEEPALIVE:
        made.setsockopt(socket.IPPROTO_TCP, option, amount)
    return made


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    while line := await content.readline():
        yield line
