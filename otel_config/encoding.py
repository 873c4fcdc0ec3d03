"""From what is fresh now to the batches that leave.

Encoding 20,000 series takes a tenth of a second of one core. So `Encoder.encode` is an iterator: whoever drains it on
an event loop yields between two batches, and is never held for longer than one batch of `CHUNK` points takes.
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from quaywatch.contract import Attributes, Kind, Meter, Metric, Series, Value

from . import wire
from .deltas import Deltas
from .soundness import Complaints, readable_attributes, sound_value
from .wire import Point, Temporality

# gRPC servers take 4 MiB of a message unless told otherwise; some of it is left to the frame.
BATCH_BYTES: Final = 4 * 2**20 - 2**16
CHUNK: Final = 500
# More costs time and gains nothing: names and attributes repeat so much that any level finds them.
_GZIP_LEVEL: Final = 1
_COUNTED: Final = (Kind.COUNTER, Kind.HISTOGRAM)


def compressed(payload: bytes) -> bytes:
    """An encoded request as it waits: the same bytes for the same request."""
    return gzip.compress(payload, _GZIP_LEVEL, mtime=0)


@dataclass(frozen=True, slots=True)
class Batch:
    """One encoded request of so many points, spans or records; ``payload`` gzip-compressed, ``made`` in Unix time."""

    payload: bytes
    items: int
    made: float


@dataclass(frozen=True, slots=True)
class _Live:
    """A series that was sent: what is needed to send it again quickly, and to end it."""

    metric: Metric
    attributes: bytes
    mended: bool


class Encoder:
    """Turns snapshots into batches and remembers what it sent, so that whatever vanishes is ended by one point.

    It is kept as long as its back end and its resource stay the same, over reloads of the targets too.

    Args:
        resource: the resource attributes of every batch.
        meter: where points that cannot leave are counted.
        temporality: of counters and histograms.
        since: Unix time the agent started; see `Deltas`.
        batch_bytes: the most bytes of an encoded request before compression.
    """

    def __init__(
        self,
        resource: Mapping[str, str],
        meter: Meter,
        *,
        temporality: Temporality = Temporality.CUMULATIVE,
        since: float = 0.0,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        self._resource = wire.resource_message(resource)
        self._temporality = temporality
        self._batch_bytes = batch_bytes
        self._complaints = Complaints(meter)
        self._deltas = Deltas(since)
        self._live: dict[tuple[str, Attributes], _Live] = {}

    def encode(self, series: Iterable[Series], now: float) -> Iterator[Batch]:
        """The batches that say how things are at ``now`` (Unix seconds), and what has ended since the last call."""
        points = self._points(series, now)
        while chunk := list(islice(points, CHUNK)):
            yield from self._batches(chunk, now)

    def _points(self, series: Iterable[Series], now: float) -> Iterator[Point]:
        live: dict[tuple[str, Attributes], _Live] = {}
        for one in series:
            value = sound_value(one.metric, one.value)
            told = self._told(one) if value is not None else None
            if value is None or told is None:
                self._complaints.invalid(one.metric, "its value or an attribute cannot be stored; dropped")
                continue
            live[one.key] = told
            point = self._point(one, told, value, now)
            if point is not None:
                yield point
        ended = [gone for key, gone in self._live.items() if key not in live]
        self._live = live
        self._deltas.finish(live.keys(), now)
        yield from (Point(gone.metric, gone.attributes, None) for gone in ended)

    def _told(self, series: Series) -> _Live | None:
        told = self._live.get(series.key) or self._first_told(series)
        if told is not None and told.mended:
            self._complaints.invalid(series.metric, "an attribute is not Unicode; mended")
        return told

    @staticmethod
    def _first_told(series: Series) -> _Live | None:
        attributes = readable_attributes(series.attributes)
        if attributes is None:
            return None
        encoded = wire.encoded_attributes(series.metric, attributes)
        return _Live(series.metric, encoded, mended=attributes != series.attributes)

    def _point(self, series: Series, told: _Live, value: Value, now: float) -> Point | None:
        if series.metric.kind not in _COUNTED:
            return Point(series.metric, told.attributes, value)
        start = series.start
        if self._temporality is Temporality.DELTA:
            step = self._deltas.step(series, value, now)
            if step is None:
                return None
            value, start = step.value, step.start
        # A source whose clock is ahead of ours may name a start to come, which no store would take.
        return Point(series.metric, told.attributes, value, wire.nanoseconds(min(start or 0.0, now)))

    def _batches(self, points: Sequence[Point], now: float) -> Iterator[Batch]:
        payload = wire.request(self._resource, points, wire.nanoseconds(now), self._temporality)
        if len(payload) <= self._batch_bytes:
            yield Batch(compressed(payload), len(points), now)
        elif len(points) > 1:
            half = len(points) // 2
            yield from self._batches(points[:half], now)
            yield from self._batches(points[half:], now)
        else:
            self._complaints.invalid(points[0].metric, "one point is larger than a whole batch may be; dropped")
