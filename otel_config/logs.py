"""Lines of the log as OTLP has them. They are encoded here: the SDK's part for logs is not stable yet."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1 import logs_pb2 as otlp
from opentelemetry.trace import get_current_span

from .soundness import readable
from .wire import SCOPE, resource_message

_SEVERITIES: Final = {
    "debug": otlp.SEVERITY_NUMBER_DEBUG,
    "info": otlp.SEVERITY_NUMBER_INFO,
    "warning": otlp.SEVERITY_NUMBER_WARN,
    "error": otlp.SEVERITY_NUMBER_ERROR,
    "critical": otlp.SEVERITY_NUMBER_FATAL,
}
_NAME: Final = "event.name"
# Told by the record itself: the span that is current gives the ids.
_TOLD_ELSEWHERE: Final = frozenset({"event", "level", "timestamp", "trace_id", "span_id", _NAME})
_RENAMED: Final = {"exception": "exception.stacktrace"}
_INTEGERS: Final = range(-(2**63), 2**63)


def encoder(resource: Mapping[str, str]) -> Callable[[Iterable[otlp.LogRecord]], bytes]:
    """What makes a request of records, with this resource."""
    who = resource_message(resource)

    def encode(records: Iterable[otlp.LogRecord]) -> bytes:
        scope = otlp.ScopeLogs(scope=SCOPE, log_records=records)
        return ExportLogsServiceRequest(
            resource_logs=[otlp.ResourceLogs(resource=who, scope_logs=[scope])]
        ).SerializeToString()

    return encode


def record(event: Mapping[str, Any]) -> otlp.LogRecord:
    """One line as a record, with the ids of the span that is current."""
    level = str(event.get("level", "info"))
    now = time.time_ns()
    made = otlp.LogRecord(
        time_unix_nano=_nanoseconds(event.get("timestamp")) or now,
        observed_time_unix_nano=now,
        severity_number=_SEVERITIES.get(level, otlp.SEVERITY_NUMBER_UNSPECIFIED),
        severity_text=level,
        body=AnyValue(string_value=readable(str(event.get("event", "")))),
        event_name=readable(str(event.get(_NAME) or "")),
        attributes=[
            KeyValue(key=readable(_RENAMED.get(name, name)), value=_value(value))
            for name, value in event.items()
            if name not in _TOLD_ELSEWHERE and value is not None
        ],
    )
    context = get_current_span().get_span_context()
    if context.is_valid:
        made.trace_id, made.span_id = context.trace_id.to_bytes(16), context.span_id.to_bytes(8)
        made.flags = context.trace_flags
    return made


def _value(value: Any) -> AnyValue:
    """What OTLP has a type for; everything else as its text, in which secrets mask themselves."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, int) and value in _INTEGERS:
        return AnyValue(int_value=value)
    return AnyValue(string_value=readable(str(value)))


def _nanoseconds(timestamp: Any) -> int | None:
    if not isinstance(timestamp, str):
        return None
    return int(datetime.fromisoformat(timestamp).timestamp() * 1e6) * 1000
