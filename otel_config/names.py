"""One translation of names, for OTLP's stores and for the page that is scraped.

A metric is named alike wherever it is read: what a store makes of ``postgresql.lock.wait.longest`` in ``s`` that came
over OTLP is what stands on ``/metrics``. The rules are those of OpenTelemetry's compatibility document for Prometheus,
as VictoriaMetrics (with ``-opentelemetry.usePrometheusNaming``), Prometheus and the Collector apply them.
"""

import re
from functools import cache
from typing import Final

from quaywatch.contract import Kind, Metric

_WORDS = re.compile(r"[^a-zA-Z0-9]+")
_UNITS: Final = {
    "1": "",
    "%": "percent",
    "By": "bytes",
    "Cel": "celsius",
    "d": "days",
    "h": "hours",
    "Hz": "hertz",
    "min": "minutes",
    "ms": "milliseconds",
    "s": "seconds",
    "us": "microseconds",
}
_RATES: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


@cache
def prometheus_name(metric: Metric) -> str:
    """The name a metric is stored under; a histogram's without its ``_bucket``, ``_sum`` and ``_count``."""
    words = [word for word in _WORDS.split(metric.name) if word]
    words += [word for word in unit_words(metric.unit) if word not in words]
    if metric.kind is Kind.COUNTER:
        words = _ending_in(words, "total")
    elif metric.kind is Kind.GAUGE and metric.unit == "1":
        words = _ending_in(words, "ratio")
    return "_".join(words)


def unit_words(unit: str) -> list[str]:
    """The words a unit adds to a name: none for counted things, true ratios and states."""
    if "{" in unit:
        return []
    main, _, rate = unit.partition("/")
    words = [_UNITS.get(main, main)]
    if rate:
        words += ["per", _RATES.get(rate, rate)]
    return [word for word in words if word]


def prometheus_label(attribute: str) -> str:
    """The label an attribute is stored under."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)


def _ending_in(words: list[str], last: str) -> list[str]:
    return [word for word in words if word != last] + [last]
