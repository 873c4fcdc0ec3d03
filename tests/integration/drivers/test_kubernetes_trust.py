"""The certificates by which an API server is trusted, while its cluster changes them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from quaywatch.drivers.kubernetes.api import ApiAddress, ApiServer, Needed
from quaywatch.errors import ConnectError

LISTS = Needed("pods", "list of pods")


async def answer(_request: web.Request) -> web.Response:
    """Whatever was asked for."""
    return web.json_response({})


def place(authority: trustme.CA, file: Path) -> None:
    """Put an authority in the place of another, at once as the kubelet does."""
    authority.cert_pem.write_to_path(file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)


async def test_an_authority_that_was_changed_is_trusted_from_the_next_request_on(tmp_path: Path) -> None:
    """And the one before no longer; a file that is just being written changes nothing."""
    old, new, tls = trustme.CA(), trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.issue_cert("127.0.0.1").configure_cert(tls)
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("word")
    place(old, authority)
    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    server = ApiServer(ApiAddress(url=url, token_file=str(token), ca_file=str(authority)))

    async def status() -> int:
        return (await server.exchange("GET", "/", None, LISTS))[0]

    assert await status() == 200
    new.issue_cert("127.0.0.1").configure_cert(tls)
    with pytest.raises(ConnectError):
        await status()
    place(new, authority)
    assert await status() == 200
    authority.write_text("half a certifi")
    assert await status() == 200
    place(old, authority)
    with pytest.raises(ConnectError):
        await status()
    await server.close()
    await runner.cleanup()
