"""The log: one JSON object a line on stderr, each with the ids of the trace it belongs to.

Lines of the libraries (gRPC, OpenTelemetry, aiohttp, whoever uses `logging`) take the same form, from warnings upwards.
"""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from opentelemetry import trace

from .own_log import COMPONENT

Event = MutableMapping[str, Any]
Ship = Callable[[Mapping[str, Any]], None]
Level = Literal["debug", "info", "warning", "error", "critical"]
Format = Literal["json", "console"]


class Shipping:
    """Where lines go besides stderr: to nowhere until somebody sets ``ship``.

    This room's own lines are not shipped, nor are those of libraries: a line about a failing export must not become
    another export.
    """

    def __init__(self) -> None:
        self.ship: Ship | None = None

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        """A processor of structlog: hands the event on, and copies it out."""
        if self.ship is not None and event.get("component") != COMPONENT:
            self.ship(dict(event))
        return event


shipping: Final = Shipping()


def trace_ids(_logger: object, _method: str, event: Event) -> Event:
    """A processor of structlog: adds trace_id and span_id where a span is current."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def configure_logging(level: Level, fmt: Format = "json", stream: TextIO | None = None) -> None:
    """Set up logging for the whole process; may be called again.

    Args:
        level: the least of our own lines that is written; libraries are heard from "warning" upwards in any case.
        fmt: "json", or "console" for people.
        stream: where lines go, stderr when None.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    render = _renderer(fmt, stream)
    common: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        trace_ids,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*common, shipping, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    _route_libraries(max(number, logging.WARNING), common, render, stream)


def _renderer(fmt: Format, stream: TextIO) -> structlog.typing.Processor:
    if fmt == "console":
        return structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()


def _route_libraries(
    level: int, common: list[structlog.typing.Processor], render: structlog.typing.Processor, stream: TextIO
) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*common, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
