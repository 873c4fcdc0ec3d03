"""Metrics over real lines to a real back end."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest
from grpc import StatusCode

from otel_config.outcome import Failed, Failure, Outcome, Sent
from otel_config.settings import Compression, Protocol
from otel_config.telemetry import Telemetry
from otel_config.transport import Transport
from otel_config.transport import transport as transport_to
from quaywatch.contract import Kind, Metric, Series
from quaywatch.secret import Secret
from tests.integration.otel_config.otlp_server import Answer, OtlpServer
from tests.integration.otel_config.support import RESOURCE, settings, signal, times, told, until
from tests.unit.otel_config.fakes import FakeMeter, Held, many, series

UP = Metric("quaywatch.target.up", Kind.GAUGE, "", "Up.", ("target",))
ONE = Held([series(UP, 1, target="a")])


def transport(server: OtlpServer, **more: object) -> Transport:
    """A transport of the server's protocol."""
    return transport_to("metrics", signal(server.address, server.protocol, "metrics", **more))


async def sent_once(server: OtlpServer, payload: bytes = b"", **more: object) -> Outcome:
    """What becomes of one request."""
    line = transport(server, **more)
    try:
        return await line.send(payload)
    finally:
        await line.close()


async def test_ten_thousand_series_leave_in_one_export(server: OtlpServer) -> None:
    """None is lost, none is merged, in requests below 4 MiB."""
    meter = FakeMeter()
    telemetry = await Telemetry.start(
        settings(server.address, server.protocol, interval=3600.0), Held(many(10_000)), meter, RESOURCE
    )
    await until(lambda: meter.points("sent") == 10_000)
    await telemetry.close(5)
    exported = server.metrics[: len(server.metrics) // 2]  # the other half is the last export, on close
    assert len(told(exported)) == len(set(told(exported))) == 10_000
    assert max(one.size for one in server.metrics) < 4 << 20
    assert all(one.compressed for one in server.metrics)


async def test_headers_reach_the_back_end(server: OtlpServer) -> None:
    """As HTTP headers and as gRPC metadata; a secret's file is read for each request."""
    await sent_once(server, headers=(("authorization", Secret("Bearer s3cret")), ("x-team", Secret("logistics"))))
    [took] = server.metrics
    assert (took.headers["authorization"], took.headers["x-team"]) == ("Bearer s3cret", "logistics")


async def test_a_rotated_secret_is_picked_up(server: OtlpServer, tmp_path: Path) -> None:
    """The file is read for each request; while it is missing, that is a refusal and no defect."""
    file = tmp_path / "token"
    line = transport(server, headers=(("authorization", Secret.of_file(file)),))
    outcome = await line.send(b"")
    assert isinstance(outcome, Failed)
    assert outcome.failure is Failure.REFUSED
    for token in ("one", "two"):
        file.write_text(token)
        assert isinstance(await line.send(b""), Sent)
    assert [took.headers["authorization"] for took in server.metrics] == ["one", "two"]
    await line.close()


async def test_compression_may_be_off(server: OtlpServer) -> None:
    """`none` sends the request as it is."""
    assert await sent_once(server, compression=Compression.NONE) == Sent()
    assert server.protocol is Protocol.GRPC or not server.metrics[0].compressed


async def test_a_partial_success_is_told(server: OtlpServer) -> None:
    """The number of rejected points and the server's words."""
    server.answers.append(Answer(rejected=3, message="too old"))
    assert await sent_once(server) == Sent(3, "too old")


@pytest.mark.parametrize(
    ("answer", "failure", "pause"),
    [
        (Answer(code=StatusCode.INVALID_ARGUMENT, status=400, message="no"), Failure.POISON, None),
        (Answer(code=StatusCode.RESOURCE_EXHAUSTED, status=413, message="no"), Failure.POISON, None),
        (Answer(code=StatusCode.UNAUTHENTICATED, status=401, message="no"), Failure.REFUSED, None),
        (Answer(code=StatusCode.UNIMPLEMENTED, status=404, message="no"), Failure.REFUSED, None),
        (Answer(code=StatusCode.UNAVAILABLE, status=503, message="no"), Failure.OUTAGE, None),
        (Answer(code=StatusCode.UNAVAILABLE, status=503, message="no", pause=7), Failure.OUTAGE, 7.0),
        (Answer(code=StatusCode.RESOURCE_EXHAUSTED, status=429, message="no", pause=9), Failure.OUTAGE, 9.0),
        (Answer(code=StatusCode.INTERNAL, status=500, message="no"), Failure.DOUBTFUL, None),
        (Answer(code=StatusCode.UNKNOWN, status=500, message="no", plain=True), Failure.DOUBTFUL, None),
    ],
    ids=lambda value: getattr(value, "code", value) and str(getattr(value, "code", value)),
)
async def test_an_error_is_told_apart(
    server: OtlpServer, answer: Answer, failure: Failure, pause: float | None
) -> None:
    """Poison, refusal, outage or doubt, with the server's words and the pause it asks for."""
    server.answers.append(answer)
    outcome = await sent_once(server)
    assert isinstance(outcome, Failed)
    assert (outcome.failure, outcome.retry_after) == (failure, pause)
    assert "no" in outcome.why


async def test_an_answer_that_does_not_come_is_an_outage(protocol: Protocol) -> None:
    """Within the time-out, also where the connection stands."""
    async with BlackHole() as hole:
        line = transport(OtlpServer(protocol, port=hole.port), timeout=0.3)
        began = time.monotonic()
        outcome = await line.send(b"")
        await line.close()
    assert time.monotonic() - began < 9
    assert isinstance(outcome, Failed)
    assert outcome.failure is Failure.OUTAGE


async def test_over_http_the_environments_proxy_is_used() -> None:
    """A back end that only the proxy knows is reached by it."""
    proxy = OtlpServer(Protocol.HTTP)
    await proxy.start()
    line = transport_to("metrics", signal("http://collector.invalid", Protocol.HTTP, "metrics"))
    before = dict(os.environ)
    os.environ.update({"http_proxy": proxy.address, "no_proxy": ""})
    try:
        assert await line.send(b"") == Sent()
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert proxy.metrics[0].headers["host"] == "collector.invalid"
    await line.close()
    await proxy.stop()


async def test_nobody_there_is_an_outage(protocol: Protocol) -> None:
    """A refused connection is told at once."""
    outcome = await sent_once(OtlpServer(protocol))
    assert isinstance(outcome, Failed)
    assert outcome.failure is Failure.OUTAGE


async def test_poison_is_dropped_and_the_rest_arrives(server: OtlpServer) -> None:
    """A refused batch is counted and does not come again; the exports after it go on."""
    server.answers.append(Answer(code=StatusCode.INVALID_ARGUMENT, status=400, message="bad point"))
    meter = FakeMeter()
    telemetry = await Telemetry.start(settings(server.address, server.protocol, interval=0.05), ONE, meter, RESOURCE)
    await until(lambda: len(server.metrics) >= 3)
    await telemetry.close(5)
    assert (meter.batches("poison"), meter.points("poison")) == (1, 1)
    assert server.requests == len(server.metrics) + 1


class Counted(Held):
    """A snapshot that counts how often it is looked at."""

    looks = 0

    def series(self) -> Sequence[Series]:
        """What was set."""
        self.looks += 1
        return self.content


async def test_an_outage_loses_nothing(server: OtlpServer) -> None:
    """What was exported while the back end was away arrives afterwards, oldest first, each export once."""
    meter, snapshot = FakeMeter(), Counted(ONE.content)
    at = settings(server.address, server.protocol, interval=0.05)
    telemetry = await Telemetry.start(at, snapshot, meter, RESOURCE)
    await until(lambda: len(server.metrics) >= 2)
    await server.stop()
    await until(lambda: meter.batches("outage") >= 1 and meter.values["quaywatch.export.queue.age", "metrics"] > 0.5)
    await server.start()
    assert await telemetry.flush(20)
    await telemetry.close(5)
    arrived = times(server.metrics)
    assert arrived == sorted(set(arrived))
    assert meter.points("sent") == len(arrived) == snapshot.looks


async def test_a_line_that_hangs_is_replaced(protocol: Protocol) -> None:
    """After a time-out the next attempt does not use the connection that swallowed the last one."""
    server = OtlpServer(protocol)
    await server.start()
    async with Freezer(server.port) as freezer:
        line = transport(OtlpServer(protocol, port=freezer.port), timeout=3.0)
        assert await line.send(b"") == Sent()
        freezer.freeze()
        assert isinstance(await line.send(b""), Failed)
        assert await line.send(b"") == Sent()
        await line.close()
    await server.stop()


KILLED = """
import asyncio, sys
from pathlib import Path
from typing import Self
from otel_config.settings import OtlpSettings, Protocol, SignalSettings
from otel_config.telemetry import Telemetry
from tests.unit.otel_config.fakes import FakeMeter, Held, many

async def main(endpoint, protocol, spool):
    to = SignalSettings(endpoint=endpoint, protocol=Protocol(protocol))
    settings = OtlpSettings(metrics=to, interval=0.1, spool=Path(spool))
    await Telemetry.start(settings, Held(many(100)), FakeMeter(), {})
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_kill_loses_nothing_that_was_spooled(protocol: Protocol, tmp_path: Path) -> None:
    """The next agent sends what the killed one could not, in order, and leaves the directory empty."""
    server = OtlpServer(protocol)
    endpoint = signal(server.address, protocol, "metrics").endpoint
    agent = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, endpoint, protocol, str(tmp_path))
    try:
        await until(lambda: len(spooled(tmp_path)) >= 3)
    finally:
        agent.kill()
        await agent.wait()
    left = spooled(tmp_path)
    await server.start()
    meter = FakeMeter()
    at = settings(server.address, protocol, interval=3600.0, spool=tmp_path)
    telemetry = await Telemetry.start(at, Held(), meter, RESOURCE)
    assert await telemetry.flush(20)
    await telemetry.close(5)
    await server.stop()
    assert len(left) >= 3
    assert len(told(server.metrics)) == len(left) * 100
    assert times(server.metrics) == sorted(set(times(server.metrics)))
    assert spooled(tmp_path) == []


def spooled(directory: Path) -> list[Path]:
    """The batches in a spool directory."""
    return sorted(directory.glob("*.gz"))


STOPPED = """
import asyncio, sys, time
from otel_config.settings import OtlpSettings, Protocol, SignalSettings
from otel_config.structured import configure_logging
from otel_config.telemetry import Telemetry
from tests.unit.otel_config.fakes import FakeMeter, Held, many
import structlog

async def main(endpoint, protocol):
    configure_logging("critical")
    to = SignalSettings(endpoint=endpoint, protocol=Protocol(protocol))
    telemetry = await Telemetry.start(OtlpSettings(metrics=to, traces=to, logs=to), Held(many(10000)), FakeMeter(), {})
    with telemetry.tracer.start_as_current_span("stuck"):
        structlog.get_logger().critical("stuck")
    began = time.monotonic()
    assert not await telemetry.flush(1)
    await telemetry.close(3)
    print(time.monotonic() - began, flush=True)

asyncio.run(main(*sys.argv[1:]))
print(time.monotonic(), flush=True)
"""


async def test_a_stop_over_a_black_hole_ends_in_time(protocol: Protocol) -> None:
    """All signals, nothing answers: flush and close take what they were given, and the process ends at once after."""
    async with BlackHole() as hole:
        endpoint = f"http://127.0.0.1:{hole.port}"
        argv = [sys.executable, "-c", STOPPED, endpoint, protocol]
        agent = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, env={**os.environ})
        out, _ = await agent.communicate()
        ended = time.monotonic()
    took, last = map(float, out.split())
    assert agent.returncode == 0
    assert took < 9
    assert ended - last < 9


class BlackHole:
    """A server that takes every connection and never says a word."""

    port = 0

    async def __aenter__(self) -> Self:
        self._silent = asyncio.Event()
        self._server = await asyncio.start_server(self._swallow, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._silent.set()
        self._server.close()
        await self._server.wait_closed()

    async def _swallow(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._silent.wait()
        writer.close()


class Freezer:
    """A line to a server on which `freeze` makes the connections that stand go silent for good, and no later ones."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._frozen: set[asyncio.Event] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        """From now on nothing passes on these connections, and nobody is told."""
        for frozen in self._frozen:
            frozen.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        frozen = asyncio.Event()
        self._frozen.add(frozen)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._copy(source, sink, frozen))
            self._tasks.add(task)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, frozen: asyncio.Event) -> None:
        try:
            while (data := await source.read(65536)) and not frozen.is_set():
                sink.write(data)
                await sink.drain()
            if frozen.is_set():
                await asyncio.Event().wait()
        except ConnectionError:
            pass
        finally:
            sink.close()
