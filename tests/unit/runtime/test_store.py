"""The snapshot: whole readings, true starts, budgets."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import pytest

from quaywatch.contract import Distribution, Kind, Metric, Sample
from quaywatch.runtime.catalogue import SNAPSHOT_AGE
from quaywatch.runtime.readings import Source, Store
from quaywatch.runtime.readings.store import COUNTS_KEPT, Published
from tests.unit.runtime.fakes import EPOCH, EVENTS, LEVEL, SESSIONS, HandClock, matching, value

LOCKS = Source("db", "locks")
ACME = Source("db", "queue", "acme")
OTHER = Source("db", "activity")
TIGHT = replace(SESSIONS, budget=2)


class Bench:
    """A store, its clock, and readings every ten seconds."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.store = Store("prod", self.clock)

    def publish(self, *samples: Sample, source: Source = LOCKS) -> Published:
        """A reading of this moment."""
        return self.store.publish(source, samples, read_at=self.clock.now, every=10)

    def start(self, metric: Metric, **attributes: str) -> float | None:
        """The start of the only series that fits, counted from the clock's beginning."""
        (series,) = matching(self.store, metric, **attributes)
        return None if series.start is None else series.start - EPOCH


@pytest.fixture
def bench() -> Bench:
    """An empty store."""
    return Bench()


def test_a_series_bears_target_environment_and_database(bench: Bench) -> None:
    """The runtime adds what the exporter does not know; a pair with an empty value is left out."""
    bench.publish(LEVEL(3, ""), source=ACME)
    (series,) = matching(bench.store, LEVEL)
    assert series.attributes == (("database", "acme"), ("environment", "prod"), ("target", "db"))
    bench.publish(LEVEL(3, "x"))
    assert [dict(one.attributes).get("database") for one in matching(bench.store, LEVEL)] == ["acme", None]


def test_a_reading_replaces_the_one_before(bench: Bench) -> None:
    """What vanished is gone with the next reading, and other sources are left alone."""
    bench.publish(LEVEL(9, "other"), source=ACME)
    bench.publish(LEVEL(1, "a"), LEVEL(2, "b"))
    bench.publish(LEVEL(3, "b"), SESSIONS(4, "c"))
    assert value(bench.store, LEVEL, what="a") is None
    assert value(bench.store, LEVEL, what="b") == 3
    assert value(bench.store, LEVEL, what="other") == 9


def test_a_failed_reading_leaves_nothing(bench: Bench) -> None:
    """No old value is shown after a failure, whatever was there; how old the last one is stays known."""
    bench.publish(LEVEL(1, "a"))
    bench.clock.now = 12
    bench.store.withdraw(LOCKS)
    assert matching(bench.store, LEVEL) == []
    assert value(bench.store, SNAPSHOT_AGE, target="db", exporter="locks") == 12


def test_a_reading_is_not_exported_past_three_intervals(bench: Bench) -> None:
    """A source that fell silent fades by itself."""
    bench.publish(LEVEL(1, "a"))
    bench.clock.now = 30
    assert value(bench.store, LEVEL) == 1
    bench.clock.now = 30.1
    assert value(bench.store, LEVEL) is None


def test_a_duplicate_is_left_out_and_said(bench: Bench) -> None:
    """The first of two samples with one identity stays, and each key is there once."""
    assert bench.publish(LEVEL(1, "a"), LEVEL(2, "a")) == Published(1, 1, {})
    assert value(bench.store, LEVEL) == 1


def test_a_counter_starts_when_it_is_first_seen(bench: Bench) -> None:
    """Without a word of the source, it counts from its first sight; levels have no start."""
    bench.clock.now = 5
    bench.publish(EVENTS(100, "a"), LEVEL(1, "a"))
    bench.clock.now = 15
    bench.publish(EVENTS(100, "a"), LEVEL(1, "a"))
    assert (bench.start(EVENTS), bench.start(LEVEL)) == (5, None)


def test_a_counter_that_fell_starts_anew(bench: Bench) -> None:
    """A decrease is a restart, at the moment it was seen."""
    bench.publish(EVENTS(100, "a"))
    bench.clock.now = 10
    bench.publish(EVENTS(3, "a"))
    bench.clock.now = 20
    bench.publish(EVENTS(4, "a"))
    assert bench.start(EVENTS) == 10


def test_the_source_s_own_start_counts(bench: Bench) -> None:
    """Where the source says since when it counts, that is the start, also when the value rose over a reset."""
    bench.publish(EVENTS(100, "a", start=EPOCH - 500))
    assert bench.start(EVENTS) == -500
    bench.publish(EVENTS(300, "a", start=EPOCH - 7))
    assert bench.start(EVENTS) == -7


def test_a_counter_that_was_absent_goes_on_or_starts_anew(bench: Bench) -> None:
    """After a failure or an absence the start is still right: the old one if it counted on, now if it fell."""
    bench.publish(EVENTS(100, "a"), EVENTS(100, "b"))
    bench.clock.now = 10
    bench.store.withdraw(LOCKS)
    bench.clock.now = 20
    bench.publish()
    bench.clock.now = 30
    bench.publish(EVENTS(101, "a"), EVENTS(1, "b"))
    assert (bench.start(EVENTS, what="a"), bench.start(EVENTS, what="b")) == (0, 30)


def test_absent_counters_are_forgotten_in_the_end(bench: Bench) -> None:
    """The memory of starts does not grow for ever."""
    bench.publish(EVENTS(100, "a"))
    bench.clock.now = COUNTS_KEPT
    bench.publish()
    bench.publish(EVENTS(101, "a"))
    assert bench.start(EVENTS) == COUNTS_KEPT


