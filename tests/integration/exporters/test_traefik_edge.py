"""Row 33: requests, durations and servers behind a real Traefik."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import yaml
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample as Line

from exporters.http_check import EXPORTER as HTTP_CHECK
from exporters.http_check import Options as HttpOptions
from exporters.tls_expiry import EXPORTER as TLS_EXPIRY
from exporters.tls_expiry import Options as TlsOptions
from exporters.traefik_edge import BOUNDS, EXPORTER
from otel_config.encoding import Encoder
from otel_config.prometheus import exposition
from quaywatch.contract import Distribution, Series
from quaywatch.drivers.http import HttpAddress, HttpServer
from sandbox.parts import api, traefik
from sandbox.process import LOOPBACK, Services, Spec, free_port
from tests.unit.otel_config.fakes import FakeMeter, Held, decoded, metrics_in

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]
Eventually = Callable[..., Awaitable[Reading]]

SERVICE = "app@file"
GONE = "gone@file"
NAME = "erp.example.com"
TENANT = "acme.example.com"
WIDE = (0.5, 2.0, 30.0)
"""Buckets of another Traefik."""


@dataclass(frozen=True)
class Edge:
    """A Traefik: where users go, over TLS too, where its metrics are, and what it is told to route."""

    web: str
    secure: int
    metrics: str
    routes: Path


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
    return started(services, "edge", port)


@pytest.fixture
def wide_edge(services: Services, port: int) -> Iterator[Edge]:
    """Another one before the same servers, with buckets of its own."""
    yield started(services, "wide", port, f"--metrics.prometheus.buckets={','.join(map(str, WIDE))}")
    services.stop("wide")


def started(services: Services, name: str, port: int, *more: str) -> Edge:
    """A Traefik that runs."""
    home = services.state / name
    home.mkdir(exist_ok=True)
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
        "--metrics.prometheus.addrouterslabels=true",
        *more,
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )
    own = f"http://{LOOPBACK}:{ports['traefik']}"
    services.start(Spec(name=name, argv=argv, ports=ports, ready=partial(api.answers, f"{own}/ping")))
    return Edge(f"http://{LOOPBACK}:{ports['web']}", ports["secure"], own, home / "routes.yml")


def routes(port: int, home: str) -> dict[str, Any]:
    """Everything goes to the server, what begins with /gone to the one that is not there, tried twice."""
    check = {"path": "/200", "interval": "1s", "timeout": "5s"}
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
                "acme": {"rule": f"Host(`{TENANT}`)", "entryPoints": ["web"], "service": "app"},
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


async def visit(edge: Edge, *paths: str, host: str = LOOPBACK) -> None:
    """Ask for these paths at the edge, whatever the answer."""
    async with aiohttp.ClientSession(headers={"Host": host}) as session:
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
    earlier = before.get(("traefik.service.request.duration", SERVICE))
    assert took.count - (earlier.count if earlier else 0) == 6
    assert 0 < took.sum < 600
    gone = ("traefik.service.requests", GONE, "5xx")
    assert found[gone] - before.get(gone, 0) == 2
    assert found["traefik.config.reload.age",] < 600
    assert found["traefik.tls.certificate.remaining", "", NAME] > 86400


async def test_a_router_tells_the_hosts_of_its_tenant(
    behind: None, edge: Edge, driver: HttpServer, read: Read, eventually: Eventually
) -> None:
    """Row 33: what one tenant's users got is counted apart, and named by the host that they asked for."""
    assert behind is None
    before = await eventually(lambda: read(EXPORTER, driver), serves(1))
    await visit(edge, "200", "500", host=TENANT)
    await visit(edge, "200")
    found = await read(EXPORTER, driver)
    routed = {
        key[2:]: value - before.get(key, 0)
        for key, value in found.items()
        if key[:2] == ("traefik.router.requests", "acme@file")
    }
    assert {key: value for key, value in routed.items() if value} == {(TENANT, "2xx"): 1, (TENANT, "5xx"): 1}
    took = ("traefik.router.request.duration", "acme@file", TENANT)
    assert found[took].count - (before[took].count if took in before else 0) == 2
    assert found["traefik.router.requests", "app@file", "", "2xx"] >= 1


async def test_two_edges_keep_their_own_buckets(
    behind: None, edge: Edge, wide_edge: Edge, eventually: Eventually, read: Read
) -> None:
    """Row 33: side by side on the agent's page and pushed, each one's requests lie in the buckets that it was given."""
    assert behind is None
    held: list[Series] = []
    for name, one in (("narrow", edge), ("wide", wide_edge)):
        driver = HttpServer(HttpAddress(url=one.metrics))
        await eventually(partial(read, EXPORTER, driver), serves(1))
        await visit(one, "200")
        async for sample in EXPORTER.collect(driver, EXPORTER.options(), EXPORTER.state()):
            if sample.metric.name == "traefik.service.request.duration" and sample.attributes == (SERVICE,):
                pairs = (("service", SERVICE), ("target", name))
                held.append(Series(sample.metric, pairs, sample.value, sample.start))
        await driver.close()
    text, _ = exposition(Held(held), {}, FakeMeter())("text/plain")
    found = {(line.labels["target"], float(line.labels["le"])) for line in lines(text, "_seconds_bucket")}
    assert found == {("narrow", bound) for bound in (*BOUNDS, math.inf)} | {
        ("wide", bound) for bound in (*WIDE, math.inf)
    }
    told = metrics_in(decoded(Encoder({}, FakeMeter()).encode(held, time.time())))
    assert [tuple(point.explicit_bounds) for metric in told for point in metric.histogram.data_points] == [BOUNDS, WIDE]
    counted = {line.labels["target"]: line.value for line in lines(text, "_seconds_count")}
    assert counted["narrow"] >= 1
    assert counted["wide"] == 1


def lines(page: bytes, ending: str) -> list[Line]:
    """The samples of a page whose names end so."""
    families = text_string_to_metric_families(page.decode())
    return [line for family in families for line in family.samples if line.name.endswith(ending)]


async def test_a_route_that_was_removed_ends(behind: None, wide_edge: Edge, read: Read, eventually: Eventually) -> None:
    """Row 33: Traefik shows a removed route once more and forgets it; nothing of it is left here either."""
    assert behind is None
    driver = HttpServer(HttpAddress(url=wide_edge.metrics))
    await eventually(partial(read, EXPORTER, driver), serves(1))
    await visit(wide_edge, "gone")
    assert ("traefik.service.requests", GONE, "5xx") in await read(EXPORTER, driver)
    told = yaml.safe_load(wide_edge.routes.read_text())
    del told["http"]["routers"]["gone"], told["http"]["services"]["gone"]
    wide_edge.routes.write_text(yaml.safe_dump(told))
    await eventually(partial(read, EXPORTER, driver), lambda found: not [key for key in found if "gone@file" in key])
    await driver.close()


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
