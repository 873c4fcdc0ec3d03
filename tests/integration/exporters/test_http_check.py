"""Addresses as their clients find them, from real servers, good and bad."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from exporters.http_check import EXPORTER, Method, Options
from quaywatch.drivers.http import HttpAddress, HttpServer
from quaywatch.secret import Secret
from sandbox.process import free_port

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]
Check = Callable[..., Awaitable[Reading]]

PAUSE = 0.4
PATIENCE = 30.0
"""Seconds for an answer where a test does not wait for the end of them; a resolver may take as long for a name."""


class Site:
    """A web server of many faults, which remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.over = asyncio.Event()
        self.base = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """What the first part of the path asks for."""
        self.asked.append(request)
        match request.match_info["what"].split("/"):
            case ["status", status]:
                return web.Response(status=int(status), text=f"said {status}")
            case ["to", *rest]:
                return web.Response(status=302, headers={"Location": "/".join(["", *rest])})
            case ["away"]:
                return web.Response(status=307, headers={"Location": request.query["url"]})
            case ["slow"]:
                await asyncio.sleep(PAUSE)
                return web.Response(text="at last")
            case ["silent"]:
                await self.over.wait()
            case ["trickle"]:
                return await trickle(request, "2")
            case ["cut"]:
                return await trickle(request, "1000")
        raise web.HTTPNotFound


