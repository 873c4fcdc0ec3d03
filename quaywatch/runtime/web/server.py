"""The agent's own small web server: status page, health, readiness and the metrics' page.

Without a token it can be reached from its own machine only, which a browser there is, too: a stranger's page whose name
is made to lead to loopback could read everything. So it answers no such name (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from quaywatch.errors import ConfigError
from quaywatch.secret import Secret

from .history import Status
from .notices import LONGEST, Notices
from .status_page import CONTENT_POLICY, render

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_OPEN = frozenset({"/healthz", "/readyz"})
"""What an orchestrator asks without a token; neither says anything but yes or no."""
_LINGERS = 0.5
"""Seconds for which the rest of a request is awaited that was answered before it was whole."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the pages' content comes from.

    Args:
        status: everything that the status page shows.
        ready: whether every job had its first turn. An agent that waits for a lease is ready too.
        metrics: the scraped page's body and its content type, for an ``Accept`` header.
    """

    status: Callable[[], Status]
    ready: Callable[[], bool]
    metrics: Callable[[str], Awaitable[tuple[bytes, str]]]


class StatusServer:
    """Listens where it is told, on loopback unless told otherwise.

    Args:
        sources: what the pages show.
        host: address to listen on.
        port: 0 takes a free one.
        token: what a reader has to show, as ``Authorization: Bearer`` or ``?token=``; health and readiness stay open.
        hosts: names beside loopback's own by which the pages may be asked for where there is no token.
        notices: who takes what others tell, with a token of its own; without it there is nobody to tell.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        host: str = "127.0.0.1",
        port: int = 9464,
        token: Secret | None = None,
        hosts: Collection[str] = (),
        notices: Notices | None = None,
    ) -> None:
        self._sources = sources
        self._notices = notices
        self._host = host
        self._port = port
        self._token = token
        self._hosts = frozenset({"localhost", host, *hosts})
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on, once started."""
        if self._runner is None or not self._runner.addresses:
            return (self._host, self._port)
        host, port, *_ = self._runner.addresses[0]
        return (host, port)

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: when the address cannot be listened on.
        """
        # No access log: a query may hold the token.
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1, lingering_time=_LINGERS)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            remedy = "choose another address in telemetry.http.listen"
            raise ConfigError(f"cannot listen on {self._host}:{self._port}: {error.strerror}", remedy=remedy) from error
        self._runner = runner

    async def close(self) -> None:
        """Stop listening; answers under way get a second."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guarded], client_max_size=LONGEST)
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/status.json", self._json),
                web.get("/metrics", self._metrics),
                web.get("/healthz", self._health),
                web.get("/readyz", self._readiness),
            ]
        )
        if self._notices is not None:
            application.add_routes([web.post(path, handler) for path, handler in self._notices.handlers.items()])
        return application

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Ask for the token, and send the headers that keep a browser from doing more than showing the page."""
        answer: web.StreamResponse
        if request.path not in _OPEN and not self._is_meant(request):
            text = "nobody of this name is here; telemetry.http.hosts can name it\n"
            answer = web.Response(status=403, text=text)
        elif request.path not in _OPEN and not self._admits(request):
            answer = web.Response(status=401, text="a token is needed\n")
            answer.headers["WWW-Authenticate"] = "Bearer"
        else:
            answer = await _answered(request, handler)
        answer.headers.update(_HEADERS)
        return answer

    def _is_meant(self, request: web.Request) -> bool:
        """Whether it is asked for by a name of its own; who shows a token may call it as he likes."""
        told = self._notices is not None and request.path in self._notices.handlers
        name = request.headers.get("Host")
        if self._token is not None or told or name is None:  # every browser says a name
            return True
        host = _host_of(name)
        return host in self._hosts or _is_loopback(host)

    def _admits(self, request: web.Request) -> bool:
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        bearer = shown if scheme.lower() == "bearer" else ""
        if self._notices is not None and request.path in self._notices.handlers:
            return _shows(bearer, self._notices.token)
        return self._token is None or _shows(bearer or request.query.get("token", ""), self._token)

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=render(self._sources.status()), content_type="text/html")

    async def _json(self, _request: web.Request) -> web.Response:
        return web.json_response(asdict(self._sources.status()))

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = await self._sources.metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _health(self, _request: web.Request) -> web.Response:
        await asyncio.sleep(0)  # an answer at all means that the loop goes round
        return web.Response(text="ok\n")

    async def _readiness(self, _request: web.Request) -> web.Response:
        ready = self._sources.ready()
        return web.Response(text="ready\n" if ready else "starting\n", status=200 if ready else 503)


def _host_of(name: str) -> str:
    """The host of what a ``Host`` header says; empty when it makes no sense."""
    try:
        return (urlsplit(f"//{name}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _shows(shown: str, token: Secret) -> bool:
    wanted = _revealed(token)
    return bool(wanted) and hmac.compare_digest(shown.strip().encode(errors="replace"), wanted)


def _revealed(token: Secret) -> bytes:
    """The token; empty, and so shown by nobody, when its file cannot be read."""
    try:
        return token.reveal().encode()
    except (OSError, UnicodeDecodeError):
        return b""


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer; that there is no such page or method is one too."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        return web.Response(status=refusal.status, text=f"{refusal.reason}\n")
