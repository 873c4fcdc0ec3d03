"""What the sinks read: the watched systems' series and the agent's own, in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from quaywatch import __version__
from quaywatch.contract import Metric, Series, Snapshot


class Everything:
    """Implements `quaywatch.contract.Snapshot` over several others, whose series have different names.

    A metric that was renamed leaves under both names, as long as ``version`` of the agent is to emit the former one.
    """

    def __init__(self, *parts: Snapshot, version: str = __version__) -> None:
        self._parts = parts
        self._version = version
        self._formers: dict[Metric, Metric] = {}

    def series(self) -> list[Series]:
        """All series that are fresh at this moment."""
        found = [series for part in self._parts for series in part.series()]
        return [*found, *self._under_former_names(found)]

    def _under_former_names(self, found: Iterable[Series]) -> Iterator[Series]:
        for series in found:
            former = series.metric.former
            if former is not None and former.is_emitted_by(self._version):
                yield replace(series, metric=self._before(series.metric, former.name, former.until))

    def _before(self, metric: Metric, name: str, until: str) -> Metric:
        """The metric as it was called; the same object at each look, by which the sinks know it again."""
        if metric not in self._formers:
            help_text = f"The former name of {metric.name}, gone in version {until}."
            self._formers[metric] = replace(metric, name=name, help=help_text, former=None)
        return self._formers[metric]
