"""Traces and logs over real lines, and all signals together."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry import trace

from otel_config.own_log import log as own_log
from otel_config.settings import OtlpSettings, Protocol, SignalSettings
from otel_config.spool import Spool
from otel_config.structured import shipping
from otel_config.telemetry import Telemetry
from quaywatch.errors import ConfigError
from quaywatch.secret import Secret
from tests.integration.otel_config.otlp_server import OtlpServer
from tests.integration.otel_config.support import RESOURCE, settings, until
from tests.unit.otel_config.fakes import FakeMeter, Held, lines, logging_into, many

ALL = ("metrics", "traces", "logs")


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    """Logging as the agent sets it up, into a text."""
    with logging_into("info") as stream:
        yield stream


def spans(server: OtlpServer) -> dict[str, Any]:
    """The spans the server took, by name."""
    return {
        span.name: span
        for took in server.traces
        for resource in took.request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def records(server: OtlpServer) -> dict[str, Any]:
    """The log records the server took, by their text."""
    return {
        record.body.string_value: record
        for took in server.logs
        for resource in took.request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    }


def attributes(of: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in of.attributes}


async def test_spans_arrive_with_their_parents_and_resource(server: OtlpServer) -> None:
    """A trace is whole, its resource is that of the metrics with the version, and the outcome is counted."""
    meter = FakeMeter()
    telemetry = await Telemetry.start(settings(server.address, server.protocol, *ALL), Held(), meter, RESOURCE)
    with telemetry.tracer.start_as_current_span("run"), telemetry.tracer.start_as_current_span("step"):
        pass
    assert await telemetry.flush(20)
    found = spans(server)
    assert found["step"].parent_span_id == found["run"].span_id
    assert found["step"].trace_id == found["run"].trace_id
    assert attributes(server.traces[0].request.resource_spans[0].resource) == RESOURCE
    await until(lambda: meter.batches("sent", "traces") == 1)
    assert meter.values["quaywatch.export.last_success.time", "traces"] > 0
    await telemetry.close(5)


async def test_spans_that_cannot_be_delivered_are_counted(server: OtlpServer) -> None:
    """A flush says no, and each attempt is one."""
    await server.stop()
    meter = FakeMeter()
    at = settings(server.address, server.protocol, "traces", timeout=0.5)
    telemetry = await Telemetry.start(at, Held(), meter, RESOURCE)
    telemetry.tracer.start_span("waits").end()
    assert not await telemetry.flush(1)
    assert meter.batches("outage", "traces") >= 1
    await telemetry.close(1)


async def test_a_tracer_gives_ids_when_nothing_is_sent() -> None:
    """Runs and log lines are told apart without any back end."""
    telemetry = await Telemetry.start(
        settings("http://localhost:1", Protocol.GRPC, "logs"), Held(), FakeMeter(), RESOURCE
    )
    with telemetry.tracer.start_as_current_span("run") as span:
        assert span.get_span_context().is_valid
    await telemetry.close(1)


async def test_log_lines_arrive_with_the_ids_of_their_trace(server: OtlpServer, stderr: io.StringIO) -> None:
    """On stderr as JSON and at the back end as records: text, severity, attributes, ids."""
    telemetry = await Telemetry.start(settings(server.address, server.protocol, *ALL), Held(), FakeMeter(), RESOURCE)
    log = structlog.get_logger()
    with telemetry.tracer.start_as_current_span("run") as span:
        log.warning("orders stall", cause="lock_wait", pid=4312, age=74.5, waiting=True, password=Secret("s3cret"))
        ids = span.get_span_context()
    log.info("all is well \ud800")
    assert await telemetry.flush(20)
    stalled = records(server)["orders stall"]
    assert (stalled.severity_text, stalled.severity_number) == ("warning", 13)
    assert attributes(stalled) == {
        "cause": "lock_wait", "pid": 4312, "age": 74.5, "waiting": True, "password": "***",
    }  # fmt: skip
    assert (stalled.trace_id, stalled.span_id) == (ids.trace_id.to_bytes(16), ids.span_id.to_bytes(8))
    well = records(server)["all is well \ufffd"]
    assert (well.trace_id, well.severity_number) == (b"", 9)
    on_stderr = lines(stderr)[0]
    assert (on_stderr["event"], on_stderr["level"]) == ("orders stall", "warning")
    assert on_stderr["trace_id"] == trace.format_trace_id(ids.trace_id)
    assert on_stderr["span_id"] == trace.format_span_id(ids.span_id)
    assert "s3cret" not in stderr.getvalue()
    await telemetry.close(5)


async def test_a_named_event_arrives_as_one(server: OtlpServer, stderr: io.StringIO) -> None:
    """The name is the record's own, and no attribute of it; stderr has it too."""
    telemetry = await Telemetry.start(settings(server.address, server.protocol, *ALL), Held(), FakeMeter(), RESOURCE)
    told = {"event.name": "quaywatch.deployment", "deployment.name": "odoo", "deployment.environment.name": None}
    structlog.get_logger().info("deployment", **told)
    assert await telemetry.flush(20)
    record = records(server)["deployment"]
    assert record.event_name == "quaywatch.deployment"
    assert attributes(record) == {"deployment.name": "odoo"}
    assert "quaywatch.deployment" in stderr.getvalue()
    await telemetry.close(5)


