"""Points as an OTLP request. Knows the protocol's messages and nothing of what was sent before."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from quaywatch.contract import Attributes, Distribution, Exemplar, Kind, Metric, Value

NO_RECORDED_VALUE: Final = otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
# Stores may make labels of the scope: a version in it would change every series with each upgrade.
SCOPE: Final = InstrumentationScope(name="quaywatch")


class Temporality(StrEnum):
    """Whether counters and histograms are sent as running totals or as what came since the last export."""

    CUMULATIVE = "cumulative"
    DELTA = "delta"


class Point(NamedTuple):
    """One point to send. ``value`` is None where the series has ended; ``start`` in nanoseconds, 0 for none.

    ``attributes`` is what `encoded_attributes` gave: they are encoded once in the life of a series, and as bytes they
    are no work for the garbage collector either.
    """

    metric: Metric
    attributes: bytes
    value: Value | None
    start: int = 0


_Add = Callable[[Point, int], None]
_TEMPORALITIES: Final = {
    Temporality.CUMULATIVE: otlp.AGGREGATION_TEMPORALITY_CUMULATIVE,
    Temporality.DELTA: otlp.AGGREGATION_TEMPORALITY_DELTA,
}


def nanoseconds(seconds: float) -> int:
    """Unix seconds as OTLP counts them; microseconds are kept."""
    return round(seconds * 1e6) * 1000


def pair(name: str, value: str) -> KeyValue:
    """One attribute."""
    return KeyValue(key=name, value=AnyValue(string_value=value))


def encoded_attributes(metric: Metric, attributes: Attributes) -> bytes:
    """The attributes as the beginning of a point of this metric."""
    kind = otlp.HistogramDataPoint if metric.kind is Kind.HISTOGRAM else otlp.NumberDataPoint
    return kind(attributes=[pair(name, value) for name, value in attributes]).SerializeToString()


def resource_message(attributes: Mapping[str, str]) -> Resource:
    """The resource with these attributes, in the order of their names."""
    return Resource(attributes=[pair(name, attributes[name]) for name in sorted(attributes)])


def request(resource: Resource, points: Iterable[Point], now: int, temporality: Temporality) -> bytes:
    """The points as one encoded request with one resource and one scope; all bear the time ``now``."""
    message = ExportMetricsServiceRequest()
    scope = message.resource_metrics.add(resource=resource).scope_metrics.add(scope=SCOPE)
    adders: dict[tuple[str, Kind], _Add] = {}
    for point in points:
        identity = (point.metric.name, point.metric.kind)
        add = adders.get(identity)
        if add is None:
            add = adders[identity] = _adder(scope, point.metric, temporality)
        add(point, now)
    return message.SerializeToString()


def _adder(scope: otlp.ScopeMetrics, metric: Metric, temporality: Temporality) -> _Add:
    """Adds the metric itself to the scope; what is returned adds its points."""
    message = scope.metrics.add(name=metric.name, description=metric.help, unit=metric.unit)
    if metric.kind is Kind.GAUGE:
        return _numbers(message.gauge.data_points)
    if metric.kind is Kind.HISTOGRAM:
        message.histogram.aggregation_temporality = _TEMPORALITIES[temporality]
        return _distributions(message.histogram.data_points)
    counter = metric.kind is Kind.COUNTER
    message.sum.is_monotonic = counter
    # A level that goes up and down has no delta that a store could use: always cumulative.
    message.sum.aggregation_temporality = _TEMPORALITIES[temporality if counter else Temporality.CUMULATIVE]
    return _numbers(message.sum.data_points)


def _numbers(points: Any) -> _Add:
    def add(told: Point, now: int) -> None:
        point = points.add()
        _begin(point, told, now)
        if isinstance(told.value, int):
            point.as_int = told.value
        elif told.value is not None:
            point.as_double = told.value

    return add


def _distributions(points: Any) -> _Add:
    def add(told: Point, now: int) -> None:
        point = points.add()
        _begin(point, told, now)
        bounds = told.metric.bounds
        # An end names its buckets and a sum as well: a store ends only those series of a histogram that it is shown.
        value = told.value if isinstance(told.value, Distribution) else Distribution((0,) * (len(bounds) + 1), 0.0)
        point.count, point.sum = value.count, value.sum
        point.bucket_counts.extend(value.counts)
        point.explicit_bounds.extend(bounds)
        point.exemplars.extend(map(_exemplar, value.exemplars))

    return add


def _exemplar(told: Exemplar) -> otlp.Exemplar:
    return otlp.Exemplar(
        as_double=told.value,
        time_unix_nano=nanoseconds(told.at),
        trace_id=bytes.fromhex(told.trace_id),
        span_id=bytes.fromhex(told.span_id),
    )


def _begin(point: Any, told: Point, now: int) -> None:
    point.ParseFromString(told.attributes)
    point.time_unix_nano = now
    point.start_time_unix_nano = told.start
    if told.value is None:
        point.flags = NO_RECORDED_VALUE
