"""What others tell the agent, over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from exporters.backup_restore_tests import EXPORTER
from quaywatch.clock import SystemClock
from quaywatch.drivers.backups import BackupPlace
from quaywatch.runtime.catalogue import DEPLOYMENTS
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.web import Notices, Sources, StatusServer
from quaywatch.runtime.web.notices import LONGEST
from quaywatch.secret import Secret
from tests.unit.runtime.status_fakes import FrozenClock, numbers, troubled

SENDER = "n0tice"
DEPLOYMENT = {"app": "odoo", "revision": "a1", "environment": "production", "status": "succeeded"}


async def exposition(_accept: str) -> tuple[bytes, str]:
    """A page of metrics."""
    return b"up 1\n", "text/plain"


@dataclass
class Told:
    """An agent that can be told, and what it counted."""

    session: aiohttp.ClientSession | None
    instruments: Instruments

    async def post(self, path: str, content: Any, token: str = SENDER) -> tuple[int, str]:
        """Status and text of the answer."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        assert self.session is not None
        async with self.session.post(path, data=body, headers=headers) as answer:
            return answer.status, await answer.text()

    def counted(self, metric: str, **attributes: str) -> float:
        """The sum of the series with these attributes."""
        series = [one for one in self.instruments.series() if one.metric.name == metric]
        values = [one.value for one in series if attributes.items() <= dict(one.attributes).items()]
        return sum(value for value in values if isinstance(value, int | float))


