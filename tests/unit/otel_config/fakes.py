"""Seams of the room, filled for tests: a meter that is read, a clock that is set, a wire that answers as told."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp

from otel_config.encoding import Batch
from otel_config.outcome import Outcome, Sent
from otel_config.structured import Format, Level, configure_logging
from quaywatch.contract import Kind, Metric, Series, Value


class FakeMeter:
    """Remembers what it was told, by metric name and attribute values."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}

    def add(self, metric: Metric, amount: float, *attributes: str) -> None:
        """Add to a counter."""
        key = (metric.name, *attributes)
        self.values[key] = self.values.get(key, 0) + amount

    def set(self, metric: Metric, value: float, *attributes: str) -> None:
        """Set a level."""
        self.values[(metric.name, *attributes)] = value

    def record(self, metric: Metric, value: float, *attributes: str) -> None:
        """Nothing here records."""
        raise NotImplementedError

    def clear(self, metric: Metric, *attributes: str) -> None:
        """Nothing here clears."""
        raise NotImplementedError

    def points(self, outcome: str) -> float:
        """How many points had this outcome."""
        return self.values.get(("quaywatch.export.points", outcome), 0)

    def items(self, of: str, outcome: str) -> float:
        """How many ``spans``, ``records`` or ``points`` had this outcome."""
        return self.values.get((f"quaywatch.export.{of}", outcome), 0)

    def batches(self, outcome: str, signal: str = "metrics") -> float:
        """How many batches of a signal had this outcome."""
        return self.values.get(("quaywatch.export.batches", signal, outcome), 0)


class FakeClock:
    """Time that passes when somebody sleeps: a sleep moves the clock and is over."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.naps: list[float] = []

    def time(self) -> float:
        """The time of day."""
        return self.now

    def monotonic(self) -> float:
        """The same, as it never runs backwards here."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let the others run, then be so many seconds later."""
        self.naps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class Held:
    """A snapshot that is set by hand."""

    content: Sequence[Series] = field(default_factory=tuple)

    def series(self) -> Sequence[Series]:
        """What was set."""
        return self.content


class Wire:
    """A transport that keeps what it is sent and answers from a list; once that is empty, with yes."""

    def __init__(self, answers: Iterable[Outcome | Callable[[], Outcome]] = ()) -> None:
        self.sent: list[bytes] = []
        self.attempts = 0
        self._answers = iter(answers)

    async def send(self, payload: bytes) -> Outcome:
        """Answer as told."""
        self.attempts += 1
        answer = next(self._answers, Sent())
        outcome = answer() if callable(answer) else answer
        if isinstance(outcome, Sent):
            self.sent.append(payload)
        return outcome

    async def close(self) -> None:
        """Nothing is open."""


def series(metric: Metric, value: object, start: float | None = None, **attributes: object) -> Series:
    """A series, possibly with a value or attributes that should not be."""
    told: Value = value  # type: ignore[assignment]
    pairs: list[tuple[str, str]] = sorted(attributes.items())  # type: ignore[arg-type]
    return Series(metric, tuple(pairs), told, start)


def many(count: int, metric: Metric | None = None) -> list[Series]:
    """So many series of one gauge, as long as real ones are."""
    metric = metric or Metric("postgresql.lock.wait.longest", Kind.GAUGE, "s", "Longest wait.", ("database", "mode"))
    return [
        series(metric, index / 2, database=f"tenant_{index:05d}", environment="production", target="erp-db")
        for index in range(count)
    ]


def decoded(batches: Iterable[Batch]) -> list[ExportMetricsServiceRequest]:
    """The requests in batches."""
    return [ExportMetricsServiceRequest.FromString(gzip.decompress(batch.payload)) for batch in batches]


def metrics_in(requests: Iterable[ExportMetricsServiceRequest]) -> Iterator[otlp.Metric]:
    """Every metric of the requests."""
    for request in requests:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                yield from scope.metrics


def points_in(metric: otlp.Metric) -> Sequence[otlp.NumberDataPoint] | Sequence[otlp.HistogramDataPoint]:
    """The points of one metric, whatever its kind."""
    data = getattr(metric, metric.WhichOneof("data") or "gauge")
    points: Sequence[otlp.NumberDataPoint] = data.data_points
    return points


def identities(requests: Iterable[ExportMetricsServiceRequest]) -> list[tuple[str, ...]]:
    """Name and attributes of every point."""
    return [
        (metric.name, *(f"{pair.key}={pair.value.string_value}" for pair in point.attributes))
        for metric in metrics_in(requests)
        for point in points_in(metric)
    ]


@contextmanager
def logging_into(level: Level, fmt: Format = "json") -> Iterator[io.StringIO]:
    """Logging as the agent sets it up, into a text; afterwards as it was."""
    root = logging.getLogger()
    before, least = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(level, fmt, stream)
    try:
        yield stream
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(capture=False)
        root.handlers[:] = before
        root.setLevel(least)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """A log of JSON, line by line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]
