"""The snapshot of what the exporters read: whole readings, replaced or withdrawn, never mended.

A reading belongs to a source: one exporter on one target, and on one database where it visits each. What a source
publishes replaces all it published before, so an object that vanished ends with the next reading; a failed reading
withdraws it, so an old value is never shown as a fresh one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from quaywatch.clock import Clock
from quaywatch.contract import Attributes, Distribution, Kind, Metric, Sample, Series, Value
from quaywatch.runtime.catalogue import SNAPSHOT_AGE
from quaywatch.runtime.instruments import named

STALE_AFTER: Final = 3
"""Intervals after which a reading is no longer exported."""
COUNTS_KEPT: Final = 3600.0
"""Seconds for which the start of a counter that is absent is remembered."""
PLACES_PER_DATABASE: Final = 50
"""Series of a metric for each database that is visited, on the average: where there are many, the budget grows so."""
OVERFLOW: Final = ("otel.metric.overflow", "true")
"""The attribute that marks the sum of all series beyond the budget, as OpenTelemetry's specification names it."""

_COUNTING: Final = (Kind.COUNTER, Kind.HISTOGRAM)
_Key = tuple[str, Attributes]
_Own = tuple[str, tuple[str, ...]]
"""A sample's metric and attributes: its identity within its source."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a reading comes from: an exporter on a target, and the tenant's database if it visits each."""

    target: str
    exporter: str
    database: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a reading.

    Args:
        samples: how many series it has.
        duplicates: samples left out because an earlier one had the same identity: an error of the exporter.
        dropped: for each metric, how many series were summed into the overflow series.
    """

    samples: int
    duplicates: int
    dropped: Mapping[str, int]


@dataclass(slots=True)
class _Count:
    """From when a counter counts, its last size, and when it was seen."""

    start: float
    size: float
    seen: float


@dataclass(frozen=True, slots=True)
class _Reading:
    series: tuple[Series, ...]
    beyond: Mapping[str, Series]
    read_at: float
    every: float

    def fresh(self, now: float) -> bool:
        return now - self.read_at <= STALE_AFTER * self.every


@dataclass(slots=True)
class _Kept:
    """All that is remembered of one source.

    ``keys`` are the identities of its last reading, made once for as long as a series lives; ``places`` those that the
    budgets let in.
    """

    attributes: Attributes
    reading: _Reading | None = None
    read_at: float | None = None
    keys: dict[_Own, _Key] = field(default_factory=dict)
    places: set[_Key] = field(default_factory=set)
    counts: dict[_Key, _Count] = field(default_factory=dict)


class Store:
    """Implements `quaywatch.contract.Snapshot`.

    It adds ``environment``, ``target`` and, for a tenant's reading, ``database`` to every series, gives counters their
    start, and holds each metric's budget per target: who is in stays in, newcomers get the places that are free, the
    rest is summed into one overflow series. A metric of tenants has at least fifty places for each of them.
    """

    def __init__(self, environment: str, clock: Clock) -> None:
        self._environment = environment
        self._clock = clock
        self._kept: dict[Source, _Kept] = {}
        self._taken: Counter[tuple[str, str]] = Counter()
        self._databases: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._overflowed: dict[_Key, _Count] = {}

    def publish(self, source: Source, samples: Iterable[Sample], *, read_at: float, every: float) -> Published:
        """Replace everything the source published before.

        Args:
            source: whose reading it is.
            samples: the complete reading.
            read_at: when it began, in the clock's monotonic seconds.
            every: the source's interval in seconds; past three of them the reading is no longer exported.
        """
        kept = self._of(source)
        found, duplicates = self._identified(source, kept, samples)
        beyond = self._place(source, kept, found)
        kept.counts = self._counted(kept.counts, found)
        series = tuple(_series(key, found[key], kept.counts) for key in found if key in kept.places)
        kept.reading = _Reading(series, self._summed(source.target, beyond), read_at, every)
        kept.read_at = read_at
        return Published(len(found), duplicates, Counter(sample.metric.name for sample in beyond))

    def withdraw(self, source: Source) -> None:
        """Publish nothing for a source whose reading failed; its places in the budgets stay reserved."""
        self._of(source).reading = None

    def forget(self, target: str) -> None:
        """End everything of a target."""
        for source in [source for source in self._kept if source.target == target]:
            self.end(source)
        for key in [key for key in self._overflowed if ("target", target) in key[1]]:
            del self._overflowed[key]

    def end(self, source: Source) -> None:
        """End everything of a source that is read no more."""
        kept = self._kept.pop(source, None)
        if kept is not None:
            self._free(source.target, kept.places)
            databases = self._databases[source.target]
            databases[source.database] -= 1
            if not databases[source.database]:
                del databases[source.database]

    def series(self) -> list[Series]:
        """All series that are fresh at this moment, and the age of every source's last reading."""
        now = self._clock.monotonic()
        fresh = [(s.target, k.reading) for s, k in self._kept.items() if k.reading and k.reading.fresh(now)]
        own = chain.from_iterable(reading.series for _, reading in fresh)
        return [*own, *self._overflow(fresh), *self._ages(now)]

    def ages(self) -> dict[Source, float]:
        """For each source that was ever read: how many seconds ago its last complete reading began."""
        now = self._clock.monotonic()
        return {source: now - kept.read_at for source, kept in self._kept.items() if kept.read_at is not None}

    def _of(self, source: Source) -> _Kept:
        kept = self._kept.get(source)
        if kept is None:
            pairs = named([*self._pairs(source), ("exporter", source.exporter)])
            kept = self._kept[source] = _Kept(pairs)
            self._databases[source.target][source.database] += 1
        return kept

    def _pairs(self, source: Source) -> list[tuple[str, str]]:
        return [("environment", self._environment), ("target", source.target), ("database", source.database)]

    def _identified(self, source: Source, kept: _Kept, samples: Iterable[Sample]) -> tuple[dict[_Key, Sample], int]:
        """The samples by identity, and how many had one that was there already."""
        known, kept.keys = kept.keys, {}
        pairs = self._pairs(source)
        found: dict[_Key, Sample] = {}
        duplicates = 0
        for sample in samples:
            own = (sample.metric.name, sample.attributes)
            key = kept.keys[own] = known.get(own) or _key(sample, pairs)
            if found.setdefault(key, sample) is not sample:
                duplicates += 1
        return found, duplicates

    def _place(self, source: Source, kept: _Kept, found: Mapping[_Key, Sample]) -> list[Sample]:
        """Give places to the series found; returns what got none."""
        target = source.target
        least = PLACES_PER_DATABASE * len(self._databases[target]) if source.database else 0
        self._free(target, gone := {key for key in kept.places if key not in found})
        kept.places -= gone
        beyond = []
        for key, sample in found.items():
            if key in kept.places:
                continue
            if self._taken[target, key[0]] < max(sample.metric.budget, least):
                self._taken[target, key[0]] += 1
                kept.places.add(key)
            else:
                beyond.append(sample)
        return beyond

    def _free(self, target: str, places: Iterable[_Key]) -> None:
        self._taken.subtract((target, name) for name, _ in places)

    def _counted(self, known: dict[_Key, _Count], found: Mapping[_Key, Sample]) -> dict[_Key, _Count]:
        """The starts of all counters: of those found now, and for a while of those that are absent."""
        now = self._clock.time()
        counts = {key: count for key, count in known.items() if now - count.seen < COUNTS_KEPT}
        for key, sample in found.items():
            if sample.metric.kind in _COUNTING:
                counts[key] = _count(known.get(key), sample.value, sample.start, now)
        return counts

    def _summed(self, target: str, beyond: Sequence[Sample]) -> dict[str, Series]:
        """One overflow series for each metric that has samples beyond its budget."""
        if not beyond:
            return {}
        attributes = named([("environment", self._environment), ("target", target), OVERFLOW])
        sums: dict[str, Series] = {}
        for sample in beyond:
            series = Series(sample.metric, attributes, sample.value)
            present = sums.get(sample.metric.name)
            sums[sample.metric.name] = _merged(present, series) if present else series
        return sums

    def _overflow(self, fresh: Iterable[tuple[str, _Reading]]) -> Iterator[Series]:
        """The overflow series over all sources of a target."""
        sums: dict[_Key, Series] = {}
        for _, reading in fresh:
            for series in reading.beyond.values():
                present = sums.get(series.key)
                sums[series.key] = _merged(present, series) if present else series
        for key, series in sums.items():
            if series.metric.kind in _COUNTING:
                count = _count(self._overflowed.get(key), series.value, None, self._clock.time())
                self._overflowed[key] = count
                yield Series(series.metric, series.attributes, series.value, count.start)
            else:
                yield series

    def _ages(self, now: float) -> Iterator[Series]:
        for kept in self._kept.values():
            if kept.read_at is not None:
                yield Series(SNAPSHOT_AGE, kept.attributes, now - kept.read_at)


