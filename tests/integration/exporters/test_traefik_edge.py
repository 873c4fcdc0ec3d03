"""Row 33: requests, durations and servers behind a real Traefik."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import pytest
import trustme
import yaml
from aiohttp import web

from exporters.http_check import EXPORTER as HTTP_CHECK
from exporters.http_check import Options as HttpOptions
from exporters.tls_expiry import EXPORTER as TLS_EXPIRY
from exporters.tls_expiry import Options as TlsOptions
from exporters.traefik_edge import EXPORTER
from quaywatch.contract import Distribution
from quaywatch.drivers.http import HttpAddress, HttpServer
from sandbox.parts import api, traefik
from sandbox.process import LOOPBACK, Services, Spec, free_port

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]
Eventually = Callable[..., Awaitable[Reading]]

SERVICE = "app@file"
GONE = "gone@file"
NAME = "erp.example.com"


@dataclass(frozen=True)
class Edge:
    """A Traefik: where users go, over TLS too, and where its metrics are."""

    web: str
    secure: int
    metrics: str


async def answer(request: web.Request) -> web.Response:
    """The status that the path names."""
    return web.Response(status=int(request.match_info["status"]))


@pytest.fixture(scope="module")
def port() -> int:
    """Where the server behind the edge listens, when it does."""
    return free_port()


@pytest.fixture
async def behind(port: int) -> AsyncIterator[None]:
    """The server behind the edge."""
    app = web.Application()
    app.router.add_route("*", "/{status}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    yield
    await runner.cleanup()


@pytest.fixture(scope="module")
def edge(services: Services, port: int) -> Edge:
    """Traefik before that server, and before one that is never there."""
    home = services.state / "edge"
    home.mkdir()
    made = trustme.CA().issue_cert(NAME)
    made.private_key_pem.write_to_path(str(home / "key.pem"))
    made.cert_chain_pems[0].write_to_path(str(home / "cert.pem"))
    (home / "routes.yml").write_text(yaml.safe_dump(routes(port, str(home))))
    ports = {name: free_port() for name in ("web", "secure", "traefik")}
    flags = [f"--entrypoints.{name}.address={LOOPBACK}:{number}" for name, number in ports.items()]
    argv = (
        str(traefik.program()),
        *flags,
        f"--providers.file.filename={home / 'routes.yml'}",
        "--api.insecure=true",
        "--ping=true",
        "--metrics.prometheus=true",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )
    own = f"http://{LOOPBACK}:{ports['traefik']}"
    services.start(Spec(name="edge", argv=argv, ports=ports, ready=partial(api.answers, f"{own}/ping")))
    return Edge(web=f"http://{LOOPBACK}:{ports['web']}", secure=ports["secure"], metrics=own)


def routes(port: int, home: str) -> dict[str, Any]:
    """Everything goes to the server, what begins with /gone to the one that is not there, tried twice."""
    check = {"path": "/200", "interval": "1s", "timeout": "1s"}
    servers = [{"url": f"http://{LOOPBACK}:{port}"}]
    nobody = [{"url": f"http://{LOOPBACK}:{free_port()}"}]
    return {
        "http": {
            "routers": {
                "app": {"rule": "PathPrefix(`/`)", "entryPoints": ["web"], "service": "app"},
                "gone": {
                    "rule": "PathPrefix(`/gone`)",
                    "entryPoints": ["web"],
                    "service": "gone",
                    "middlewares": ["again"],
                },
                "secure": {"rule": "PathPrefix(`/`)", "entryPoints": ["secure"], "service": "app", "tls": {}},
            },
            "middlewares": {"again": {"retry": {"attempts": 2}}},
            "services": {
                "app": {"loadBalancer": {"servers": servers, "healthCheck": check}},
                "gone": {"loadBalancer": {"servers": nobody}},
            },
        },
        "tls": {"certificates": [{"certFile": f"{home}/cert.pem", "keyFile": f"{home}/key.pem"}]},
    }


@pytest.fixture
async def driver(edge: Edge) -> AsyncIterator[HttpServer]:
    """The target."""
    opened = HttpServer(HttpAddress(url=edge.metrics))
    yield opened
    await opened.close()


async def visit(edge: Edge, *paths: str) -> None:
    """Ask for these paths at the edge, whatever the answer."""
    async with aiohttp.ClientSession() as session:
        for path in paths:
            async with session.get(f"{edge.web}/{path}") as said:
                await said.read()


def serves(up: int) -> Callable[[Reading], bool]:
    """Whether a reading has the server's health as expected."""
    return lambda found: [value for key, value in found.items() if key[0] == "traefik.service.server.up"] == [up]


