"""The traces' way out: the SDK's provider and exporters, bounded and counted."""

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

from . import sdk
from .outcomes import Outcomes
from .settings import SignalSettings


class Traces:
    """A tracer, and where its spans go: to nowhere when ``settings`` is None, though they have ids then too."""

    def __init__(self, settings: SignalSettings | None, resource: Mapping[str, str], outcomes: Outcomes) -> None:
        self._provider = TracerProvider(resource=Resource(dict(resource)), shutdown_on_exit=False)
        self._outcomes = outcomes
        self._exporter: SpanExporter | None = None
        if settings is not None:
            self._exporter = _Counted(_exporter(settings), outcomes)
            self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracer: Tracer = self._provider.get_tracer("quaywatch")

    async def flush(self, within: float) -> bool:
        """Whether every span that had ended was delivered within so many seconds."""
        return await sdk.flush(self._provider, self._outcomes, within)

    async def close(self, within: float) -> None:
        """Flush and stop, within so many seconds in any case."""
        await sdk.close(self._provider, self._exporter, self._outcomes, within)


class _Counted(SpanExporter):
    """Another exporter, whose outcomes are counted."""

    def __init__(self, inner: SpanExporter, outcomes: Outcomes) -> None:
        self._inner = inner
        self._outcomes = outcomes
        self._ended = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self._outcomes.exported(success=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Once: the provider asks again, which the SDK's exporters complain of."""
        if not self._ended:
            self._ended = True
            self._inner.shutdown()


def _exporter(settings: SignalSettings) -> SpanExporter:
    from .sdk_exporters import span_exporter  # noqa: PLC0415 - its memory is for those who send traces

    return span_exporter(settings)
