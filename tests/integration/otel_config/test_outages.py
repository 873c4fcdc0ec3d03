"""Spans and lines of the log while nobody takes them: what a failing order left behind outlives the outage."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from grpc import StatusCode

from otel_config.settings import Protocol
from otel_config.telemetry import Telemetry
from quaywatch.secret import Secret
from tests.integration.otel_config.otlp_server import Answer, OtlpServer
from tests.integration.otel_config.support import RESOURCE, settings, signal, until
from tests.integration.otel_config.test_signals import records, spans
from tests.unit.otel_config.fakes import FakeMeter, Held, logging_into, many

SIGNALS = ("traces", "logs")
ALL = ("metrics", *SIGNALS)


@pytest.fixture(autouse=True)
def stderr() -> Iterator[io.StringIO]:
    """Logging as the agent sets it up, into a text."""
    with logging_into("info") as stream:
        yield stream


def say(telemetry: Telemetry, what: str) -> None:
    """A run with a line of the log in it."""
    with telemetry.tracer.start_as_current_span(what):
        structlog.get_logger().info(what)


async def test_an_outage_costs_no_span_and_no_line(server: OtlpServer) -> None:
    """What was said while the back end was away arrives when it is there again, and is counted once."""
    await server.stop()
    meter = FakeMeter()
    at = settings(server.address, server.protocol, *SIGNALS, timeout=1.0, spans_every=0.05, lines_every=0.05)
    telemetry = await Telemetry.start(at, Held(), meter, RESOURCE)
    for number in range(20):
        say(telemetry, f"run {number}")
        await asyncio.sleep(0.01)
    await until(lambda: all(meter.batches("outage", name) >= 1 for name in SIGNALS))
    assert meter.values["quaywatch.export.queue.size", "traces"] > 0
    await server.start()
    assert await telemetry.flush(20)
    assert spans(server).keys() == records(server).keys() == {f"run {number}" for number in range(20)}
    assert (meter.items("spans", "sent"), meter.items("records", "sent")) == (20, 20)
    await telemetry.close(5)


async def test_a_refusal_and_a_reservation_are_counted(server: OtlpServer) -> None:
    """Poison costs its own batch; what the back end rejects of another is told apart."""
    meter = FakeMeter()
    at = settings(server.address, server.protocol, "traces", spans_every=3600.0)
    telemetry = await Telemetry.start(at, Held(), meter, RESOURCE)
    poison = Answer(code=StatusCode.INVALID_ARGUMENT, status=400, message="bad")
    for answer in (poison, Answer(rejected=1, message="too old"), Answer()):
        server.answers.append(answer)
        for name in ("one", "two"):
            telemetry.tracer.start_span(name).end()
        assert await telemetry.flush(20)
    counted = {outcome: meter.items("spans", outcome) for outcome in ("poison", "rejected", "sent")}
    assert counted == {"poison": 2, "rejected": 1, "sent": 3}
    await telemetry.close(5)


async def test_what_does_not_fit_is_counted(protocol: Protocol) -> None:
    """The oldest go, as with metrics; each signal has a bound of its own."""
    meter = FakeMeter()
    nobody = OtlpServer(protocol)
    at = settings(nobody.address, protocol, *SIGNALS, queue_bytes=4096, timeout=0.5)
    telemetry = await Telemetry.start(at, Held(), meter, RESOURCE)
    for number in range(10):
        say(telemetry, f"run {number}")
        await telemetry.flush(0.05)
    assert meter.items("spans", "overflow") > 0
    assert meter.values["quaywatch.export.queue.size", "traces"] <= 1024
    await telemetry.close(0)


async def test_a_token_that_was_changed_is_used_by_every_signal(server: OtlpServer, tmp_path: Path) -> None:
    """Row 24: the file is read for each request, so that nobody is refused for longer than it takes to try again."""
    token = tmp_path / "token"
    token.write_text("old")
    headers = (("authorization", Secret.of_file(token)),)
    at = settings(server.address, server.protocol, *ALL, headers=headers)
    telemetry = await Telemetry.start(at, Held(many(1)), FakeMeter(), RESOURCE)
    for text in ("old", "new"):
        token.write_text(text)
        say(telemetry, text)
        assert await telemetry.flush(20)
        for name in ALL:
            assert getattr(server, name)[-1].headers["authorization"] == text
    await telemetry.close(5)


KILLED = """
import asyncio, sys
from pathlib import Path
import structlog
from otel_config.settings import OtlpSettings, Protocol, SignalSettings
from otel_config.structured import configure_logging
from otel_config.telemetry import Telemetry
from tests.unit.otel_config.fakes import FakeMeter, Held

async def main(base, protocol, spool):
    configure_logging("info")
    spoken = Protocol(protocol)
    def to(name):
        path = f"/v1/{name}" if spoken is Protocol.HTTP else ""
        return SignalSettings(endpoint=base + path, protocol=spoken)
    settings = OtlpSettings(
        traces=to("traces"), logs=to("logs"), spool=Path(spool), spans_every=0.05, lines_every=0.05
    )
    telemetry = await Telemetry.start(settings, Held(), FakeMeter(), {})
    with telemetry.tracer.start_as_current_span("failing order"):
        structlog.get_logger().error("failing order")
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_kill_costs_nothing_that_was_spooled(protocol: Protocol, tmp_path: Path) -> None:
    """The next agent sends the spans and lines that the killed one could not."""
    server = OtlpServer(protocol)
    program = [sys.executable, "-c", KILLED, signal(server.address, Protocol.GRPC, "").endpoint, protocol]
    agent = await asyncio.create_subprocess_exec(*program, str(tmp_path), stderr=asyncio.subprocess.DEVNULL)
    try:
        await until(lambda: all(spooled(tmp_path / name) for name in SIGNALS))
    finally:
        agent.kill()
        await agent.wait()
    await server.start()
    at = settings(server.address, protocol, *SIGNALS, spool=tmp_path)
    telemetry = await Telemetry.start(at, Held(), FakeMeter(), RESOURCE)
    assert await telemetry.flush(20)
    await telemetry.close(5)
    await server.stop()
    assert spans(server).keys() == records(server).keys() == {"failing order"}
    assert not spooled(tmp_path)


def spooled(directory: Path) -> list[Path]:
    """The batches in a spool directory, and below it."""
    return list(directory.rglob("*.gz"))