def test_a_distribution_that_shrank_starts_anew(bench: Bench) -> None:
    """Histograms count like counters, by their number of values."""
    metric = Metric("test.took", Kind.HISTOGRAM, "s", "How long it took.", bounds=(1.0,))
    bench.publish(metric(Distribution((2, 1), 4.0)))
    bench.clock.now = 10
    bench.publish(metric(Distribution((0, 2), 9.0)))
    assert bench.start(metric) == 10


def names(bench: Bench, metric: Metric) -> set[str]:
    """Who has a place of their own."""
    return {dict(one.attributes).get("what", "overflow") for one in matching(bench.store, metric)}


def test_members_stay_and_newcomers_wait(bench: Bench) -> None:
    """Who was admitted before stays, whatever the order; a place that becomes free goes to a newcomer."""
    bench.publish(TIGHT(1, "a"), TIGHT(2, "b"))
    published = bench.publish(TIGHT(7, "c"), TIGHT(2, "b"), TIGHT(1, "a"))
    assert published.dropped == {"test.sessions": 1}
    assert names(bench, TIGHT) == {"a", "b", "overflow"}
    bench.publish(TIGHT(7, "c"), TIGHT(2, "b"))
    assert names(bench, TIGHT) == {"b", "c"}


def test_a_failure_does_not_cost_the_place(bench: Bench) -> None:
    """Places of a source that failed stay reserved until it says that they are free."""
    bench.publish(TIGHT(1, "a"), TIGHT(2, "b"))
    bench.store.withdraw(LOCKS)
    bench.publish(TIGHT(5, "x"), source=OTHER)
    bench.publish(TIGHT(1, "a"), TIGHT(2, "b"))
    assert names(bench, TIGHT) == {"a", "b", "overflow"}


@pytest.mark.parametrize(("kind", "expected"), [(Kind.GAUGE, 7), (Kind.UPDOWN, 12), (Kind.COUNTER, 12)])
def test_one_series_holds_what_is_beyond_the_budget(bench: Bench, kind: Kind, expected: int) -> None:
    """Row 22: over all sources of the target: the sum of what adds up, the largest of what does not."""
    metric = replace(SESSIONS, kind=kind, budget=1)
    bench.publish(metric(1, "a"), metric(5, "b"))
    bench.publish(metric(7, "c"), source=OTHER)
    (overflow,) = [one for one in matching(bench.store, metric) if ("what", "a") not in one.attributes]
    assert overflow.value == expected
    assert overflow.attributes == (("environment", "prod"), ("otel.metric.overflow", "true"), ("target", "db"))
    assert (overflow.start is not None) == (kind is Kind.COUNTER)


def test_a_budget_grows_with_the_tenants(bench: Bench) -> None:
    """Each database brings fifty places, which others may use; they go with it."""
    tenants = [Source("db", "queue", f"tenant_{n}") for n in range(3)]
    for tenant in tenants:
        bench.publish(TIGHT(1, "a"), source=tenant)
    most = [TIGHT(1, f"{n}") for n in range(150)]
    assert bench.publish(*most, source=tenants[0]).dropped == {TIGHT.name: 2}
    for tenant in tenants[1:]:
        bench.store.end(tenant)
    assert bench.publish(*most[:50], source=tenants[0]).dropped == {}
    assert bench.publish(TIGHT(1, "b"), source=Source("db", "mail", "tenant_0")).dropped == {TIGHT.name: 1}


def test_budgets_are_per_target(bench: Bench) -> None:
    """One target's crowd takes no place from another's."""
    bench.publish(*(TIGHT(1, f"{n}") for n in range(5)))
    assert bench.publish(TIGHT(1, "a"), TIGHT(1, "b"), source=Source("db2", "locks")).dropped == {}


def test_an_ended_source_leaves_nothing_and_frees_its_places(bench: Bench) -> None:
    """A dropped database is gone: series, age and places."""
    bench.publish(TIGHT(1, "a"), TIGHT(1, "b"), source=ACME)
    bench.store.end(ACME)
    assert bench.store.series() == []
    assert bench.publish(TIGHT(1, "c"), TIGHT(1, "d")).dropped == {}


def test_a_forgotten_target_leaves_nothing(bench: Bench) -> None:
    """All its sources end, and a target whose name begins alike stays."""
    bench.publish(TIGHT(1, "a"), TIGHT(1, "b"), TIGHT(1, "c"))
    bench.publish(LEVEL(1, "a"), source=ACME)
    bench.publish(LEVEL(1, "a"), source=Source("db2", "locks"))
    bench.store.forget("db")
    assert {dict(one.attributes)["target"] for one in bench.store.series()} == {"db2"}


def crowd(tenant: int) -> Iterable[Sample]:
    """Forty series."""
    return [SESSIONS(n, f"{tenant}-{n}") for n in range(40)]


def test_many_series_are_cheap(bench: Bench) -> None:
    """Reading 12,000 series of 300 tenants costs a few milliseconds, since nothing is copied."""
    for tenant in range(300):
        bench.publish(*crowd(tenant), source=Source(f"db{tenant % 10}", "queue", f"t{tenant}"))
    assert len(matching(bench.store, SESSIONS)) == 12_000
    began = time.process_time()
    first, second = bench.store.series(), bench.store.series()
    assert time.process_time() - began < 0.2
    assert first[0] is second[0]
