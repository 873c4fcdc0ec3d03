"""What we send of spans, held to the exporters of `opentelemetry-exporter-otlp`."""

from __future__ import annotations

import asyncio
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Link, StatusCode

from otel_config.settings import Protocol
from otel_config.traces import tracer
from otel_config.ways import ways
from quaywatch.clock import SystemClock
from tests.integration.otel_config.otlp_server import OtlpServer
from tests.integration.otel_config.support import RESOURCE, settings
from tests.unit.otel_config.fakes import FakeMeter, Held


def exporter(server: OtlpServer) -> Any:
    """The package's own exporter for the server's protocol."""
    if server.protocol is Protocol.GRPC:
        return GrpcExporter(endpoint=server.address, insecure=True)
    return HttpExporter(endpoint=f"{server.address}/v1/traces")


def run_of_a_probe() -> list[ReadableSpan]:
    """A trace with everything that ours may have: a parent, attributes of each type, an event, a link, an error."""
    made: list[ReadableSpan] = []
    maker = tracer(RESOURCE, made.append)
    with maker.start_as_current_span(
        "probe", attributes={"a": "ä", "b": 1, "c": 1.5, "d": True, "e": ["x", "y"]}
    ) as run:
        link = Link(run.get_span_context(), {"why": "a retry"})
        with maker.start_as_current_span("step", links=[link]) as step:
            step.add_event("quaywatch.evidence", {"quaywatch.cause": "lock_wait"})
            step.set_status(StatusCode.ERROR, "no answer within 10 s")
    return made


async def test_a_trace_arrives_as_the_sdks_own_exporter_sends_it(server: OtlpServer) -> None:
    """The same spans by that exporter and by our queue and sender: a back end cannot tell them apart."""
    spans, theirs = run_of_a_probe(), exporter(server)
    try:
        assert await asyncio.to_thread(theirs.export, spans) is SpanExportResult.SUCCESS
    finally:
        await asyncio.to_thread(theirs.shutdown)
    ours = ways(settings(server.address, server.protocol, "traces"), Held(), FakeMeter(), RESOURCE, 0.0, SystemClock())
    await ours.start()
    assert ours.take is not None
    for span in spans:
        ours.take(span)
    (pump,) = ours.pumps
    await pump.close(20)
    by_exporter, by_us = (took.request for took in server.traces)
    assert by_us == by_exporter
    assert len(by_us.resource_spans[0].scope_spans[0].spans) == 2