async def test_what_users_got_is_counted(
    behind: None, edge: Edge, driver: HttpServer, read: Read, eventually: Eventually
) -> None:
    """Row 33: by class of code; durations hold every request; all that this Traefik has is there.

    It has no count of retries: each try counts as a request at the service.
    """
    assert behind is None
    await eventually(lambda: read(EXPORTER, driver), serves(1))
    before = await read(EXPORTER, driver)
    await visit(edge, "200", "201", "404", "499", "500", "503", "gone")
    found = await read(EXPORTER, driver)
    assert {key[0] for key in found} == {metric.name for metric in EXPORTER.metrics} - {"traefik.service.retries"}
    counted = {
        key[2]: value - before.get(key, 0)
        for key, value in found.items()
        if key[:2] == ("traefik.service.requests", SERVICE)
    }
    assert counted == {"1xx": 0, "2xx": 2, "3xx": 0, "4xx": 1, "499": 1, "5xx": 2}
    took = found["traefik.service.request.duration", SERVICE]
    assert isinstance(took, Distribution)
    assert took.count >= 6
    assert 0 < took.sum < 5
    assert found["traefik.service.requests", GONE, "5xx"] == 2
    assert found["traefik.config.reload.age",] < 600
    assert found["traefik.tls.certificate.remaining", "", NAME] > 86400


async def test_counters_start_when_traefik_did(edge: Edge, driver: HttpServer) -> None:
    """Row 23: the page tells, and the samples bear it."""
    assert edge.metrics
    samples = [sample async for sample in EXPORTER.collect(driver, EXPORTER.options(), EXPORTER.state())]
    starts = {sample.start for sample in samples if sample.start is not None}
    assert len(starts) == 1
    assert abs(starts.pop() - EXPORTER.state()()) < 600


async def test_an_outage_shows_at_the_entry_point(
    edge: Edge, driver: HttpServer, read: Read, eventually: Eventually
) -> None:
    """Row 33: no server is well: Traefik answers 503 itself, which the entry point counts and the service does not."""
    await eventually(lambda: read(EXPORTER, driver), serves(0))
    before = await read(EXPORTER, driver)
    await visit(edge, "200")
    found = await read(EXPORTER, driver)
    at_entry, at_service = ("traefik.entrypoint.requests", "web", "5xx"), ("traefik.service.requests", SERVICE, "5xx")
    assert found[at_entry] - before.get(at_entry, 0) == 1
    assert found.get(at_service) == before.get(at_service)


async def test_clients_see_the_edges_certificate(edge: Edge, driver: HttpServer, read: Read) -> None:
    """Row 35: what Traefik shows to a client is looked at beside what it says about itself."""
    site = f"{LOOPBACK}:{edge.secure}"
    found = await read(TLS_EXPIRY, driver, TlsOptions(hosts=(site,)))
    assert found["tls.handshake.ok", site] == 1
    assert found["tls.certificate.verified", site] == 0


async def test_a_visitor_gets_through_the_edge(behind: None, edge: Edge, read: Read, eventually: Eventually) -> None:
    """Over plain HTTP all is well; over TLS a visitor refuses a certificate that nobody vouches for."""
    assert behind is None
    plain, secure = (HttpServer(HttpAddress(url=url)) for url in (edge.web, f"https://{LOOPBACK}:{edge.secure}"))
    options = HttpOptions(path="/204", expect_status=(204,))
    found = await eventually(
        lambda: read(HTTP_CHECK, plain, options), lambda seen: seen["quaywatch.http.success",] == 1
    )
    assert found["quaywatch.http.status",] == 204
    assert (await read(HTTP_CHECK, secure, options))["quaywatch.http.failed", "tls"] == 1
    await plain.close()
    await secure.close()