def _key(sample: Sample, pairs: Iterable[tuple[str, str]]) -> _Key:
    """A sample's identity: these pairs of its source, and its own."""
    return (sample.metric.name, named([*pairs, *zip(sample.metric.attributes, sample.attributes, strict=True)]))


def _series(key: _Key, sample: Sample, counts: Mapping[_Key, _Count]) -> Series:
    start = counts[key].start if sample.metric.kind in _COUNTING else None
    return Series(sample.metric, key[1], sample.value, start)


def _count(known: _Count | None, value: Value, start: float | None, now: float) -> _Count:
    """The counter after this value: its start moves to now when it fell, unless the source says when it was reset."""
    size = value.count if isinstance(value, Distribution) else value
    if start is not None:
        return _Count(start, size, now)
    if known is None or size < known.size:
        return _Count(now, size, now)
    return _Count(known.start, size, now)


def _merged(one: Series, other: Series) -> Series:
    """Two series beyond the budget as one: the larger level, or the sum of what adds up."""
    return Series(one.metric, one.attributes, _together(one.metric, one.value, other.value))


def _together(metric: Metric, one: Value, other: Value) -> Value:
    if isinstance(one, Distribution) and isinstance(other, Distribution):
        return Distribution(tuple(a + b for a, b in zip(one.counts, other.counts, strict=True)), one.sum + other.sum)
    if isinstance(one, Distribution) or isinstance(other, Distribution):
        raise TypeError(f"{metric.name}: a distribution and a number do not add up")
    return max(one, other) if metric.kind is Kind.GAUGE else one + other
