"""The agent's web server, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from quaywatch.errors import ConfigError
from quaywatch.runtime.web import Sources, StatusServer
from quaywatch.runtime.web.status_page import CONTENT_POLICY
from quaywatch.secret import Secret
from tests.unit.runtime.status_fakes import FrozenClock, numbers, troubled

PAGES = ("/", "/status.json", "/metrics")


@dataclass
class Readiness:
    """Whether the agent is ready."""

    ready: bool = False


async def exposition(accept: str) -> tuple[bytes, str]:
    """A page of metrics in the language that is asked for."""
    if "openmetrics" in accept:
        return b"up 1\n# EOF\n", "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return b"up 1\n", "text/plain; version=0.0.4; charset=utf-8"


def sources(readiness: Readiness) -> Sources:
    """Pages with something on them."""
    clock = FrozenClock()
    return Sources(
        status=lambda: troubled(clock).status(numbers(clock)),
        ready=lambda: readiness.ready,
        metrics=exposition,
    )


@pytest.fixture
def readiness() -> Readiness:
    """Not ready yet."""
    return Readiness()


@pytest_asyncio.fixture
async def guarded(readiness: Readiness) -> AsyncIterator[StatusServer]:
    """A server that asks for a token."""
    server = StatusServer(sources(readiness), port=0, token=Secret("s3cret"))
    await server.start()
    yield server
    await server.close()


@pytest_asyncio.fixture
async def client(guarded: StatusServer) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of that server."""
    host, port = guarded.address
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield session


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_needs_the_token(path: str, client: aiohttp.ClientSession) -> None:
    """Without the token, or with a wrong one, there is nothing to read; with it there is, also in the address."""
    for headers, query in (({}, ""), ({"Authorization": "Bearer wrong"}, ""), ({}, "?token="), ({}, "?token=s3cre")):
        async with client.get(path + query, headers=headers) as answer:
            assert answer.status == 401
            assert "erp" not in await answer.text()
    for headers, query in (({"Authorization": "Bearer s3cret"}, ""), ({"Authorization": "bearer s3cret"}, "")):
        async with client.get(path + query, headers=headers) as answer:
            assert answer.status == 200
    async with client.get(f"{path}?token=s3cret") as answer:
        assert answer.status == 200


async def test_health_and_readiness_are_open(client: aiohttp.ClientSession, readiness: Readiness) -> None:
    """An orchestrator needs no token; readiness follows the first cycle and health does not."""
    for ready, expected in ((False, 503), (True, 200)):
        readiness.ready = ready
        async with client.get("/readyz") as answer:
            assert answer.status == expected
        async with client.get("/healthz") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(("path", "status"), [*((path, 401) for path in PAGES), ("/healthz", 200), ("/no", 401)])
async def test_every_answer_has_the_guarding_headers(path: str, status: int, client: aiohttp.ClientSession) -> None:
    """Refusals too tell the browser to load nothing, frame nothing and keep nothing."""
    async with client.get(path) as answer:
        assert answer.status == status
        assert answer.headers["Content-Security-Policy"] == CONTENT_POLICY
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_same_as_data(client: aiohttp.ClientSession) -> None:
    """A program reads the page's content as JSON, runs with their steps included."""
    async with client.get("/status.json?token=s3cret") as answer:
        content = await answer.json()
    run = content["flows"][0]["runs"][-1]
    assert (run["outcome"], run["reason"], run["failed_step"]) == ("failure", "timeout", "confirm")
    assert run["steps"][0] == {"name": "create", "duration": 0.043, "ok": True, "is_undo": False, "attempt": 1}
    assert {target["name"]: target["up"] for target in content["targets"]}["cache"] is False


async def test_a_scraper_gets_the_language_that_it_asks_for(client: aiohttp.ClientSession) -> None:
    """The Accept header reaches whoever writes the page."""
    async with client.get("/metrics?token=s3cret", headers={"Accept": "application/openmetrics-text"}) as answer:
        assert answer.content_type == "application/openmetrics-text"
        assert (await answer.text()).endswith("# EOF\n")


async def test_metrics_are_passed_through(client: aiohttp.ClientSession) -> None:
    """The body and the content type are the sink's."""
    async with client.get("/metrics?token=s3cret") as answer:
        assert await answer.read() == b"up 1\n"
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/", 405), ("GET", "/nothing", 404)])
async def test_there_is_nothing_else(method: str, path: str, status: int, client: aiohttp.ClientSession) -> None:
    """The server is read-only, and says so without a page of its own."""
    async with client.request(method, f"{path}?token=s3cret") as answer:
        assert answer.status == status


async def test_a_token_that_cannot_be_read_admits_nobody(readiness: Readiness, tmp_path: Path) -> None:
    """A lost token file closes the pages instead of opening them, also to an empty token."""
    server = StatusServer(sources(readiness), port=0, token=Secret.of_file(tmp_path / "gone"))
    await server.start()
    async with (
        aiohttp.ClientSession() as session,
        session.get("http://{}:{}/?token=".format(*server.address)) as answer,
    ):
        assert answer.status == 401
    await server.close()


async def test_without_a_token_the_pages_are_open_on_loopback(readiness: Readiness) -> None:
    """Where nothing else is said, the server is reached from this machine only, without a token."""
    server = StatusServer(sources(readiness), port=0)
    await server.start()
    host, port = server.address
    assert host == "127.0.0.1"
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/") as answer:
        assert answer.status == 200
    await server.close()


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("localhost", 200),
        ("LocalHost.:9464", 200),
        ("127.0.0.1", 200),
        ("127.3.2.1:80", 200),
        ("[::1]:9464", 200),
        ("status.example:443", 200),
        ("evil.example", 403),
        ("evil.example:9464", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.168.1.1", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
async def test_a_name_that_is_made_to_lead_to_loopback_is_not_answered(
    name: str, status: int, readiness: Readiness
) -> None:
    """Without a token only loopback's own names are, and those of the configuration; health is nobody's secret."""
    server = StatusServer(sources(readiness), port=0, hosts=["status.example"])
    await server.start()
    async with aiohttp.ClientSession("http://{}:{}".format(*server.address), headers={"Host": name}) as session:
        for path in PAGES:
            async with session.get(path) as answer:
                assert (answer.status, "erp" in await answer.text()) == (status, status == 200 and path != "/metrics")
        async with session.get("/healthz") as answer:
            assert answer.status == 200
    await server.close()


async def test_who_shows_the_token_may_use_any_name(client: aiohttp.ClientSession) -> None:
    """As through a proxy or a service of the cluster."""
    async with client.get("/?token=s3cret", headers={"Host": "quaywatch.monitoring"}) as answer:
        assert answer.status == 200


async def test_an_address_in_use_is_a_wrong_configuration(guarded: StatusServer, readiness: Readiness) -> None:
    """The message names the address and the option."""
    _, port = guarded.address
    with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}.*telemetry\.http\.listen"):
        await StatusServer(sources(readiness), port=port).start()