async def test_an_exception_arrives_with_its_trace_back(server: OtlpServer, stderr: io.StringIO) -> None:
    """Under the name that OpenTelemetry gives it."""
    telemetry = await Telemetry.start(settings(server.address, server.protocol, "logs"), Held(), FakeMeter(), RESOURCE)
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("a defect")
    assert await telemetry.flush(20)
    assert "ValueError: invalid literal" in attributes(records(server)["a defect"])["exception.stacktrace"]
    assert "ValueError: invalid literal" in lines(stderr)[0]["exception"]
    await telemetry.close(5)


async def test_no_line_about_exporting_is_exported(server: OtlpServer, stderr: io.StringIO) -> None:
    """This room's own lines and the libraries' go to stderr alone, so a failing export feeds nothing."""
    telemetry = await Telemetry.start(settings(server.address, server.protocol, "logs"), Held(), FakeMeter(), RESOURCE)
    own_log.warning("metrics cannot be sent; they wait")
    for library in ("grpc", "opentelemetry.exporter.otlp", "aiohttp.client"):
        logging.getLogger(library).warning("transient error")
        logging.getLogger(library).info("chatter")
    structlog.get_logger().info("the one that leaves")
    assert await telemetry.flush(20)
    assert list(records(server)) == ["the one that leaves"]
    found = lines(stderr)
    assert [line["event"] for line in found] == [
        "metrics cannot be sent; they wait", *["transient error"] * 3, "the one that leaves",
    ]  # fmt: skip
    assert [line["logger"] for line in found if "logger" in line] == [
        "grpc", "opentelemetry.exporter.otlp", "aiohttp.client",
    ]  # fmt: skip
    assert all({"timestamp", "level", "event"} <= line.keys() for line in found)
    await telemetry.close(5)
    assert shipping.ship is None


async def test_outcomes_count_from_zero_for_what_is_on(server: OtlpServer) -> None:
    """The first failure is an increase; a signal that is off has no counters."""
    meter = FakeMeter()
    at = settings(server.address, server.protocol, "metrics", "logs", interval=3600.0)
    telemetry = await Telemetry.start(at, Held(), meter, RESOURCE)
    for outcome in ("sent", "partial", "poison", "outage", "overflow"):
        assert ("quaywatch.export.batches", "logs", outcome) in meter.values
        assert ("quaywatch.export.batches", "traces", outcome) not in meter.values
    for outcome in ("sent", "rejected", "poison", "overflow", "invalid"):
        assert ("quaywatch.export.points", outcome) in meter.values
        assert ("quaywatch.export.records", outcome) in meter.values
        assert ("quaywatch.export.spans", outcome) not in meter.values
    await telemetry.close(5)


async def test_the_environment_is_not_read_again(server: OtlpServer) -> None:
    """Where the configuration file won, nobody falls back to what lost."""
    wrong = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:1",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=other",
    }
    before = dict(os.environ)
    os.environ.update(wrong)
    try:
        at = settings(server.address, server.protocol, *ALL)
        telemetry = await Telemetry.start(at, Held(many(1)), FakeMeter(), RESOURCE)
        telemetry.tracer.start_span("one").end()
        assert await telemetry.flush(20)
        await telemetry.close(5)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert attributes(server.traces[0].request.resource_spans[0].resource) == RESOURCE


@pytest.mark.parametrize("signal", ["metrics", "traces", "logs"])
async def test_a_file_that_is_missing_at_the_start_is_told(protocol: Protocol, tmp_path: Path, signal: str) -> None:
    """It is a configuration error, and nothing was started then."""
    secret = (("authorization", Secret.of_file(tmp_path / "missing")),)
    line = SignalSettings(endpoint="http://localhost:1", protocol=protocol, headers=secret)
    at = OtlpSettings(**{signal: line})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="cannot be read"):
        await Telemetry.start(at, Held(), FakeMeter(), RESOURCE)
    assert shipping.ship is None


async def test_a_spool_that_is_in_use_is_told(protocol: Protocol, tmp_path: Path) -> None:
    """It is a configuration error, and nothing was started then."""
    other = Spool(tmp_path)
    other.open()
    at = settings("http://localhost:1", protocol, *ALL, spool=tmp_path)
    with pytest.raises(ConfigError, match="another agent uses it"):
        await Telemetry.start(at, Held(), FakeMeter(), RESOURCE)
    assert shipping.ship is None
    other.close()


async def test_a_span_with_text_that_is_no_unicode_does_not_cost_the_others(server: OtlpServer) -> None:
    """Everything else in the batch arrives."""
    telemetry = await Telemetry.start(
        settings(server.address, server.protocol, "traces"), Held(), FakeMeter(), RESOURCE
    )
    telemetry.tracer.start_span("bad", attributes={"text": "a\ud800"}).end()
    telemetry.tracer.start_span("good").end()
    await telemetry.flush(20)
    assert "good" in spans(server)
    await telemetry.close(5)