async def trickle(request: web.Request, length: str) -> web.StreamResponse:
    """Two bytes with a pause between, of as many as are promised."""
    response = web.StreamResponse(headers={"Content-Length": length})
    await response.prepare(request)
    await response.write(b"a")
    await asyncio.sleep(PAUSE)
    await response.write(b"b")
    if request.transport is not None and length != "2":
        request.transport.abort()
    return response


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """A site of its own."""
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{what:.*}", site.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    site.base = f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}"
    yield site
    site.over.set()
    await runner.cleanup()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A site without TLS."""
    async with serving() as one:
        yield one


@pytest.fixture
def check(read: Read) -> Check:
    """One reading of a url with these options."""

    async def once(url: str, address: dict[str, Any] | None = None, **options: Any) -> Reading:
        driver = HttpServer(HttpAddress(url=url, **{"answer_within": PATIENCE, **(address or {})}))
        found = await read(EXPORTER, driver, Options(**options))
        await driver.close()
        return found

    return once


def why(found: Reading) -> list[str]:
    """The reasons of a reading; it succeeded if and only if there are none."""
    reasons = [key[1] for key, value in found.items() if key[0] == "quaywatch.http.failed" and value]
    assert found["quaywatch.http.success",] == int(not reasons)
    return reasons


def phases(found: Reading) -> dict[str, float]:
    """The phases that were gone through."""
    return {key[1]: value for key, value in found.items() if key[0] == "quaywatch.http.phase.duration"}


async def test_an_answer_as_expected(site: Site, check: Check) -> None:
    """Status, class, version, size and every phase that plain HTTP has; the rest is 0."""
    found = await check(site.base, path="/status/204", expect_status=(204,))
    assert why(found) == []
    assert {key for key, value in found.items() if value == 1 and len(key) > 1} == {
        ("quaywatch.http.status_class", "2xx")
    }
    assert found["quaywatch.http.status",] == 204
    assert found["quaywatch.http.version",] == 1.1
    assert found["quaywatch.http.body.size",] == 0
    assert list(phases(found)) == ["dns", "connect", "processing", "transfer"]
    assert sum(phases(found).values()) <= found["quaywatch.http.duration",] < PATIENCE


async def test_an_address_takes_no_looking_up(site: Site, check: Check) -> None:
    """That phase is absent, not 0."""
    found = await check(site.base.replace("localhost", "127.0.0.1"), path="/status/200")
    assert "dns" not in phases(found)


@pytest.mark.parametrize(
    ("path", "options", "reasons"),
    [
        ("/status/404", {}, ["status"]),
        ("/status/404", {"expect_status": ("2xx", "4xx")}, []),
        ("/status/503", {"expect_status": (503,)}, []),
        ("/status/200", {"body_contains": "said 200"}, []),
        ("/status/200", {"body_contains": "said 300"}, ["body"]),
        ("/status/200", {"body_matches": r"said \d+$"}, []),
        ("/status/200", {"body_matches": r"^\d+$"}, ["body"]),
        ("/status/200", {"method": Method.HEAD}, []),
        ("/to/to/status/200", {}, []),
        ("/to/status/500", {}, ["status"]),
        ("/to/status/200", {"redirects": 0, "expect_status": ("302",)}, []),
        ("/to/to/status/200", {"redirects": 1}, ["redirect"]),
        ("/away?url=ftp://localhost/", {}, ["redirect"]),
        ("/away?url=http://:0/", {}, ["redirect"]),
        ("/cut", {}, ["protocol"]),
    ],
)
async def test_expectations(path: str, options: dict[str, Any], reasons: list[str], site: Site, check: Check) -> None:
    """What is expected decides, after so many redirects as are followed."""
    found = await check(site.base, path=path, **options)
    assert why(found) == reasons
    assert found["quaywatch.http.redirects",] == min(path.count("/to"), options.get("redirects", 5))


async def test_time_goes_where_it_goes(site: Site, check: Check) -> None:
    """A slow server is slow in processing, a slow line in transfer."""
    slow, trickling = await check(site.base, path="/slow"), await check(site.base, path="/trickle")
    assert phases(slow)["processing"] > PAUSE / 2 > phases(slow)["transfer"]
    assert phases(trickling)["transfer"] > PAUSE / 2 > phases(trickling)["processing"]


async def test_a_timeout_ends_in_time_and_keeps_what_was_measured(site: Site, check: Check) -> None:
    """The connection was made; the phase in which it hung is absent, and there is no status."""
    found = await check(site.base, {"answer_within": 1.5}, path="/silent")
    assert why(found) == ["timeout"]
    assert list(phases(found)) == ["dns", "connect"]
    assert ("quaywatch.http.status",) not in found
    assert 0.5 < found["quaywatch.http.duration",] < PATIENCE / 2


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://127.0.0.1:{port}", "connect"), ("http://no-such-host.invalid", "dns")],
)
async def test_nobody_there(url: str, reason: str, check: Check) -> None:
    """A closed port and a name that leads nowhere are told apart."""
    found = await check(url.format(port=free_port()))
    assert why(found) == [reason]
    assert "processing" not in phases(found)


@pytest.mark.parametrize(
    ("greeting", "scheme", "reason"),
    [(b"", "http", "protocol"), (b"SSH-2.0-hello\r\n", "http", "protocol"), (b"hello\r\n", "https", "tls")],
)
async def test_something_else_there(greeting: bytes, scheme: str, reason: str, check: Check) -> None:
    """Who does not speak HTTP, or not TLS, is told from who is not there."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        with suppress(OSError):
            writer.write(greeting)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        found = await check(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert why(found) == [reason]


async def test_a_black_hole_before_the_handshake(check: Check) -> None:
    """Who takes the connection and says nothing costs no more than the time that was given."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()
        writer.transport.abort()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        found = await check(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", {"answer_within": 1.5})
    assert why(found) == ["timeout"]
    assert list(phases(found)) == ["connect"]
    assert 0.5 < found["quaywatch.http.duration",] < PATIENCE / 2


async def test_tls_is_a_phase_and_trust_is_asked_for(check: Check, tmp_path: Path) -> None:
    """With its authority the handshake is timed by itself; without, it is the reason."""
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    async with serving(context) as secure:
        trusting = await check(secure.base, {"ca_file": str(file)}, path="/to/status/200")
        stranger = await check(secure.base, path="/status/200")
    assert why(trusting) == []
    assert list(phases(trusting)) == ["dns", "connect", "tls", "processing", "transfer"]
    assert min(phases(trusting).values()) > 0
    assert why(stranger) == ["tls"]
    assert list(phases(stranger)) == ["dns", "connect"]


async def test_secret_headers_stay_at_home(site: Site, check: Check) -> None:
    """The target's own headers go with a redirect to itself, and never to somebody else."""
    async with serving() as other:
        for path in ("/to/status/200", f"/away?url={other.base}/status/200"):
            found = await check(site.base, {"headers": {"X-Key": Secret("s3cret")}}, path=path)
            assert why(found) == []
    assert [request.headers.get("X-Key") for request in site.asked] == ["s3cret"] * 3
    assert [request.headers.get("X-Key") for request in other.asked] == [None]


@pytest.mark.parametrize(
    "wrong", [{"path": "health"}, {"expect_status": ()}, {"expect_status": ("ok",)}, {"body_matches": "("}]
)
def test_options_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    """With the option's name in front, so that it is shown at its line."""
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: .* is expected$"):
        Options(**wrong)
