"""Metrics: what is measured, and the series that leave."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

_METRIC_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_VERSION = re.compile(r"\d+\.\d+")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")


class Kind(StrEnum):
    """How the values of a metric behave over time."""

    GAUGE = "gauge"
    """A level that is read, not additive: an age, a ratio, a 0/1 state."""
    UPDOWN = "updown"
    """A level that adds up over attributes: sessions, jobs, bytes in use. A non-monotonic OTLP sum."""
    COUNTER = "counter"
    """A cumulative count since a start time. A monotonic OTLP sum."""
    HISTOGRAM = "histogram"
    """A cumulative distribution over explicit bounds."""


class Stability(StrEnum):
    """What users may rely on: a stable name never changes its meaning or unit."""

    DEVELOPMENT = "development"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One value that was recorded, and the span that tells how it came about.

    Args:
        value: the value, in the metric's unit.
        at: Unix time at which it was recorded.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.

    Raises:
        ValueError: when the value is not finite, or an id is none.
    """

    value: float
    at: float
    trace_id: str
    span_id: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"the value {self.value} of an exemplar: a finite number is expected")
        if not (_TRACE_ID.fullmatch(self.trace_id) and _SPAN_ID.fullmatch(self.span_id)):
            raise ValueError(f"the span {self.trace_id!r}, {self.span_id!r}: 32 and 16 hexadecimal digits are expected")


@dataclass(frozen=True, slots=True)
class Distribution:
    """The value of one histogram series.

    ``counts`` has one more entry than the metric's ``bounds``: the last counts what lies above all of them.
    ``exemplars`` are the last traced values, one of a bucket at most.
    """

    counts: tuple[int, ...]
    sum: float
    exemplars: tuple[Exemplar, ...] = ()

    @property
    def count(self) -> int:
        """How many values were recorded in all."""
        return sum(self.counts)


Value = int | float | Distribution


@dataclass(frozen=True, slots=True)
class Former:
    """The name that a metric had before: versions before ``until``, such as ``0.3``, emit both.

    Raises:
        ValueError: when the name is not well formed, or ``until`` is no version.
    """

    name: str
    until: str

    def __post_init__(self) -> None:
        if not _METRIC_NAME.fullmatch(self.name):
            raise ValueError(f"former metric name {self.name!r}: dotted lower-case words are expected")
        if not _VERSION.fullmatch(self.until):
            raise ValueError(f"former metric name {self.name}: until {self.until!r}: a version as 0.3 is expected")

    def is_emitted_by(self, version: str) -> bool:
        """Whether this version of the agent still emits the name."""
        return _numbers(version) < _numbers(self.until)


def _numbers(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, declared once, next to the code that reads it.

    Args:
        name: dotted lower-case OpenTelemetry name; never holds the unit.
        kind: how its values behave.
        unit: UCUM unit.
        help: one sentence for a tired reader.
        attributes: names of the attributes that a sample fills, in order. The runtime adds ``target``,
            ``environment`` and, for a tenant's reading, ``database``.
        stability: what users may rely on.
        bounds: upper bounds of a histogram's buckets, ascending.
        budget: the most series of this metric one target may have; what is beyond goes to an overflow series.
        former: the name that it had, for as long as both are emitted.

    Raises:
        ValueError: when a name is not well formed, or bounds and kind do not fit.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    attributes: tuple[str, ...] = ()
    stability: Stability = Stability.DEVELOPMENT
    bounds: tuple[float, ...] = ()
    budget: int = 2000
    former: Former | None = None

    def __post_init__(self) -> None:
        if not _METRIC_NAME.fullmatch(self.name):
            raise ValueError(f"metric name {self.name!r}: dotted lower-case words are expected")
        wrong = [name for name in self.attributes if not _ATTRIBUTE_NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"metric {self.name}: attribute names {wrong}: lower-case words are expected")
        if (self.kind is Kind.HISTOGRAM) != bool(self.bounds) or list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError(f"metric {self.name}: ascending bounds go with a histogram, and only with one")

    def __call__(self, value: Value, *attributes: str, start: float | None = None) -> Sample:
        """A sample of this metric; ``attributes`` are the values in declared order.

        Raises:
            ValueError: when their number is not that of the declaration.
        """
        if len(attributes) != len(self.attributes):
            raise ValueError(f"metric {self.name} takes the attributes {self.attributes}, not {attributes}")
        return Sample(self, value, attributes, start)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value an exporter read. ``start`` is the source's own reset time of a counter (Unix seconds), if known."""

    metric: Metric
    value: Value
    attributes: tuple[str, ...] = ()
    start: float | None = None


Attributes = tuple[tuple[str, str], ...]
"""Attribute pairs sorted by name; a pair with an empty value is left out, since both stores take it as absent."""


@dataclass(frozen=True, slots=True)
class Series:
    """What leaves: one series with its whole identity, as both sinks read it from the snapshot.

    ``start`` is the Unix time from which a counter or histogram counts; None for the other kinds.
    """

    metric: Metric
    attributes: Attributes
    value: Value
    start: float | None = None

    @property
    def key(self) -> tuple[str, Attributes]:
        """The identity: metric name and attributes."""
        return (self.metric.name, self.attributes)


class Snapshot(Protocol):
    """What the sinks read: everything that is fresh now."""

    def series(self) -> Sequence[Series]:
        """All series that are fresh at this moment, each key once."""
        ...


class Meter(Protocol):
    """Where the agent's own rooms leave their numbers; kept in memory, read by the sinks with the snapshot."""

    def add(self, metric: Metric, amount: float, *attributes: str) -> None:
        """Add to a counter. ``add(metric, 0, ...)`` makes the series start at 0, so that the first event counts."""
        ...

    def set(self, metric: Metric, value: float, *attributes: str) -> None:
        """Set a gauge or an up-down value; it stays until it is set again or cleared."""
        ...

    def record(self, metric: Metric, value: float, *attributes: str) -> None:
        """Record one value into a histogram; within a sampled span it becomes an exemplar."""
        ...

    def clear(self, metric: Metric, *attributes: str) -> None:
        """End the series that have these leading attribute values."""
        ...
