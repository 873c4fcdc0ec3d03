"""What the recorder keeps of OTLP: spans, log records and metric points, as records and as lines of JSON.

Times are seconds since the epoch; trace and span ids are lower-case hex, empty where the sender left them out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp
from opentelemetry.proto.trace.v1 import trace_pb2

Attributes = Mapping[str, Any]
_NANOSECONDS = 1e9


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened at one moment of a span."""

    name: str
    time: float
    attributes: Attributes


@dataclass(frozen=True, kw_only=True)
class Link:
    """A span that another one names as its cause without being its parent."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, kw_only=True)
class Span:
    """One finished span; `kind` and `status` are words such as `client` and `error`."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start: float
    end: float
    status: str
    status_message: str
    attributes: Attributes
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    resource: Attributes
    scope: str

    @property
    def duration(self) -> float:
        """From start to end, in seconds."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class Log:
    """One log record; `severity` is the sender's own word for it, `severity_number` OTLP's 1 to 24."""

    time: float
    severity: str
    severity_number: int
    body: Any
    attributes: Attributes
    trace_id: str
    span_id: str
    resource: Attributes
    scope: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of one metric, of the kind `gauge`, `sum` or `histogram`.

    `value` is a histogram's sum, and None when `no_value` says that the series ended. `start` is 0 when the sender
    named none. `count`, `bounds` and `buckets` are a histogram's, else 0 and empty.
    """

    name: str
    kind: str
    unit: str
    monotonic: bool
    temporality: str
    value: float | None
    no_value: bool
    start: float
    time: float
    attributes: Attributes
    resource: Attributes
    scope: str
    count: int = 0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()


def spans_of(batch: Iterable[trace_pb2.ResourceSpans]) -> Iterator[Span]:
    """Every span of an export request."""
    for part in batch:
        resource = _attributes(part.resource.attributes)
        for scope in part.scope_spans:
            for span in scope.spans:
                yield _span(span, resource, scope.scope.name)


def _span(span: trace_pb2.Span, resource: Attributes, scope: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=_word(trace_pb2.Span.SpanKind.Name(span.kind), "SPAN_KIND_"),
        start=span.start_time_unix_nano / _NANOSECONDS,
        end=span.end_time_unix_nano / _NANOSECONDS,
        status=_word(trace_pb2.Status.StatusCode.Name(span.status.code), "STATUS_CODE_"),
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        events=tuple(_event(event) for event in span.events),
        links=tuple(_link(link) for link in span.links),
        resource=resource,
        scope=scope,
    )


def _event(event: trace_pb2.Span.Event) -> Event:
    time = event.time_unix_nano / _NANOSECONDS
    return Event(name=event.name, time=time, attributes=_attributes(event.attributes))


def _link(link: trace_pb2.Span.Link) -> Link:
    attributes = _attributes(link.attributes)
    return Link(trace_id=link.trace_id.hex(), span_id=link.span_id.hex(), attributes=attributes)


def logs_of(batch: Iterable[ResourceLogs]) -> Iterator[Log]:
    """Every log record of an export request."""
    for part in batch:
        resource = _attributes(part.resource.attributes)
        for scope in part.scope_logs:
            for record in scope.log_records:
                yield _log(record, resource, scope.scope.name)


def _log(record: LogRecord, resource: Attributes, scope: str) -> Log:
    return Log(
        time=(record.time_unix_nano or record.observed_time_unix_nano) / _NANOSECONDS,
        severity=record.severity_text,
        severity_number=int(record.severity_number),
        body=_value(record.body),
        attributes=_attributes(record.attributes),
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        resource=resource,
        scope=scope,
    )


def points_of(batch: Iterable[otlp.ResourceMetrics]) -> Iterator[Point]:
    """Every gauge, sum and histogram point of an export request; exponential histograms and summaries are left out."""
    for part in batch:
        resource = _attributes(part.resource.attributes)
        for scope in part.scope_metrics:
            for metric in scope.metrics:
                for point in _points(metric):
                    yield Point(**point, resource=resource, scope=scope.scope.name)


def _points(metric: otlp.Metric) -> Iterator[dict[str, Any]]:
    kind = metric.WhichOneof("data")
    about: dict[str, Any] = {"name": metric.name, "unit": metric.unit, "kind": kind}
    if kind == "gauge":
        for number in metric.gauge.data_points:
            yield {**about, "monotonic": False, "temporality": "unspecified", **_number(number)}
    elif kind == "sum":
        about |= {"monotonic": metric.sum.is_monotonic, "temporality": _temporality(metric.sum)}
        for number in metric.sum.data_points:
            yield {**about, **_number(number)}
    elif kind == "histogram":
        about |= {"monotonic": True, "temporality": _temporality(metric.histogram)}
        for histogram in metric.histogram.data_points:
            yield {**about, **_histogram(histogram)}


def _number(point: otlp.NumberDataPoint) -> dict[str, Any]:
    which = point.WhichOneof("value")
    value = None if which is None else float(getattr(point, which))
    return {**_common(point), "value": value}


def _histogram(point: otlp.HistogramDataPoint) -> dict[str, Any]:
    return {
        **_common(point),
        "value": point.sum if point.HasField("sum") else None,
        "count": point.count,
        "bounds": tuple(point.explicit_bounds),
        "buckets": tuple(point.bucket_counts),
    }


def _common(point: otlp.NumberDataPoint | otlp.HistogramDataPoint) -> dict[str, Any]:
    return {
        "no_value": bool(point.flags & otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK),
        "start": point.start_time_unix_nano / _NANOSECONDS,
        "time": point.time_unix_nano / _NANOSECONDS,
        "attributes": _attributes(point.attributes),
    }


def _temporality(data: otlp.Sum | otlp.Histogram) -> str:
    return _word(otlp.AggregationTemporality.Name(data.aggregation_temporality), "AGGREGATION_TEMPORALITY_")


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [_value(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    plain = getattr(value, which)
    return plain.hex() if which == "bytes_value" else plain


def line(record: Span | Log | Point) -> str:
    """One record as a line of JSON, its type under `record`."""
    return json.dumps({"record": type(record).__name__, **asdict(record)}) + "\n"


def read_spans(path: Path) -> list[Span]:
    """Every span in a recorder's file, in the order of arrival; none when there is no file yet."""
    return [_span_from(fields) for fields in _lines(path, Span)]


def read_logs(path: Path) -> list[Log]:
    """Every log record in a recorder's file, in the order of arrival; none when there is no file yet."""
    return [Log(**fields) for fields in _lines(path, Log)]


def read_points(path: Path) -> list[Point]:
    """Every metric point in a recorder's file, in the order of arrival; none when there is no file yet."""
    return [_point_from(fields) for fields in _lines(path, Point)]


def _span_from(fields: dict[str, Any]) -> Span:
    events = tuple(Event(**event) for event in fields.pop("events"))
    links = tuple(Link(**link) for link in fields.pop("links"))
    return Span(**fields, events=events, links=links)


def _point_from(fields: dict[str, Any]) -> Point:
    bounds, buckets = tuple(fields.pop("bounds")), tuple(fields.pop("buckets"))
    return Point(**fields, bounds=bounds, buckets=buckets)


def _lines(path: Path, wanted: type) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for text in path.read_text().splitlines(keepends=True):
        # The last line may be only half written yet.
        if text.endswith("\n"):
            fields = json.loads(text)
            if fields.pop("record") == wanted.__name__:
                yield fields
