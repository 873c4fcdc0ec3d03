"""What the tests of probes' runs share: a small probe, a tracer that is read, a meter that is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from quaywatch.clock import SystemClock
from quaywatch.contract import (
    Probe,
    ProbeTask,
    Series,
    SweepOrder,
    Swept,
    Target,
    TargetKind,
    Transaction,
    Transport,
)
from quaywatch.runtime.instruments import Instruments

TARGET = Target("erp", TargetKind.ODOO)
Run = Callable[[Any, Any, Transaction], Awaitable[None]]


class Spans:
    """A tracer, and what it was told."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = provider.get_tracer("test")

    def ended(self) -> list[ReadableSpan]:
        """All spans in the order in which they ended."""
        return list(self._exporter.get_finished_spans())

    def one(self, name: str) -> ReadableSpan:
        """The span of this name."""
        (span,) = [span for span in self.ended() if span.name == name]
        return span


class Numbers(Instruments):
    """A meter that is asked for single values."""

    def __init__(self) -> None:
        super().__init__("", SystemClock())

    def of(self, metric: str, **attributes: str) -> Any:
        """The value of one series; None when there is none."""
        wanted = set(attributes.items())
        found: list[Series] = [
            one for one in self.series() if one.metric.name == metric and wanted <= set(one.attributes)
        ]
        assert len(found) <= 1
        return found[0].value if found else None


@dataclass(frozen=True)
class NoOptions:
    """Nothing to set."""


async def sweeps_nothing(_driver: Any, _options: Any, _order: SweepOrder) -> Swept:
    """A sweep without anything to do."""
    return Swept()


def task(run: Run, *, deadline: float = 5, undo_within: float = 5, sweep: Any = sweeps_nothing) -> ProbeTask:
    """A probe with the steps ``one`` and ``two``."""
    probe: Probe[Any, Any] = Probe(
        name="small_flow",
        flow="small-flow",
        transport=Transport.RPC,
        drives=TargetKind.ODOO,
        options=NoOptions,
        steps=("one", "two"),
        run=run,
        sweep=sweep,
        undo_within=undo_within,
    )
    return ProbeTask(probe, NoOptions(), every=60, deadline=deadline)
