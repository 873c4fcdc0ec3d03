"""Tours through a cluster's databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from quaywatch.contract import ExporterTask, Per, Reason, Sample
from quaywatch.errors import ConnectError, PermissionDeniedError
from quaywatch.runtime.catalogue import SCRAPE_ERROR, SCRAPE_SUCCESS, SNAPSHOT_AGE, TENANTS, TOUR_DURATION
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.readings import Collection, Store, Tour
from quaywatch.runtime.view import Everything
from tests.unit.runtime.fakes import (
    LEVEL,
    FakeClock,
    FakeCluster,
    FakeSession,
    VirtualLoop,
    forever,
    matching,
    reading,
    value,
)

LOOP = VirtualLoop


async def first(session: FakeSession, _options: Any, state: dict[str, int]) -> AsyncIterator[Sample]:
    """Counts its own runs in a database."""
    state["runs"] = state.get("runs", 0) + 1
    yield LEVEL(state["runs"], session.database)


async def second(session: FakeSession, _options: Any, _state: Any) -> AsyncIterator[Sample]:
    """Hangs in the database ``slow``, lacks a grant in ``closed``."""
    if session.database == "slow":
        await forever()
    if session.database == "closed":
        raise PermissionDeniedError("no grant")
    yield LEVEL(0, "second")


TASKS = [reading(second, "second", per=Per.DATABASE), reading(first, "first", per=Per.DATABASE)]


class Bench:
    """A tour through a cluster in memory, three visits at a time."""

    def __init__(self, *names: str, tasks: Sequence[ExporterTask] = TASKS) -> None:
        self.clock = FakeClock()
        self.meter = Instruments("", self.clock)
        store = Store("", self.clock)
        self.everything = Everything(store, self.meter)
        self.cluster = FakeCluster(names=list(names))
        self.tour = Tour(
            "db",
            tasks,
            cluster=self.cluster,
            tenants=lambda name: not name.startswith("test_"),
            visits=asyncio.Semaphore(3),
            collection=Collection(store, self.meter, self.clock),
            meter=self.meter,
            clock=self.clock,
        )

    def success(self, database: str) -> tuple[Any, Any]:
        """How the two exporters fared in a database."""
        both = [value(self.everything, SCRAPE_SUCCESS, exporter=e, database=database) for e in ("first", "second")]
        return both[0], both[1]


async def test_one_visit_serves_all_exporters_of_a_database() -> None:
    """Each database is entered once, left, and read by everyone; excluded ones are left alone."""
    bench = Bench("a", "b", "test_c")
    await bench.tour.go()
    assert sorted(bench.cluster.visits) == ["a", "b"]
    assert bench.cluster.inside == 0
    assert [bench.success(name) for name in ("a", "b", "test_c")] == [(1, 1), (1, 1), (None, None)]
    assert value(bench.everything, TENANTS, target="db") == 2
    assert value(bench.everything, LEVEL, database="a", what="a") == 1


async def test_few_databases_are_visited_at_a_time() -> None:
    """Thirty databases, never more than three sessions, all of them read."""
    bench = Bench(*(f"t{n}" for n in range(30)))
    await bench.tour.go()
    assert bench.cluster.most_inside == 3
    assert len(matching(bench.everything, SCRAPE_SUCCESS)) == 60


async def test_state_is_kept_for_each_database() -> None:
    """An exporter finds its own memory again, and a database that came back begins with an empty one."""
    bench = Bench("a", "b")
    await bench.tour.go()
    bench.cluster.names = ["a"]
    await bench.tour.go()
    bench.cluster.names = ["a", "b"]
    await bench.tour.go()
    assert value(bench.everything, LEVEL, what="a") == 3
    assert value(bench.everything, LEVEL, what="b") == 1


MIXED = [reading(first, f"e{every:g}", every=every, per=Per.DATABASE) for every in (10.0, 30.0)]


def runs(bench: Bench, exporter: str) -> list[int]:
    """How often an exporter was run in each database."""
    return [
        state[exporter].get("runs", 0) for state in (bench.tour._known[name].states for name in bench.cluster.names)
    ]


async def test_a_longer_interval_goes_along_on_every_so_many_visits() -> None:
    """The first visit reads everything; later a third of the databases is due on each tour, and each on every third."""
    bench = Bench(*(f"t{n}" for n in range(60)), tasks=MIXED)
    await bench.tour.go()
    assert set(runs(bench, "e30")) == {1}
    later = []
    for _ in range(6):
        await bench.tour.go()
        later.append(sum(runs(bench, "e30")))
    steps = [after - before for before, after in pairwise([60, *later])]
    assert all(10 <= step <= 30 for step in steps)
    assert set(runs(bench, "e30")) == {3}
    assert set(runs(bench, "e10")) == {7}


async def test_hundreds_of_new_databases_are_caught_up_with_over_some_tours() -> None:
    """The first tour reads of everyone what is due, and of some the rest too; soon everyone had a turn."""
    names = [f"t{n}" for n in range(700)]
    rare = [reading(first, f"e{every:g}", every=every, per=Per.DATABASE) for every in (10.0, 300.0)]
    bench = Bench(*names, tasks=rare)
    read = []
    for _ in range(4):
        await bench.tour.go()
        read.append(sum(count > 0 for count in runs(bench, "e300")))
    assert set(runs(bench, "e10")) == {4}
    assert 200 <= read[0] < 300
    assert read[-1] == len(names)


async def test_who_could_not_be_read_does_not_wait_for_its_interval() -> None:
    """A database that could be entered again, or listed again, is read by everyone at once."""
    bench = Bench(*(f"t{n}" for n in range(9)), tasks=MIXED)
    bench.cluster.broken |= dict.fromkeys(bench.cluster.names, ConnectError("gone"))
    await bench.tour.go()
    bench.cluster.broken.clear()
    await bench.tour.go()
    assert {one.value for one in matching(bench.everything, SCRAPE_SUCCESS)} == {1}
    bench.cluster.listing = ConnectError("refused")
    await bench.tour.go()
    bench.cluster.listing = None
    await bench.tour.go()
    assert {one.value for one in matching(bench.everything, SCRAPE_SUCCESS)} == {1}


async def test_a_vanished_database_ends_with_the_next_tour() -> None:
    """Nothing is said of it any more."""
    bench = Bench("a", "b")
    await bench.tour.go()
    bench.cluster.names = ["a"]
    await bench.tour.go()
    assert {dict(one.attributes).get("database", "a") for one in bench.everything.series()} == {"a"}
    assert value(bench.everything, TENANTS) == 1


async def test_a_database_that_vanishes_on_a_tour_ends_with_its_visit() -> None:
    """That is no error. One that is listed and was never found is: a pooler may not know it."""
    bench = Bench("a", "b")
    await bench.tour.go()
    bench.cluster.broken["b"] = ConnectError("no such database", code="3D000")
    await bench.tour.go()
    assert {dict(one.attributes).get("database", "a") for one in bench.everything.series()} == {"a"}
    assert value(bench.everything, SCRAPE_ERROR, exporter="first", reason=Reason.CONNECT) is None
    await bench.tour.go()
    assert [bench.success(name) for name in "ab"] == [(1, 1), (0, 0)]
    assert value(bench.everything, SCRAPE_ERROR, exporter="first", reason=Reason.CONNECT) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionDeniedError("may not connect"), Reason.PERMISSION),
        (ConnectError("it is gone"), Reason.CONNECT),
        (ZeroDivisionError("a defect"), Reason.INTERNAL),
    ],
)
async def test_a_database_nobody_may_enter_changes_nothing_for_others(error: Exception, reason: Reason) -> None:
    """Its exporters fail with the reason, and keep nothing of before; all others succeed."""
    bench = Bench("a", "b", "c", "d")
    await bench.tour.go()
    bench.cluster.broken["b"] = error
    await bench.tour.go()
    assert [bench.success(name) for name in "abcd"] == [(1, 1), (0, 0), (1, 1), (1, 1)]
    assert matching(bench.everything, LEVEL, database="b") == []
    assert value(bench.everything, SCRAPE_ERROR, exporter="first", reason=reason) == 1


async def test_a_missing_grant_costs_one_exporter_in_one_database() -> None:
    """Row 18: the other exporter reads on in the same session."""
    bench = Bench("a", "closed")
    await bench.tour.go()
    assert bench.success("closed") == (1, 0)
    assert bench.cluster.visits.count("closed") == 1
    assert value(bench.everything, SCRAPE_ERROR, exporter="second", reason=Reason.PERMISSION) == 1


async def test_after_a_time_out_the_next_exporter_gets_a_new_session() -> None:
    """A deadline ends one exporter's reading; the session is not trusted further, and the other exporter reads."""
    bench = Bench("slow", "a")
    await bench.tour.go()
    assert bench.success("slow") == (1, 0)
    assert bench.cluster.visits.count("slow") == 2
    assert bench.success("a") == (1, 1)
    assert bench.clock.monotonic() == pytest.approx(0.5 + 3.0 + 0.5)
    assert value(bench.everything, TOUR_DURATION, job="tour.10s") == pytest.approx(4.0)


async def test_databases_that_cannot_be_listed_are_all_unread() -> None:
    """No old value stays, each exporter failed once, and everything is back with the next list."""
    bench = Bench("a", "b")
    await bench.tour.go()
    bench.cluster.listing = ConnectError("refused")
    await bench.tour.go()
    assert matching(bench.everything, LEVEL) == []
    assert (bench.success("a"), bench.success("b")) == ((0, 0), (0, 0))
    assert value(bench.everything, SCRAPE_ERROR, exporter="first", reason=Reason.CONNECT) == 1
    assert value(bench.everything, TENANTS) is None
    assert value(bench.everything, TOUR_DURATION) is None
    assert len(matching(bench.everything, SNAPSHOT_AGE)) == 4
    bench.cluster.listing = None
    await bench.tour.go()
    assert (bench.success("a"), bench.success("b")) == ((1, 1), (1, 1))
