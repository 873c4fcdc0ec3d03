"""What may leave: values that a store can hold, texts that are Unicode. Both sinks ask here, so they agree."""

import math
import re
from typing import Any, Final

from quaywatch.contract import Attributes, Distribution, Kind, Meter, Metric, Value

from .catalogue import EXPORT_POINTS
from .own_log import Once, log

_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGERS: Final = range(-(2**63), 2**63)


def sound_value(metric: Metric, value: Any) -> Value | None:
    """The value as it can be stored, or None where nothing can be: no number, not finite, the wrong shape.

    An integer beyond 64 bits becomes the nearest double, a bool 0 or 1.
    """
    if metric.kind is Kind.HISTOGRAM:
        return value if isinstance(value, Distribution) and _sound_distribution(metric, value) else None
    return _sound_number(value)


def _sound_number(value: Any) -> int | float | None:
    if isinstance(value, int):
        return int(value) if value in _INTEGERS else _as_double(value)
    return value if isinstance(value, float) and math.isfinite(value) else None


def _as_double(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _sound_distribution(metric: Metric, value: Distribution) -> bool:
    fits = len(value.counts) == len(metric.bounds) + 1 and all(_is_count(count) for count in value.counts)
    total = _sound_number(value.sum)
    return fits and value.count in _INTEGERS and total is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def readable(text: str) -> str:
    """The text with each lone surrogate, which UTF-8 cannot hold, replaced by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def readable_attributes(attributes: Attributes) -> Attributes | None:
    """The attributes with every text readable; None when one of them is no text at all."""
    if not all(isinstance(value, str) for _, value in attributes):
        return None
    return tuple((name, readable(value)) for name, value in attributes)


class Complaints:
    """Counts the points that could not leave as they were, and names each metric in the log once."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._once = Once()

    def invalid(self, metric: Metric, what: str) -> None:
        """One point of this metric was dropped or mended, for this reason."""
        self._meter.add(EXPORT_POINTS, 1, "invalid")
        if self._once.first(f"{metric.name} {what}"):
            log.warning("a metric point is not valid", metric=metric.name, problem=what)
