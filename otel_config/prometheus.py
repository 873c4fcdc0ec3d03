"""The page that Prometheus scrapes: the same snapshot, the same names, no timestamps.

What is not fresh is not on the page, so a scrape ends it. One series that cannot be shown costs itself only. Exemplars,
which lead from a duration to its trace, stand there where OpenMetrics is spoken. The lines are written here:
prometheus-client, which still says what is spoken and how a number looks, makes every label anew at every scrape and
takes several times as long.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString

from quaywatch.contract import Attributes, Distribution, Exemplar, Kind, Meter, Metric, Series, Snapshot, Value

from .names import prometheus_label, prometheus_name, unit_words
from .soundness import Complaints, readable_attributes, sound_value

_TYPES: Final = {Kind.GAUGE: "gauge", Kind.UPDOWN: "gauge", Kind.COUNTER: "counter", Kind.HISTOGRAM: "histogram"}
_TEXT: Final = "text/plain"
_OPENMETRICS: Final = "application/openmetrics-text"
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPES_OF_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class _Labels:
    """Attributes as they stand on the page, without braces; or what is wrong with them."""

    text: str
    problem: str = ""


_Known = Mapping[Attributes, _Labels]


class Exposition:
    """Makes the page. Call it with the request's ``Accept`` header; OpenMetrics is spoken where it is asked for.

    Args:
        snapshot: what is shown.
        resource: the resource attributes, shown as ``target_info``.
        meter: where series that cannot be shown are counted.
    """

    def __init__(self, snapshot: Snapshot, resource: Mapping[str, str], meter: Meter) -> None:
        self._snapshot = snapshot
        self._target_info = _labels(tuple(resource.items())).text
        self._complaints = Complaints(meter)
        self._known: _Known = {}

    def __call__(self, accept: str = _TEXT) -> tuple[bytes, str]:
        """The page and its content type."""
        return self._told(_page(self._snapshot.series(), self._target_info, self._known, accept))

    async def page(self, accept: str = _TEXT) -> tuple[bytes, str]:
        """The page and its content type, made in a thread: 20,000 series take some hundredths of a second."""
        series = self._snapshot.series()
        return self._told(await asyncio.to_thread(_page, series, self._target_info, self._known, accept))

    def _told(self, page: _Page) -> tuple[bytes, str]:
        self._known = page.known
        for metric, problem in page.problems:
            self._complaints.invalid(metric, f"{problem}; not on the page")
        return page.text, page.content_type


@dataclass(frozen=True, slots=True)
class _Page:
    """``known`` has the labels of all attributes that were looked at, for the page after this one."""

    text: bytes
    content_type: str
    problems: list[tuple[Metric, str]]
    known: _Known


def _page(series: Iterable[Series], target_info: str, known: _Known, accept: str) -> _Page:
    """Touches nothing but what it is given: it may run in any thread."""
    content_type = choose_encoder(accept)[1]
    openmetrics = content_type.startswith(_OPENMETRICS)
    families: dict[str, _Family] = {}
    seen: dict[Attributes, _Labels] = {}
    problems = []
    for one in series:
        labels = seen.get(one.attributes)
        if labels is None:
            labels = seen[one.attributes] = known.get(one.attributes) or _labels(one.attributes)
        problem = _family(families, one.metric, openmetrics=openmetrics).add(one, labels)
        if problem:
            problems.append((one.metric, problem))
    text = _written(families.values(), target_info, openmetrics=openmetrics)
    return _Page(text.encode(), content_type, problems, seen)


def _labels(attributes: Attributes) -> _Labels:
    readable = readable_attributes(attributes)
    if readable is None:
        return _Labels("", "its value or an attribute cannot be shown")
    labels = {prometheus_label(name): text.translate(_ESCAPES) for name, text in readable}
    if len(labels) != len(readable) or "le" in labels:
        return _Labels("", "two attributes share a label")
    return _Labels(",".join(f'{name}="{text}"' for name, text in sorted(labels.items())))


def _family(families: dict[str, _Family], metric: Metric, *, openmetrics: bool) -> _Family:
    name = _family_name(metric)
    if name not in families:
        families[name] = _Family(metric, openmetrics=openmetrics)
    return families[name]


@cache
def _family_name(metric: Metric) -> str:
    """What OpenMetrics calls the family; a counter's sample has ``_total`` behind it, and no other family its name."""
    name = prometheus_name(metric)
    return name.removesuffix("_total") if metric.kind is Kind.COUNTER else name


