"""Points as an OTLP request. Knows the protocol's messages and nothing of what was sent before."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from quaywatch.contract import Distribution, Kind, Metric, Value

NO_RECORDED_VALUE: Final = otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
# Stores may make labels of the scope: a version in it would change every series with each upgrade.
SCOPE: Final = InstrumentationScope(name="quaywatch")


class Temporality(StrEnum):
    """Whether counters and histograms are sent as running totals or as what came since the last export."""

    CUMULATIVE = "cumulative"
    DELTA = "delta"


class Point(NamedTuple):
    """One point to send. ``value`` is None where the series has ended; ``start`` in nanoseconds, 0 for none."""

    metric: Metric
    attributes: Sequence[KeyValue]
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
    def add(point: Point, now: int) -> None:
        common = {"attributes": point.attributes, "time_unix_nano": now, "start_time_unix_nano": point.start}
        if point.value is None:
            points.add(**common, flags=NO_RECORDED_VALUE)
        elif isinstance(point.value, int):
            points.add(**common, as_int=point.value)
        else:
            points.add(**common, as_double=point.value)

    return add


def _distributions(points: Any) -> _Add:
    def add(point: Point, now: int) -> None:
        bounds = point.metric.bounds
        ended = not isinstance(point.value, Distribution)
        # An end names its buckets and a sum as well: a store ends only those series of a histogram that it is shown.
        value = point.value if isinstance(point.value, Distribution) else Distribution((0,) * (len(bounds) + 1), 0.0)
        points.add(
            attributes=point.attributes,
            time_unix_nano=now,
            start_time_unix_nano=point.start,
            flags=NO_RECORDED_VALUE if ended else 0,
            count=value.count,
            sum=value.sum,
            bucket_counts=value.counts,
            explicit_bounds=bounds,
        )

    return add
