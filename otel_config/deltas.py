"""What came since the last export, for back ends that want counters and histograms so."""

from collections.abc import Container
from dataclasses import dataclass

from quaywatch.contract import Attributes, Distribution, Series, Value

_Key = tuple[str, Attributes]


@dataclass(frozen=True, slots=True)
class Step:
    """What was counted from ``start`` (Unix seconds) until now."""

    value: Value
    start: float


@dataclass(frozen=True, slots=True)
class _Seen:
    value: Value
    start: float
    at: float


class Deltas:
    """The last total of each series, and the steps between them.

    Args:
        since: Unix time from which everything counted is news, that is when the agent started. A series which counts
            from before that, or from before the last export, only gives its base the first time it is seen: what it
            counted earlier was told by somebody else, or by nobody.
    """

    def __init__(self, since: float) -> None:
        self._news_from = since
        self._seen: dict[_Key, _Seen] = {}

    def step(self, series: Series, value: Value, now: float) -> Step | None:
        """The step from the last export to now, or None when this value is only a base to count from."""
        start = series.start if series.start is not None else 0.0
        before = self._seen.get(series.key)
        self._seen[series.key] = _Seen(value, start, now)
        if before is None:
            return Step(value, start) if start >= self._news_from else None
        if start > before.start:
            return Step(value, max(start, before.at))
        change = _difference(value, before.value)
        return None if change is None else Step(change, before.at)

    def finish(self, live: Container[_Key], now: float) -> None:
        """End an export: series that are not live are forgotten."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in live}
        self._news_from = now


def _difference(value: Value, before: Value) -> Value | None:
    """None when the total went back without a new start: nothing true can be said about this step."""
    if isinstance(value, Distribution) and isinstance(before, Distribution):
        return _distribution_difference(value, before)
    if isinstance(value, Distribution) or isinstance(before, Distribution):
        return None
    return value - before if value >= before else None


def _distribution_difference(value: Distribution, before: Distribution) -> Distribution | None:
    if len(value.counts) != len(before.counts):
        return None
    counts = tuple(now - then for now, then in zip(value.counts, before.counts, strict=True))
    told_since = tuple(one for one in value.exemplars if one not in before.exemplars)
    return Distribution(counts, value.sum - before.sum, told_since) if min(counts) >= 0 else None
