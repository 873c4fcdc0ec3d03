"""One reading: whole or not at all, and always accounted for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from quaywatch.contract import Reason, Sample, Target, TargetKind
from quaywatch.errors import AuthError, LockTimeoutError
from quaywatch.runtime.catalogue import (
    CARDINALITY_DROPPED,
    SCRAPE_DURATION,
    SCRAPE_ERROR,
    SCRAPE_SAMPLES,
    SCRAPE_SUCCESS,
    SNAPSHOT_AGE,
    TARGET_UP,
)
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.readings import PING, Collection, Source, Store
from quaywatch.runtime.view import Everything
from tests.unit.runtime.fakes import (
    LEVEL,
    SESSIONS,
    FakeClock,
    FakeDriver,
    VirtualLoop,
    forever,
    matching,
    one_level,
    reading,
    value,
)

LOOP = VirtualLoop
TARGET = Target("db", TargetKind.POSTGRES)
THINGS = Source("db", "things")


class Bench:
    """A collection on virtual time and all that comes of it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.meter = Instruments("", self.clock)
        self.states: list[tuple[str, bool, Reason | None, str]] = []
        store = Store("", self.clock)
        self.everything = Everything(store, self.meter)
        self.collection = Collection(store, self.meter, self.clock, on_state=lambda *state: self.states.append(state))

    def says(self, metric: Any, **attributes: str) -> Any:
        """The value of a series."""
        return value(self.everything, metric, **attributes)

    async def read(self, collect: Any, **more: Any) -> Reason | None:
        """Run an exporter once."""
        return await self.collection.read(reading(collect, **more), None, THINGS, {})


@pytest.fixture
def bench() -> Bench:
    """Nothing read yet."""
    return Bench()


async def slow(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
    """Half a reading, then a black hole."""
    yield LEVEL(1, "half")
    await forever()


async def locked(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
    """Half a reading, then a lock."""
    yield LEVEL(1, "half")
    await asyncio.sleep(0.25)
    raise LockTimeoutError("somebody holds a lock")


async def defective(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
    """A defect."""
    yield LEVEL(1, "half")
    raise ZeroDivisionError


async def test_a_complete_reading_is_published(bench: Bench) -> None:
    """Its series are there, with success 1, its duration, its number of samples and its age."""

    async def two(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
        yield LEVEL(1, "a")
        await asyncio.sleep(0.5)
        yield LEVEL(2, "b")

    assert await bench.read(two) is None
    assert (bench.says(LEVEL, what="a"), bench.says(LEVEL, what="b")) == (1, 2)
    says = [bench.says(metric) for metric in (SCRAPE_SUCCESS, SCRAPE_SAMPLES, SCRAPE_DURATION, SNAPSHOT_AGE)]
    assert says == [1, 2, 0.5, 0.5]


@pytest.mark.parametrize(
    ("collect", "reason", "duration"),
    [(slow, Reason.TIMEOUT, 3.0), (locked, Reason.LOCK_TIMEOUT, 0.25), (defective, Reason.INTERNAL, 0.0)],
)
async def test_a_failed_reading_publishes_nothing(bench: Bench, collect: Any, reason: Reason, duration: float) -> None:
    """Neither half of it nor what was there before: success 0, its duration, and the reason."""
    await bench.read(one_level)
    assert await bench.read(collect) is reason
    assert matching(bench.everything, LEVEL) == []
    says = [bench.says(metric) for metric in (SCRAPE_SUCCESS, SCRAPE_SAMPLES, SCRAPE_DURATION)]
    assert says == [0, None, duration]
    assert bench.says(SCRAPE_ERROR, exporter="things", reason=reason) == 1


async def test_a_cancelled_reading_changes_nothing(bench: Bench) -> None:
    """What a run that was stopped has read is dropped, and nobody is blamed."""
    task = asyncio.create_task(bench.read(slow))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert bench.everything.series() == []


async def test_a_series_read_twice_is_the_exporter_s_error(bench: Bench) -> None:
    """The first stays, the reading stands, and the defect is counted."""

    async def twice(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
        yield LEVEL(1, "a")
        yield LEVEL(2, "a")

    assert await bench.read(twice) is None
    assert (bench.says(LEVEL), bench.says(SCRAPE_SUCCESS)) == (1, 1)
    assert bench.says(SCRAPE_ERROR, reason=Reason.INTERNAL) == 1


async def test_what_the_budget_kept_out_is_counted(bench: Bench) -> None:
    """The counter names target and metric, and goes on as long as there are too many."""

    async def crowd(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
        for number in range(SESSIONS.budget + 3):
            yield SESSIONS(1, f"{number}")

    await bench.read(crowd)
    await bench.read(crowd)
    assert value(bench.meter, CARDINALITY_DROPPED, target="db", metric="test.sessions") == 6


async def test_state_is_the_exporter_s_own_memory(bench: Bench) -> None:
    """What one run left in its state, the next one finds."""

    async def counting(_driver: Any, _options: Any, state: dict[str, int]) -> AsyncIterator[Sample]:
        state["runs"] = state.get("runs", 0) + 1
        yield LEVEL(state["runs"], "runs")

    state: dict[str, int] = {}
    for _ in range(3):
        await bench.collection.read(reading(counting), None, THINGS, state)
    assert bench.says(LEVEL) == 3


async def test_every_reason_starts_at_zero(bench: Bench) -> None:
    """So that the first error of any reason is an increase."""
    bench.collection.announce("db", "things", PING)
    for exporter in ("things", PING):
        counters = matching(bench.everything, SCRAPE_ERROR, target="db", exporter=exporter)
        assert {dict(one.attributes)["reason"] for one in counters} == set(Reason)
        assert {one.value for one in counters} == {0}


async def refuse() -> None:
    """A wrong password."""
    raise AuthError("the password is wrong")


async def break_down() -> None:
    """A defect."""
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("answer", "reason"), [(forever, Reason.TIMEOUT), (refuse, Reason.AUTH), (break_down, Reason.INTERNAL)]
)
async def test_down_is_said_with_its_reason(bench: Bench, answer: Any, reason: Reason) -> None:
    """Up is 0 before the first connect as well, and the reason is counted at the ping."""
    await bench.collection.ping(TARGET, FakeDriver(answer), within=5)
    assert bench.says(TARGET_UP, target="db", kind="postgres") == 0
    assert bench.says(SCRAPE_ERROR, exporter=PING, reason=reason) == 1
    assert [state[:3] for state in bench.states] == [("db", False, reason)]
    assert bench.clock.monotonic() <= 5


async def test_up_again_is_said(bench: Bench) -> None:
    """A target that answers is up, whatever it was before."""
    await bench.collection.ping(TARGET, FakeDriver(refuse), within=5)
    await bench.collection.ping(TARGET, FakeDriver(), within=5)
    assert bench.says(TARGET_UP) == 1
    assert bench.states[-1] == ("db", True, None, "")


async def test_an_ended_source_is_not_spoken_of(bench: Bench) -> None:
    """Its readings end, and what was said of them; the target's error counters stay."""
    await bench.read(one_level)
    await bench.read(locked)
    bench.collection.end(THINGS)
    assert {series.metric.name for series in bench.everything.series()} == {SCRAPE_ERROR.name}
