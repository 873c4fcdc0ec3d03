"""The HTTP driver on a real server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from aiohttp import web
from opentelemetry.sdk.trace import TracerProvider

from quaywatch import __version__
from quaywatch.drivers.http import HttpAddress, HttpServer
from quaywatch.errors import AuthError, ConfigError, ConnectError
from quaywatch.secret import Secret

Seen = list[web.Request]


async def answer(request: web.Request) -> web.Response:
    """What the last part of the path asks for."""
    request.app[SEEN].append(request)
    status = int(request.match_info["status"] or 200)
    headers = {"Location": "/elsewhere"} if status == 302 else None
    return web.Response(status=status, text=f"said {status}", headers=headers)


SEEN: web.AppKey[Seen] = web.AppKey("seen", list)


async def serving(tls: ssl.SSLContext | None = None) -> tuple[web.AppRunner, int, Seen]:
    """A web server, its port, and what it was asked."""
    app = web.Application()
    app[SEEN] = []
    app.router.add_route("*", "/{status:\\d*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    return runner, runner.addresses[0][1], app[SEEN]


@pytest_asyncio.fixture
async def seen_by() -> AsyncIterator[tuple[HttpServer, Seen]]:
    """The driver under test, and what its server was asked."""
    runner, port, seen = await serving()
    driver = HttpServer(HttpAddress(url=f"http://127.0.0.1:{port}/"))
    yield driver, seen
    await driver.close()
    await runner.cleanup()


async def test_an_answer_comes_whole_with_its_time(seen_by: tuple[HttpServer, Seen]) -> None:
    """Status, body, type and duration, whatever the status."""
    driver, _ = seen_by
    for status in (200, 404, 500):
        said = await driver.get(f"/{status}")
        assert (said.status, said.body, said.content_type) == (status, f"said {status}".encode(), "text/plain")
        assert 0 < said.seconds < 5


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["nothing", "an answer"])
async def test_a_port_without_tls_is_said_to_be_one(says: bytes) -> None:
    """A plain server ends the handshake with an answer or with nothing; the remedy names TLS in both cases."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(16)
        writer.write(says)
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    driver = HttpServer(HttpAddress(url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    with pytest.raises(ConnectError) as caught:
        await driver.get("/")
    assert "check that the port speaks TLS" in caught.value.remedy
    await driver.close()
    server.close()


async def test_a_redirect_is_an_answer(seen_by: tuple[HttpServer, Seen]) -> None:
    """A target is what its URL says: redirects are not followed."""
    driver, seen = seen_by
    assert (await driver.get("/302")).status == 302
    assert len(seen) == 1


async def test_a_ping_is_any_answer_but_a_gateways(seen_by: tuple[HttpServer, Seen]) -> None:
    """Pinging asks for the root only."""
    driver, seen = seen_by
    await driver.ping()
    assert seen[0].path == "/"


async def test_requests_say_who_asks_and_within_which_trace(seen_by: tuple[HttpServer, Seen]) -> None:
    """The server can join its spans to ours; without a span nothing is made up."""
    driver, seen = seen_by
    await driver.get("/200")
    with TracerProvider().get_tracer("test").start_as_current_span("step") as span:
        await driver.post("/200", b"x", {"Content-Type": "text/plain"})
        trace = f"{span.get_span_context().trace_id:032x}"
    alone, traced = seen
    assert alone.headers["User-Agent"] == f"Quaywatch/{__version__}"
    assert "traceparent" not in alone.headers
    assert trace in traced.headers["traceparent"]
    assert traced.headers["Content-Type"] == "text/plain"


async def test_the_targets_own_headers_go_with_every_request(tmp_path: Path) -> None:
    """A token from a file is read anew each time; what a request says itself wins."""
    runner, port, seen = await serving()
    token = tmp_path / "token"
    address = HttpAddress(url=f"http://127.0.0.1:{port}", headers={"X-Key": Secret.of_file(token)})
    driver = HttpServer(address)
    for text in ("one", "two"):
        token.write_text(f"{text}\n")
        await driver.get("/200")
    await driver.post("/200", b"", {"X-Key": "three"})
    token.unlink()
    with pytest.raises(AuthError, match="the file with the password cannot be read"):
        await driver.get("/200")
    assert [request.headers["X-Key"] for request in seen] == ["one", "two", "three"]
    await driver.close()
    await runner.cleanup()


async def test_tls_is_verified(tmp_path: Path) -> None:
    """A certificate is taken when its authority is named, and refused otherwise.

    An authority that takes another's place in the file counts from the next request on.
    """
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    runner, port, _ = await serving(tls)
    url = f"https://127.0.0.1:{port}"
    with pytest.raises(ConnectError, match="certificate is not trusted"):
        await pinged(HttpAddress(url=url))
    driver = HttpServer(HttpAddress(url=url, ca_file=str(tmp_path / "ca.pem")))
    await driver.ping()
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    with pytest.raises(ConnectError, match="certificate is not trusted"):
        await driver.ping()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    await driver.ping()
    await driver.close()
    await runner.cleanup()


async def test_an_unreadable_authority_is_a_config_error(tmp_path: Path) -> None:
    """The file is named."""
    with pytest.raises(ConfigError, match=r"none\.pem"):
        await pinged(HttpAddress(url="https://127.0.0.1:1", ca_file=str(tmp_path / "none.pem")))


@pytest.mark.parametrize("url", ["http://", "no url", "ftp://127.0.0.1"])
async def test_a_url_that_is_none_is_said(url: str) -> None:
    """Nothing but an error of ours comes of it."""
    with pytest.raises(ConnectError):
        await pinged(HttpAddress(url=url))


async def test_an_unknown_name_is_said() -> None:
    """A name that cannot resolve is told from a server that is down."""
    with pytest.raises(ConnectError, match="name is unknown"):
        await pinged(HttpAddress(url="http://nowhere.invalid", answer_within=30.0))


async def pinged(address: HttpAddress) -> None:
    """One ping of a driver that is closed after it."""
    driver = HttpServer(address)
    try:
        await driver.ping()
    finally:
        await driver.close()
