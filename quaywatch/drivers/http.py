"""HTTP: one client for each target, with a deadline on each exchange and a bound on each answer.

Requests say who asks and bear the ``traceparent`` of the current span. Redirects are not followed: a target is what its
URL says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

import aiohttp
from opentelemetry.propagate import inject

from quaywatch import __version__
from quaywatch.contract import Answer, Certificate, Visit
from quaywatch.errors import ConnectError, ParseError, TargetError
from quaywatch.secret import Secret

from .deadline import deadline
from .http_visits import Visiting, visit
from .network import connect_error, revealed
from .tls import shown_certificate
from .trust import Trust

USER_AGENT: Final = f"Quaywatch/{__version__}"
MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an answer past which it is not read on."""
GATEWAY_STATUSES: Final = frozenset({502, 503, 504})
"""What a proxy says when the server behind it does not answer."""
_CLOSE_WITHIN: Final = 0.5
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAddress:
    """Where an HTTP target is.

    Args:
        url: scheme, host, port and the path that goes before every other.
        ca_file: certificates that are trusted instead of the system's.
        answer_within: seconds for one exchange, connecting included.
        cookies: whether to send back the cookies that the server sets, as a visitor's browser does.
        headers: sent with each request, to this server only.
    """

    url: str
    ca_file: str | None = None
    answer_within: float = 5.0
    cookies: bool = False
    headers: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer; ``seconds`` from the request to its last byte."""

    status: int
    body: bytes
    seconds: float
    content_type: str


class Exchanges(Protocol):
    """What protocols over HTTP need of a server."""

    async def get(self, path: str) -> HttpAnswer:
        """The answer to a GET, whatever its status."""
        ...

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to a POST, whatever its status."""
        ...

    async def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to any request, whatever its status."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class HttpServer:
    """A server that speaks HTTP."""

    def __init__(self, address: HttpAddress) -> None:
        self._address = address
        self._url = address.url.rstrip("/")
        self._trust = Trust(address.ca_file)
        self._session: aiohttp.ClientSession | None = None
        self._ended = False

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return self._url

    async def ping(self) -> None:
        """One answer, whatever it says, unless a proxy says that nobody is behind it.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        refuse_gateway(await self.get("/"), self._url)

    async def get(self, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> HttpAnswer:
        """The answer to a GET, whatever its status.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        return await self._exchange("GET", path, None, headers)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to a POST, whatever its status.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        return await self._exchange("POST", path, body, headers)

    async def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to any request, whatever its status.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        return await self._exchange(method, path, body, headers)

    async def put(self, path: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to a PUT, whatever its status.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        return await self._exchange("PUT", path, body, headers)

    async def certificate(self, host: str, port: int) -> Certificate:
        """The certificate that a client gets who asks for ``host``, by the authorities that this target trusts.

        Raises:
            TargetError: within ``answer_within`` seconds, when there is no handshake.
        """
        return await shown_certificate(host, port, self._trust.context(), self._address.answer_within)

    async def visit(self, path: str, *, method: str = "GET", redirects: int = 0) -> Visit:
        """A visitor's request over a connection of its own; a failed one is a result.

        It is over within ``answer_within`` seconds.

        Raises:
            AuthError: when the file of a header cannot be read.
            ConfigError: when the file of authorities cannot.
            DeadlineError: when reading them took all the time.
        """
        how = Visiting(
            method=method,
            within=self._address.answer_within,
            redirects=redirects,
            headers={"User-Agent": USER_AGENT},
            secret_headers=self._headers(),
            ca_file=self._address.ca_file,
        )
        return await visit(self._url + path, how)

    async def close(self) -> None:
        """Let go of every connection; never raises, and is done after half a second at most."""
        self._ended = True
        if self._session is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await self._session.close()

    async def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HttpAnswer:
        session, url = self._opened(), self._url + path
        traced = {**self._headers(), **headers}
        inject(traced)
        tls = True if self._address.ca_file is None else self._trust.context()
        with _http_errors(self._url):
            async with deadline(self._address.answer_within, f"{self._url}: {method} {path}"):
                started = time.monotonic()
                async with session.request(
                    method, url, data=body, headers=traced, allow_redirects=False, ssl=tls
                ) as response:
                    content = await _read(response, self._url)
                    return HttpAnswer(response.status, content, time.monotonic() - started, response.content_type)

    def _headers(self) -> dict[str, str]:
        return {name: revealed(secret) for name, secret in self._address.headers.items()}

    def _opened(self) -> aiohttp.ClientSession:
        if self._ended:
            raise ConnectError("this driver was closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A kept connection that the server ends at the wrong moment would read as an outage.
                connector=aiohttp.TCPConnector(force_close=True),
                cookie_jar=aiohttp.CookieJar(unsafe=True) if self._address.cookies else aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                # The bound is ours: one deadline around each exchange.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            )
        return self._session


def refuse_gateway(answer: Answer, where: str) -> None:
    """Nothing, unless a proxy says that the server behind it does not answer.

    Raises:
        ConnectError: when it does.
    """
    if answer.status in GATEWAY_STATUSES:
        code = str(answer.status)
        raise ConnectError(f"{where}: the proxy in front says {code}", remedy="look at the server behind it", code=code)


async def _read(response: aiohttp.ClientResponse, where: str) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > MAX_ANSWER:
            response.close()
            raise ParseError(f"{where}: the answer is longer than {MAX_ANSWER} bytes")
    return bytes(content)


@contextmanager
def _http_errors(where: str) -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientError as error:
        raise _client_error(error, where) from error
    except OSError as error:
        raise connect_error(error, where) from error


def _client_error(error: aiohttp.ClientError, where: str) -> TargetError:
    cause = _network_cause(error)
    never_connected = isinstance(error, aiohttp.ClientConnectorError)
    if never_connected and isinstance(cause, ConnectionResetError) and where.startswith("https:"):
        what = f"{where}: the connection was cut before TLS was agreed on"
        return ConnectError(what, remedy="check that the port speaks TLS: without it the url begins with http://")
    if cause is not None:
        return connect_error(cause, where)
    match error:
        case aiohttp.InvalidURL():
            return ConnectError(f"{where}: this is no URL", remedy="check the url of this target")
        case aiohttp.ClientResponseError():
            return ParseError(f"{where}: the answer is not HTTP", remedy="check the url of this target")
    what = f"{where}: the connection was cut before the answer was whole"
    return ConnectError(what, remedy="the server's worker died, or ran past its time limit")


def _network_cause(error: aiohttp.ClientError) -> OSError | None:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error if isinstance(error.certificate_error, OSError) else None
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error
    return error if isinstance(error, OSError) else None
