"""The logs' way out. The SDK's logs API is not stable yet: nothing outside this file knows it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

from . import sdk
from .outcomes import Outcomes
from .sdk_exporters import log_exporter
from .settings import SignalSettings
from .soundness import readable

_SEVERITIES: Final = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
_NAME: Final = "event.name"
# Told by the record itself: the span that is current gives the ids.
_TOLD_ELSEWHERE: Final = frozenset({"event", "level", "timestamp", "trace_id", "span_id", _NAME})
_RENAMED: Final = {"exception": "exception.stacktrace"}


class Logs:
    """Sends lines of the log; `ship` is what `structured.shipping` calls."""

    def __init__(self, settings: SignalSettings, resource: Mapping[str, str], outcomes: Outcomes) -> None:
        self._provider = LoggerProvider(resource=Resource(dict(resource)), shutdown_on_exit=False)
        self._outcomes = outcomes
        self._exporter = _Counted(log_exporter(settings), outcomes)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(self._exporter))
        self._logger = self._provider.get_logger("quaywatch")

    def ship(self, event: Mapping[str, Any]) -> None:
        """Queue one line, with the ids of the span that is current."""
        level = str(event.get("level", "info"))
        self._logger.emit(
            timestamp=_nanoseconds(event.get("timestamp")),
            severity_number=_SEVERITIES.get(level, SeverityNumber.UNSPECIFIED),
            severity_text=level,
            body=readable(str(event.get("event", ""))),
            event_name=event.get(_NAME),
            attributes={
                _RENAMED.get(name, name): _attribute(value)
                for name, value in event.items()
                if name not in _TOLD_ELSEWHERE and value is not None
            },
        )

    async def flush(self, within: float) -> bool:
        """Whether every line that was queued was delivered within so many seconds."""
        return await sdk.flush(self._provider, self._outcomes, within)

    async def close(self, within: float) -> None:
        """Flush and stop, within so many seconds in any case."""
        await sdk.close(self._provider, self._exporter, self._outcomes, within)


class _Counted(LogRecordExporter):
    """Another exporter, whose outcomes are counted."""

    def __init__(self, inner: LogRecordExporter, outcomes: Outcomes) -> None:
        self._inner = inner
        self._outcomes = outcomes
        self._ended = False

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        result = LogRecordExportResult.FAILURE
        try:
            result = self._inner.export(batch)
        finally:
            self._outcomes.exported(success=result is LogRecordExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Once: the provider asks again, which the SDK's exporters complain of."""
        if not self._ended:
            self._ended = True
            self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _attribute(value: Any) -> str | bool | int | float:
    """A value that OTLP has a type for; everything else as its text, in which secrets mask themselves."""
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    return readable(str(value))


def _nanoseconds(timestamp: Any) -> int | None:
    if not isinstance(timestamp, str):
        return None
    return int(datetime.fromisoformat(timestamp).timestamp() * 1e6) * 1000