def _written(families: Iterable[_Family], target_info: str, *, openmetrics: bool) -> str:
    lines = [] if not target_info else _info(target_info, openmetrics=openmetrics)
    for family in families:
        lines += family.head()
        lines += family.lines
    if openmetrics:
        lines.append("# EOF\n")
    return "".join(lines)


def _info(labels: str, *, openmetrics: bool) -> list[str]:
    name, kind = ("target", "info") if openmetrics else ("target_info", "gauge")
    return [f"# HELP {name} Target metadata\n", f"# TYPE {name} {kind}\n", f"target_info{{{labels}}} 1.0\n"]


class _Family:
    """One metric's part of the page; ``lines`` are its samples."""

    def __init__(self, metric: Metric, *, openmetrics: bool) -> None:
        self._metric = metric
        self._openmetrics = openmetrics
        self._name = prometheus_name(metric)
        self._shown: set[str] = set()
        self.lines: list[str] = []

    def head(self) -> Iterator[str]:
        """What stands above the samples."""
        openmetrics = self._openmetrics
        name = _family_name(self._metric) if openmetrics else self._name
        told = self._metric.help.translate(_ESCAPES if openmetrics else _ESCAPES_OF_HELP)
        yield f"# HELP {name} {told}\n"
        yield f"# TYPE {name} {_TYPES[self._metric.kind]}\n"
        unit = "_".join(unit_words(self._metric.unit))
        if openmetrics and unit and name.endswith(f"_{unit}"):
            yield f"# UNIT {name} {unit}\n"

    def add(self, series: Series, labels: _Labels) -> str:
        """Add a series; what is wrong with it, or nothing."""
        value = sound_value(series.metric, series.value)
        if value is None:
            return "its value or an attribute cannot be shown"
        if labels.problem:
            return labels.problem
        if series.metric.kind is not self._metric.kind or labels.text in self._shown:
            return "another series has its name"
        self._shown.add(labels.text)
        self._sample(labels.text, value, series.metric.bounds)
        return ""

    def _sample(self, labels: str, value: Value, bounds: Sequence[float]) -> None:
        if isinstance(value, Distribution):
            exemplars = value.exemplars if self._openmetrics else ()
            self.lines += _buckets(self._name, labels, value, bounds, exemplars)
        else:
            self.lines.append(_line(self._name, labels, value))


def _buckets(
    name: str, labels: str, value: Distribution, uppers: Sequence[float], exemplars: Sequence[Exemplar]
) -> Iterator[str]:
    """By the series' own bounds: two servers that are read may have been given different ones."""
    told = {bisect_left(uppers, one.value): one for one in exemplars}
    bounds = [*map(_number, uppers), "+Inf"]
    for bucket, (bound, count) in enumerate(zip(bounds, accumulate(value.counts), strict=True)):
        line = _line(f"{name}_bucket", ",".join(filter(None, (labels, f'le="{bound}"'))), count)
        yield _with_exemplar(line, told[bucket]) if bucket in told else line
    yield _line(f"{name}_sum", labels, value.sum)
    yield _line(f"{name}_count", labels, value.count)


def _with_exemplar(line: str, told: Exemplar) -> str:
    labels = f'trace_id="{told.trace_id}",span_id="{told.span_id}"'
    return f"{line[:-1]} # {{{labels}}} {_number(told.value)} {told.at:.3f}\n"


def _line(name: str, labels: str, value: float) -> str:
    return f"{name}{{{labels}}} {_number(value)}\n" if labels else f"{name} {_number(value)}\n"


def _number(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text


def exposition(snapshot: Snapshot, resource: Mapping[str, str], meter: Meter) -> Exposition:
    """The page over a snapshot."""
    return Exposition(snapshot, resource, meter)
