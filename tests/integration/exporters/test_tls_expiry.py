"""Row 35: certificates as clients get them, from real TLS servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from exporters.tls_expiry import EXPORTER, Options
from quaywatch.drivers.http import HttpAddress, HttpServer
from sandbox.process import free_port

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

HOST = "localhost"
LIFE = timedelta(days=10)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs what is to be trusted."""
    return trustme.CA()


@pytest.fixture
async def target(authority: trustme.CA, tmp_path: Path) -> AsyncIterator[HttpServer]:
    """A target that trusts the authority and has no TLS of its own."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    driver = HttpServer(HttpAddress(url="http://127.0.0.1:1", ca_file=str(file), answer_within=4.0))
    yield driver
    await driver.close()


@asynccontextmanager
async def serving(context: ssl.SSLContext | None, greeting: bytes = b"") -> AsyncIterator[str]:
    """A server that says its greeting and then nothing, as ``host:port``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"{HOST}:{server.sockets[0].getsockname()[1]}"


def certified(authority: trustme.CA, name: str = HOST, life: timedelta = LIFE) -> ssl.SSLContext:
    """What a server needs to speak TLS under a name, for so long."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name, not_after=datetime.now(UTC) + life).configure_cert(context)
    return context


async def test_a_good_certificate(target: HttpServer, authority: trustme.CA, read: Read) -> None:
    """It has its days left, and verifies."""
    async with serving(certified(authority)) as site:
        found = await read(EXPORTER, target, Options(hosts=(site,)))
    assert found == {
        ("tls.handshake.ok", site): 1,
        ("tls.certificate.remaining", site): pytest.approx(LIFE.total_seconds(), abs=60),
        ("tls.certificate.verified", site): 1,
    }


async def test_certificates_that_clients_refuse_are_measured_all_the_same(
    target: HttpServer, authority: trustme.CA, read: Read
) -> None:
    """Expired, signed by somebody else, made for another name: each with its expiry, and none hides another."""
    async with (
        serving(certified(authority, life=timedelta(hours=-1))) as expired,
        serving(certified(trustme.CA())) as foreign,
        serving(certified(authority, "erp.example.com")) as misnamed,
        serving(certified(authority)) as good,
    ):
        sites = (expired, foreign, misnamed, good)
        found = await read(EXPORTER, target, Options(hosts=sites))
    assert [found["tls.handshake.ok", site] for site in sites] == [1, 1, 1, 1]
    assert [found["tls.certificate.verified", site] for site in sites] == [0, 0, 0, 1]
    assert found["tls.certificate.remaining", expired] == pytest.approx(-3600, abs=60)
    assert found["tls.certificate.remaining", foreign] == pytest.approx(LIFE.total_seconds(), abs=60)


async def test_what_gives_no_handshake_ends_in_time(target: HttpServer, authority: trustme.CA, read: Read) -> None:
    """Nobody there, no TLS, no answer, no such name: 0 for each, within the target's own bound; the rest is well."""
    loop = asyncio.get_running_loop()
    async with (
        serving(None) as silent,
        serving(None, b"SSH-2.0-hello\r\n") as other,
        serving(certified(authority)) as good,
    ):
        bad = (silent, other, f"{HOST}:{free_port()}", "no-such-host.invalid")
        began = loop.time()
        found = await read(EXPORTER, target, Options(hosts=(*bad, good)))
        took = loop.time() - began
    assert {key: value for key, value in found.items() if key[1] != good} == {
        ("tls.handshake.ok", site.removesuffix(":443")): 0 for site in bad
    }
    assert found["tls.certificate.verified", good] == 1
    assert took < 12


async def test_the_name_is_what_is_asked_for(target: HttpServer, authority: trustme.CA, read: Read) -> None:
    """The server hears the host's name before it chooses a certificate."""
    asked: list[str | None] = []
    context = certified(authority)
    context.sni_callback = lambda _line, name, _context: asked.append(name)
    async with serving(context) as site:
        await read(EXPORTER, target, Options(hosts=(site,)))
    assert asked == [HOST]


async def test_the_systems_authorities_trust_no_stranger(authority: trustme.CA, read: Read) -> None:
    """Without a file of authorities those of the system decide; the target's own host is looked at."""
    async with serving(certified(authority)) as site:
        driver = HttpServer(HttpAddress(url=f"https://{site}"))
        found = await read(EXPORTER, driver)
        await driver.close()
    assert found["tls.handshake.ok", site] == 1
    assert found["tls.certificate.verified", site] == 0
