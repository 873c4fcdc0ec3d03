"""The agent's own numbers, kept in memory and read by the sinks with the snapshot."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from quaywatch.clock import Clock
from quaywatch.contract import Attributes, Distribution, Exemplar, Kind, Metric, Series


@dataclass(slots=True)
class _Cell:
    """One series. ``counts`` is a histogram's buckets; ``value`` its sum, or the plain value.

    ``exemplars`` has the last traced value of each bucket.
    """

    attributes: Attributes
    born: float
    value: float = 0
    counts: list[int] = field(default_factory=list)
    exemplars: dict[int, Exemplar] = field(default_factory=dict)

    def series(self, metric: Metric) -> Series:
        if metric.kind is Kind.HISTOGRAM:
            value = Distribution(tuple(self.counts), self.value, tuple(self.exemplars.values()))
            return Series(metric, self.attributes, value, self.born)
        return Series(metric, self.attributes, self.value, self.born if metric.kind is Kind.COUNTER else None)


class Instruments:
    """Implements `quaywatch.contract.Meter` and `quaywatch.contract.Snapshot`.

    Counters and histograms count from the moment their series was first touched. ``environment`` becomes an attribute
    of every series; an empty attribute value is left out.
    """

    def __init__(self, environment: str, clock: Clock) -> None:
        self._environment = environment
        self._clock = clock
        self._cells: dict[str, dict[tuple[str, ...], _Cell]] = {}
        self._metrics: dict[str, Metric] = {}

    def add(self, metric: Metric, amount: float, *attributes: str) -> None:
        """Add to a counter; adding 0 makes the series start at 0.

        Raises:
            ValueError: when the metric is no counter, or the amount negative.
        """
        _expect(metric, Kind.COUNTER)
        if amount < 0:
            raise ValueError(f"{metric.name} is a counter and cannot take {amount}")
        self._cell(metric, attributes).value += amount

    def set(self, metric: Metric, value: float, *attributes: str) -> None:
        """Set a gauge or an up-down value; it stays until it is set again or cleared.

        Raises:
            ValueError: when the metric counts.
        """
        _expect(metric, Kind.GAUGE, Kind.UPDOWN)
        self._cell(metric, attributes).value = value

    def record(self, metric: Metric, value: float, *attributes: str) -> None:
        """Record one value into a histogram; within a sampled span it becomes the exemplar of its bucket.

        Raises:
            ValueError: when the metric is no histogram.
        """
        _expect(metric, Kind.HISTOGRAM)
        cell = self._cell(metric, attributes)
        bucket = bisect_left(metric.bounds, value)
        cell.counts[bucket] += 1
        cell.value += value
        span = get_current_span().get_span_context()
        if span.trace_flags.sampled:
            ids = format_trace_id(span.trace_id), format_span_id(span.span_id)
            cell.exemplars[bucket] = Exemplar(float(value), self._clock.time(), *ids)

    def clear(self, metric: Metric, *attributes: str) -> None:
        """End the series that have these leading attribute values."""
        cells = self._cells.get(metric.name, {})
        if len(attributes) == len(metric.attributes):  # thousands of tenants end one by one: no search for each
            cells.pop(attributes, None)
            return
        for key in [key for key in cells if key[: len(attributes)] == attributes]:
            del cells[key]

    def series(self) -> list[Series]:
        """All series of the agent's own metrics."""
        return [
            cell.series(self._metrics[name]) for name, cells in self._cells.items() for cell in list(cells.values())
        ]

    def _cell(self, metric: Metric, attributes: tuple[str, ...]) -> _Cell:
        cells = self._cells.setdefault(metric.name, {})
        cell = cells.get(attributes)
        if cell is None:
            cell = cells[attributes] = self._new(metric, attributes)
        return cell

    def _new(self, metric: Metric, attributes: tuple[str, ...]) -> _Cell:
        self._metrics[metric.name] = metric
        given = metric(0, *attributes).attributes
        pairs = named([("environment", self._environment), *zip(metric.attributes, given, strict=True)])
        counts = [0] * (len(metric.bounds) + 1) if metric.kind is Kind.HISTOGRAM else []
        return _Cell(pairs, self._clock.time(), counts=counts)


def named(pairs: Iterable[tuple[str, str]]) -> Attributes:
    """Attribute pairs as a series bears them: sorted, each name once (the last value counts), none empty."""
    return tuple(sorted((name, value) for name, value in dict(pairs).items() if value))


def _expect(metric: Metric, *kinds: Kind) -> None:
    if metric.kind not in kinds:
        raise ValueError(f"{metric.name} is a {metric.kind}, which does not work this way")
