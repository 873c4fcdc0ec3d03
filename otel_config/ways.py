"""Each signal's way out: what gives it its contents, and what queues and sends them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan

from quaywatch.clock import Clock
from quaywatch.contract import Meter, Snapshot

from .catalogue import Signal
from .intake import Intake
from .logs import encoder, record
from .metrics import metrics
from .pump import Pump, Source
from .queue import BatchQueue
from .sender import Sender
from .settings import OtlpSettings
from .spool import Spool
from .tally import Tally
from .transport import transport

_SHARE: Final = 4
"""Spans and lines, which are few beside metrics, may each wait in so many parts of what metrics may wait in."""


@dataclass(slots=True, eq=False)
class Ways:
    """The ways of the signals that are on. ``take`` is given spans, and ``ship`` lines of the log, where these are."""

    pumps: list[Pump] = field(default_factory=list)
    take: Callable[[ReadableSpan], None] | None = None
    ship: Callable[[Mapping[str, Any]], None] | None = None

    async def start(self) -> None:
        """Begin on all of them, or on none. Raises ConfigError when a spool cannot be used."""
        for at, pump in enumerate(self.pumps):
            try:
                await pump.open()
            except BaseException:
                for opened in self.pumps[:at]:
                    await opened.let_go()
                raise
        for pump in self.pumps:
            pump.start()


def ways(
    settings: OtlpSettings, snapshot: Snapshot, meter: Meter, resource: Mapping[str, str], since: float, clock: Clock
) -> Ways:
    """The ways out that these settings ask for; metrics are counted since the Unix time ``since``."""
    made = Ways()
    if settings.metrics:
        source = metrics(settings, snapshot, meter, resource, since, clock)
        made.pumps.append(_pump(source, settings, Tally("metrics", meter, clock)))
    if settings.traces:
        tally = Tally("traces", meter, clock)
        spans = Intake(_encoded, tally, settings.batch_bytes)
        made.pumps.append(_pump(spans, settings, tally))
        made.take = spans.add
    if settings.logs:
        tally = Tally("logs", meter, clock)
        records = Intake(encoder(resource), tally, settings.batch_bytes)
        made.pumps.append(_pump(records, settings, tally))
        made.ship = lambda event: records.add(record(event))
    return made


def _encoded(spans: Sequence[ReadableSpan]) -> bytes:
    return encode_spans(spans).SerializeToString()


def _pump(source: Source, settings: OtlpSettings, tally: Tally) -> Pump:
    signal, clock = tally.signal, tally.clock
    every = {"metrics": settings.interval, "traces": settings.spans_every, "logs": settings.lines_every}[signal]
    most = settings.queue_bytes if signal == "metrics" else settings.queue_bytes // _SHARE
    queue = BatchQueue(most, tally, clock, _spool(settings, signal))
    sender = Sender(transport(signal, getattr(settings, signal)), queue, tally, clock)
    return Pump(signal, source, queue, sender, every, clock)


def _spool(settings: OtlpSettings, signal: Signal) -> Spool | None:
    """The metrics' batches stand in the directory itself, the others' below it."""
    if settings.spool is None:
        return None
    return Spool(settings.spool if signal == "metrics" else settings.spool / signal)
