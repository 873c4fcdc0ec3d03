"""A run against a real Odoo can be told from people's work wherever its spans arrive."""

from __future__ import annotations

import time

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from quaywatch.clock import SystemClock
from quaywatch.contract import Outcome
from quaywatch.drivers.odoo import OdooServer
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import run_probe
from sandbox.world import World
from tests.integration.probes.support import address, target, task

PARTS = ("odoo19",)
INSTALLATION = "test-synthetic"


async def test_a_run_is_marked_as_synthetic(world: World) -> None:
    """Row 34: each span of a run, of its steps and of its undoing says that no person did it."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    driver = OdooServer(address(world.odoo19))
    record = await run_probe(
        task(world.odoo19),
        driver,
        target=target(world.odoo19),
        tick=time.time(),
        installation=INSTALLATION,
        meter=Instruments("", SystemClock()),
        tracer=provider.get_tracer("test"),
        clock=SystemClock(),
    )
    await driver.close()
    assert record.outcome is Outcome.SUCCESS
    found = {span.name: span.attributes or {} for span in spans.get_finished_spans()}
    assert {"probe order_create", "step confirm"} <= set(found)
    assert {name for name, said in found.items() if said.get("user_agent.synthetic.type") != "test"} == set()
