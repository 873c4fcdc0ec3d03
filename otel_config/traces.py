"""Spans: the SDK makes them, and they leave as the metrics do, so that an outage costs none."""

from collections.abc import Callable, Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import Tracer


def tracer(resource: Mapping[str, str], take: Callable[[ReadableSpan], None] | None) -> Tracer:
    """What makes spans; ``take`` gets each sampled one that ends, in the thread in which it does.

    Spans have ids also when nobody takes them.
    """
    provider = TracerProvider(resource=Resource(dict(resource)), shutdown_on_exit=False)
    if take is not None:
        provider.add_span_processor(_Taker(take))
    return provider.get_tracer("quaywatch")


class _Taker(SpanProcessor):
    def __init__(self, take: Callable[[ReadableSpan], None]) -> None:
        self._take = take

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self._take(span)
