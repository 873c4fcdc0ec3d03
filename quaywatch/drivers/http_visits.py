"""One whole visit to an HTTP server: a connection of its own, each phase timed, failures told apart.

What a visitor finds is what is measured, so a failed visit is a result and no error. Nothing is kept between two
visits: no connection, no name, no TLS session.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from yarl import URL

from quaywatch.contract import Phase, Trouble, Visit
from quaywatch.errors import ConfigError

from .deadline import deadline

_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_CHUNK: Final = 64 * 1024
_SCHEMES: Final = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Visiting:
    """How a visit is made.

    Args:
        method: GET, or HEAD for no content.
        within: seconds for all of it.
        redirects: how many are followed; 0 takes the first answer as it is.
        body: after how many bytes of the content reading ends.
        headers: sent along.
        secret_headers: sent along to the first url's own origin only.
        ca_file: authorities to trust instead of the system's.
    """

    method: str = "GET"
    within: float = 5.0
    redirects: int = 0
    body: int = 1024 * 1024
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict)
    ca_file: str | None = None


async def visit(url: str, how: Visiting) -> Visit:
    """The visit to ``url``, over within ``how.within`` seconds, whatever the other side does.

    Raises:
        ConfigError: when the file of authorities cannot be read.
        DeadlineError: when reading it took all the time.
    """
    watch = _Watch()
    end = time.monotonic() + how.within
    # Reading the authorities takes longer than many a visit, and is no part of what is measured.
    async with deadline(how.within, "reading the authorities that are trusted"):
        tls = await asyncio.to_thread(_tls, how.ca_file, watch)
    began = time.monotonic()
    try:
        async with asyncio.timeout(end - began):
            await _go(URL(url), how, tls, watch)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        watch.trouble = _trouble(error, watch)
    return Visit(
        seconds=time.monotonic() - began,
        phases=watch.phases,
        redirects=watch.redirects,
        status=watch.status,
        version=watch.version,
        body=bytes(watch.body),
        trouble=watch.trouble,
    )


class _Watch:
    """What is seen of a visit while it goes on."""

    def __init__(self) -> None:
        self.phases: dict[Phase, float] = {}
        self.redirects = 0
        self.status = 0
        self.version = 0.0
        self.body = bytearray()
        self.trouble: Trouble | None = None
        self.shaking_hands = False
        self._since = 0.0

    def begin(self) -> None:
        """A phase begins."""
        self._since = time.monotonic()

    def end(self, phase: Phase) -> None:
        """A phase is over, and the next one begins."""
        now = time.monotonic()
        self.phases[phase] = self.phases.get(phase, 0.0) + now - self._since
        self._since = now

    def trace(self) -> aiohttp.TraceConfig:
        """Tells this watch of a connection: its name found, and itself ready, TLS included."""
        config = aiohttp.TraceConfig()
        config.on_connection_create_start.append(self._connecting)
        config.on_dns_resolvehost_end.append(self._resolved)
        config.on_connection_create_end.append(self._connected)
        return config

    async def _connecting(self, _session: object, _context: SimpleNamespace, _facts: object) -> None:
        self.shaking_hands = False
        self.begin()

    async def _resolved(self, _session: object, _context: SimpleNamespace, _facts: object) -> None:
        self.end(Phase.DNS)

    async def _connected(self, _session: object, _context: SimpleNamespace, _facts: object) -> None:
        self.end(Phase.TLS if self.shaking_hands else Phase.CONNECT)
        self.shaking_hands = False


class _WatchedTls(ssl.SSLContext):
    """A client's TLS that tells when its handshake begins, which is when the server took the connection."""

    watch: _Watch

    def wrap_bio(self, *arguments: Any, **keywords: Any) -> ssl.SSLObject:
        """As the event loop asks for it, once for each handshake."""
        self.watch.end(Phase.CONNECT)
        self.watch.shaking_hands = True
        return super().wrap_bio(*arguments, **keywords)


def _tls(ca_file: str | None, watch: _Watch) -> ssl.SSLContext:
    context = _WatchedTls(ssl.PROTOCOL_TLS_CLIENT)
    context.watch = watch
    if ca_file is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:
        raise ConfigError(f"{ca_file}: no certificates can be read from it, a PEM file is allowed") from error
    return context


async def _go(url: URL, how: Visiting, tls: ssl.SSLContext, watch: _Watch) -> None:
    connector = aiohttp.TCPConnector(ssl=tls, force_close=True, use_dns_cache=False)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # some pages lead in circles without their cookies
        headers={"Accept-Encoding": "identity"},
        trace_configs=[watch.trace()],
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the bound is the caller's, around all of it
    ) as session:
        home, place = url.origin(), await _hop(session, url, how, {**how.headers, **how.secret_headers}, watch)
        while place is not None:
            if watch.redirects >= how.redirects or place.scheme not in _SCHEMES:
                watch.trouble = Trouble.REDIRECT
                return
            watch.redirects += 1
            secret = how.secret_headers if place.origin() == home else {}
            place = await _hop(session, place, how, {**how.headers, **secret}, watch)


async def _hop(
    session: aiohttp.ClientSession, url: URL, how: Visiting, headers: Mapping[str, str], watch: _Watch
) -> URL | None:
    """One request; where its answer leads on to, if it does and redirects are followed."""
    watch.begin()
    async with session.request(how.method, url, headers=headers, allow_redirects=False) as answer:
        watch.end(Phase.PROCESSING)
        watch.status = answer.status
        watch.version = float(f"{answer.version.major}.{answer.version.minor}") if answer.version else 0.0
        await _read(answer, how.body, watch)
        watch.end(Phase.TRANSFER)
        leads_on = how.redirects and answer.status in _MOVED and "Location" in answer.headers
        return url.join(URL(answer.headers["Location"])) if leads_on else None


async def _read(answer: aiohttp.ClientResponse, most: int, watch: _Watch) -> None:
    watch.body.clear()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        watch.body += chunk
        if len(watch.body) >= most:
            del watch.body[most:]
            answer.close()
            return


def _trouble(error: Exception, watch: _Watch) -> Trouble:
    match error:
        case TimeoutError() if not isinstance(error, aiohttp.ClientError):
            return Trouble.TIMEOUT
        case aiohttp.ClientConnectorDNSError():
            return Trouble.DNS
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Trouble.TLS
        case aiohttp.ClientConnectorError():
            return Trouble.TLS if watch.shaking_hands else Trouble.CONNECT
        case aiohttp.InvalidURL() | ValueError():
            return Trouble.REDIRECT if watch.status else Trouble.DNS
    return Trouble.PROTOCOL
