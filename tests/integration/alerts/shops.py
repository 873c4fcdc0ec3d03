"""Three shops behind the edge, each with visitors, and two hosts with certificates: real servers that can fall ill."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import trustme
from aiohttp import web

from sandbox.process import LOOPBACK

BROKEN, SLOW, WELL = "acme.example", "west.example", "east.example"
"""The hosts of the shops, by what becomes of them."""
HOSTS = (BROKEN, SLOW, WELL)
_BETWEEN = 0.2
"""Seconds between two visits to each of them."""
_WAIT = 2.5
"""Seconds that the slow one then takes: more than is promised."""
_NAME, _ANOTHER = "localhost", "erp.example"
_LONG, _SOON = timedelta(days=90), timedelta(days=5)
T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """A server that speaks TLS, at ``host`` (name and port), and says nothing."""

    host: str
    context: ssl.SSLContext


@dataclass(frozen=True)
class Shops:
    """All of them, served at ``url``; ``trusted`` is the file of who signs the certificates of both sites."""

    url: str
    trusted: Path
    sites: tuple[Site, Site]
    _loop: asyncio.AbstractEventLoop
    _authority: trustme.CA
    _street: _Street

    @contextmanager
    def visited(self, edge: str) -> Iterator[None]:
        """Visitors come to each shop, through the edge at this address."""
        coming = asyncio.run_coroutine_threadsafe(_visits(edge), self._loop)
        try:
            yield
        finally:
            coming.cancel()

    @contextmanager
    def trouble(self) -> Iterator[None]:
        """One shop fails, another is slow, one certificate expires in five days, and the other is for another name."""
        soon, misnamed = self.sites
        self._street.statuses[BROKEN] = 500
        self._street.waits[SLOW] = _WAIT
        _certify(self._authority, soon, life=_SOON)
        _certify(self._authority, misnamed, name=_ANOTHER)
        try:
            yield
        finally:
            self._street.heal()
            for site in self.sites:
                _certify(self._authority, site)


@contextmanager
def opened(place: Path) -> Iterator[Shops]:
    """The shops and the sites, all well; ``place`` is for files."""
    with _looping() as loop:
        ends = AsyncExitStack()
        try:
            yield _done(loop, _open(ends, place, loop))
        finally:
            _done(loop, ends.aclose())


@dataclass
class _Street:
    """What each shop answers, by its host, and how many seconds that takes it: 200 and none, where nothing is said."""

    statuses: dict[str, int] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)

    def heal(self) -> None:
        """All is well."""
        self.statuses.clear()
        self.waits.clear()

    async def answer(self, request: web.Request) -> web.Response:
        """As the shop does that is asked."""
        await asyncio.sleep(self.waits.get(request.host, 0))
        return web.Response(status=self.statuses.get(request.host, 200))


async def _open(ends: AsyncExitStack, place: Path, loop: asyncio.AbstractEventLoop) -> Shops:
    authority, street = trustme.CA(), _Street()
    trusted = place / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    app = web.Application()
    app.router.add_get("/", street.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    ends.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, LOOPBACK, 0).start()
    url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    soon, misnamed = [await ends.enter_async_context(_site(authority)) for _ in range(2)]
    return Shops(url, trusted, (soon, misnamed), loop, authority, street)


@asynccontextmanager
async def _site(authority: trustme.CA) -> AsyncIterator[Site]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    async with await asyncio.start_server(_listen, LOOPBACK, 0, ssl=context) as server:
        site = Site(f"{_NAME}:{server.sockets[0].getsockname()[1]}", context)
        _certify(authority, site)
        yield site


async def _listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        await reader.read()
    writer.transport.abort()


def _certify(authority: trustme.CA, site: Site, *, name: str = _NAME, life: timedelta = _LONG) -> None:
    """From the next handshake on."""
    authority.issue_cert(name, not_after=datetime.now(UTC) + life).configure_cert(site.context)


async def _visits(edge: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as visitors:
        while True:
            for host in HOSTS:
                visitors.create_task(_visit(session, edge, host))
            await asyncio.sleep(_BETWEEN)


async def _visit(session: aiohttp.ClientSession, edge: str, host: str) -> None:
    with suppress(aiohttp.ClientError):
        async with session.get(edge, headers={"Host": host}) as said:
            await said.read()


@contextmanager
def _looping() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _done(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, loop).result()