def listening(notices: Notices | None) -> StatusServer:
    """A server whose pages have a token of their own."""
    clock = FrozenClock()
    sources = Sources(status=lambda: troubled(clock).status(numbers(clock)), ready=lambda: True, metrics=exposition)
    return StatusServer(sources, port=0, token=Secret("s3cret"), notices=notices)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The file of restore tests."""
    return tmp_path / "restore-tests.json"


@pytest_asyncio.fixture
async def agent(kept: Path) -> AsyncIterator[Told]:
    """An agent that can be told everything."""
    instruments = Instruments("test", SystemClock())
    server = listening(Notices(Secret("n0tice"), kept, instruments, SystemClock()))
    await server.start()
    host, port = server.address
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield Told(session, instruments)
    await server.close()


@pytest.mark.parametrize("path", ["/v1/deployments", "/v1/restore-tests"])
async def test_only_who_has_the_senders_token_may_tell(path: str, agent: Told) -> None:
    """The readers' token does not do, nor does one in the address; the senders' opens no page."""
    for token in ("", "s3cret", "n0tic"):
        assert (await agent.post(path, DEPLOYMENT, token))[0] == 401
    assert (await agent.post(f"{path}?token=n0tice", DEPLOYMENT, ""))[0] == 401
    assert agent.session is not None
    async with agent.session.get("/", headers={"Authorization": "Bearer n0tice"}) as answer:
        assert answer.status == 401
    assert agent.counted("quaywatch.notices") == 0


async def test_without_a_senders_token_there_is_nobody_to_tell() -> None:
    """The paths are not there."""
    server = listening(None)
    await server.start()
    host, port = server.address
    async with aiohttp.ClientSession(f"http://{host}:{port}", headers={"Authorization": "Bearer s3cret"}) as session:
        for path in ("/v1/deployments", "/v1/restore-tests"):
            async with session.post(path, data=b"{}") as answer:
                assert answer.status == 404
    await server.close()


async def test_a_deployment_is_counted_once_and_logged_as_an_event(agent: Told) -> None:
    """However often it is told, with the names of the semantic conventions; a failure counts beside it."""
    with capture_logs() as logs:
        answers = [await agent.post("/v1/deployments", DEPLOYMENT) for _ in range(3)]
    assert answers == [(202, '{"outcome": "counted"}'), *[(202, '{"outcome": "repeated"}')] * 2]
    assert logs == [
        {
            "event": "deployment",
            "log_level": "info",
            "event.name": "quaywatch.deployment",
            "deployment.name": "odoo",
            "deployment.status": "succeeded",
            "deployment.environment.name": "production",
            "service.version": "a1",
            "source": "plain",
        }
    ]
    assert agent.counted("quaywatch.deployments", app="odoo", result="succeeded") == 1
    assert agent.counted("quaywatch.deployment.last.time", app="odoo") == pytest.approx(time.time(), abs=30)
    await agent.post("/v1/deployments", {**DEPLOYMENT, "status": "failed"})
    assert agent.counted("quaywatch.deployments", app="odoo", result="failed") == 1
    assert agent.counted("quaywatch.notices", notice="deployment", outcome="repeated") == 2


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        ({**DEPLOYMENT, "status": "running"}, 202, '{"outcome": "ignored"}'),
        ({**DEPLOYMENT, "status": "fine"}, 400, "status: succeeded, failed or running is expected\n"),
        (b"app=odoo", 400, "this is no JSON; an object is expected\n"),
        (b"x" * (LONGEST + 1), 413, "Request Entity Too Large\n"),
    ],
)
async def test_what_counts_for_nothing(content: Any, status: int, text: str, agent: Told) -> None:
    """What goes on is taken and not counted; what is wrong is refused with its place and the remedy."""
    assert await agent.post("/v1/deployments", content) == (status, text)
    assert agent.counted("quaywatch.deployments") == 0


async def test_applications_beyond_the_budget_are_summed_up(agent: Told) -> None:
    """Nobody fills the store by inventing names, and no deployment is lost."""
    many = DEPLOYMENTS.budget
    await asyncio.gather(
        *(agent.post("/v1/deployments", {**DEPLOYMENT, "app": f"app{number}"}) for number in range(many))
    )
    series = [one for one in agent.instruments.series() if one.metric is DEPLOYMENTS]
    assert len(series) <= many
    assert agent.counted("quaywatch.deployments") == many
    assert agent.counted("quaywatch.deployments", app="other") > many / 4


def trial(name: str = "erp", *, ok: bool = True, ago: float = 1000.0) -> dict[str, Any]:
    """A restore test that ended so many seconds ago, took 100 s and lost 60 s."""
    ended = time.time() - ago
    return {"name": name, "started": ended - 100, "finished": ended, "recovery_point": ended - 160, "ok": ok}


async def test_a_restore_test_is_kept_where_the_exporter_reads_it(agent: Told, kept: Path) -> None:
    """The last one and the last success, over any number of notices, at once and repeated ones too."""
    tests = [trial(ago=1000), trial(ago=500, ok=False), trial("files", ago=100), trial(ago=2000)]
    answers = await asyncio.gather(*(agent.post("/v1/restore-tests", one) for one in tests))
    assert {status for status, _ in answers} == {202}
    assert await agent.post("/v1/restore-tests", tests[2]) == (202, '{"outcome": "repeated"}')
    samples = EXPORTER.collect(BackupPlace(None, kept), EXPORTER.options(), EXPORTER.state())
    found = {(sample.metric.name, *sample.attributes): sample.value async for sample in samples}
    assert found["quaywatch.restore_test.known",] == 2
    assert found["quaywatch.restore_test.ok", "erp"] == 0
    assert found["quaywatch.restore_test.age", "erp"] == pytest.approx(1000, abs=30)
    assert found["quaywatch.restore_test.duration", "erp"] == pytest.approx(100)
    assert found["quaywatch.restore_test.data_loss", "erp"] == pytest.approx(60)
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"name": "erp"}, "the report of a restore test: 0.started: Field required\n"),
        ({**trial(), "ok": "perhaps"}, "the report of a restore test: 0.ok: Input should be a valid boolean"),
        (trial(ago=-3600), "finished: it lies in the future; check the clocks of both sides\n"),
        ([trial(f"thing{number}") for number in range(201)], "name: tests of 200 things are kept already"),
    ],
)
async def test_a_restore_test_that_is_wrong_is_refused(content: Any, text: str, agent: Told, kept: Path) -> None:
    """With its place, and nothing is kept of it."""
    status, said = await agent.post("/v1/restore-tests", content)
    assert status == 400
    assert said.startswith(text)
    assert not kept.exists()  # noqa: ASYNC240 - a look at the test's own directory


async def test_a_notice_that_never_arrives_is_given_up() -> None:
    """Who sends half of it does not hold the agent."""
    instruments = Instruments("test", SystemClock())
    server = listening(Notices(Secret(SENDER), None, instruments, SystemClock(), within=0.1))
    await server.start()
    reader, writer = await asyncio.open_connection(*server.address)
    head = f"POST /v1/deployments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SENDER}\r\nContent-Length: 9\r\n\r\n"
    writer.write(head.encode() + b"{")
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.transport.abort()
    await server.close()
    assert Told(None, instruments).counted("quaywatch.notices", outcome="refused") == 1


async def test_a_file_that_cannot_be_written_is_said_to_the_sender(agent: Told, kept: Path) -> None:
    """It may send again; the agent's log names the file."""
    kept.parent.rmdir()
    with capture_logs() as logs:
        status, _ = await agent.post("/v1/restore-tests", trial())
    kept.parent.mkdir()
    assert status == 507
    assert logs[0]["file"] == str(kept)
