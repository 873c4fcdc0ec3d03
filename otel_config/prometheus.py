"""The page that Prometheus scrapes: the same snapshot, the same names, no timestamps.

What is not fresh is not on the page, so a scrape ends it. One series that cannot be shown costs itself only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import prometheus_client.core as prom
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString

from quaywatch.contract import Distribution, Kind, Meter, Metric, Series, Snapshot, Value

from .names import prometheus_label, prometheus_name, unit_words
from .soundness import Complaints, readable_attributes, sound_value

_TYPES: Final = {Kind.GAUGE: "gauge", Kind.UPDOWN: "gauge", Kind.COUNTER: "counter", Kind.HISTOGRAM: "histogram"}
_TEXT: Final = "text/plain"


class Exposition:
    """Makes the page. Call it with the request's ``Accept`` header; OpenMetrics is spoken where it is asked for.

    Args:
        snapshot: what is shown.
        resource: the resource attributes, shown as ``target_info``.
        meter: where series that cannot be shown are counted.
    """

    def __init__(self, snapshot: Snapshot, resource: Mapping[str, str], meter: Meter) -> None:
        self._snapshot = snapshot
        self._target_info = {prometheus_label(name): value for name, value in sorted(resource.items())}
        self._complaints = Complaints(meter)

    def __call__(self, accept: str = _TEXT) -> tuple[bytes, str]:
        """The page and its content type."""
        return self._told(_page(self._snapshot.series(), self._target_info, accept))

    async def page(self, accept: str = _TEXT) -> tuple[bytes, str]:
        """The page and its content type, made in a thread: 20,000 series take a quarter of a second."""
        series = self._snapshot.series()
        return self._told(await asyncio.to_thread(_page, series, self._target_info, accept))

    def _told(self, page: _Page) -> tuple[bytes, str]:
        for metric, problem in page.problems:
            self._complaints.invalid(metric, f"{problem}; not on the page")
        return page.text, page.content_type


@dataclass(frozen=True, slots=True)
class _Page:
    text: bytes
    content_type: str
    problems: list[tuple[Metric, str]]


def _page(series: Iterable[Series], target_info: Mapping[str, str], accept: str) -> _Page:
    """Touches nothing but what it is given: it may run in any thread."""
    families, problems = _families(series)
    registry = CollectorRegistry(auto_describe=False, target_info=dict(target_info) or None)
    registry.register(_Families(families))
    encode, content_type = choose_encoder(accept)
    return _Page(encode(registry), content_type, problems)


def _families(series: Iterable[Series]) -> tuple[list[prom.Metric], list[tuple[Metric, str]]]:
    families: dict[str, _Family] = {}
    problems = []
    for one in series:
        name = _family_name(one.metric)
        if name not in families:
            families[name] = _Family(one.metric)
        problem = families[name].add(one)
        if problem:
            problems.append((one.metric, problem))
    return [family.message for family in families.values()], problems


def _family_name(metric: Metric) -> str:
    """What OpenMetrics calls the family; a counter's sample has ``_total`` behind it, and no other family its name."""
    name = prometheus_name(metric)
    return name.removesuffix("_total") if metric.kind is Kind.COUNTER else name


class _Families:
    """What a registry takes for a collector."""

    def __init__(self, families: Sequence[prom.Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[prom.Metric]:
        return self._families


class _Family:
    """One metric's part of the page."""

    def __init__(self, metric: Metric) -> None:
        self._kind = metric.kind
        self._name = prometheus_name(metric)
        name = _family_name(metric)
        words = "_".join(unit_words(metric.unit))
        unit = words if name.endswith(f"_{words}") else ""
        self.message = prom.Metric(name, metric.help, _TYPES[metric.kind], unit)
        self._shown: set[frozenset[tuple[str, str]]] = set()

    def add(self, series: Series) -> str:
        """Add a series; what is wrong with it, or nothing."""
        value = sound_value(series.metric, series.value)
        attributes = readable_attributes(series.attributes)
        if value is None or attributes is None:
            return "its value or an attribute cannot be shown"
        labels = {prometheus_label(name): text for name, text in attributes}
        identity = frozenset(labels.items())
        if len(labels) != len(attributes) or "le" in labels:
            return "two attributes share a label"
        if series.metric.kind is not self._kind or identity in self._shown:
            return "another series has its name"
        self._shown.add(identity)
        self._sample(labels, value, series.metric.bounds)
        return ""

    def _sample(self, labels: dict[str, str], value: Value, bounds: Sequence[float]) -> None:
        if isinstance(value, Distribution):
            self._buckets(labels, value, bounds)
        else:
            self.message.add_sample(self._name, labels, value)

    def _buckets(self, labels: dict[str, str], value: Distribution, uppers: Sequence[float]) -> None:
        """By the series' own bounds: two servers that are read may have been given different ones."""
        bounds = [*map(floatToGoString, uppers), "+Inf"]
        for bound, count in zip(bounds, accumulate(value.counts), strict=True):
            self.message.add_sample(f"{self._name}_bucket", {**labels, "le": bound}, count)
        self.message.add_sample(f"{self._name}_sum", labels, value.sum)
        self.message.add_sample(f"{self._name}_count", labels, value.count)


def exposition(snapshot: Snapshot, resource: Mapping[str, str], meter: Meter) -> Exposition:
    """The page over a snapshot."""
    return Exposition(snapshot, resource, meter)
