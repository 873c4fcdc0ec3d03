"""Turns: when they come, what they may take, how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from quaywatch.contract import Reason, TargetKind
from quaywatch.errors import FaultError
from quaywatch.runtime.catalogue import SCHEDULE_MISSED, SCRAPE_ERROR
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.schedule import Job, Scheduler
from quaywatch.runtime.schedule.turns import FIRST_WITHIN, Grid, Interval, share
from tests.unit.runtime.fakes import EPOCH, FakeClock, HandClock, VirtualLoop, forever, value

LOOP = VirtualLoop


class Bench:
    """A scheduler on virtual time, and when its jobs ran."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.meter = Instruments("", self.clock)
        self.scheduler = Scheduler(self.clock, self.meter, per_target=2, per_kind=6)
        self.ran: list[float] = []
        self.ticks: list[float] = []

    def start(
        self, work: Callable[[], Awaitable[None]], *, target: str = "db", label: str = "job", **more: Any
    ) -> None:
        """A job every ten seconds."""

        async def run(tick: float) -> None:
            self.ran.append(self.clock.monotonic())
            self.ticks.append(tick)
            await work()

        options = {"every": 10.0, **more}
        self.scheduler.start(Job(target=target, kind=TargetKind.POSTGRES, label=label, run=run, **options))

    def missed(self) -> Any:
        """Turns left out."""
        return value(self.meter, SCHEDULE_MISSED, target="db", job="job")

    def errors(self, reason: Reason) -> Any:
        """Failed turns."""
        return value(self.meter, SCRAPE_ERROR, target="db", exporter="job", reason=reason)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    """A scheduler that is closed in the end."""
    bench = Bench()
    yield bench
    await bench.scheduler.close(1)


async def nothing() -> None:
    """Work that takes no time."""


async def test_the_first_turn_comes_soon_and_the_others_each_interval(bench: Bench) -> None:
    """Within two seconds of the start, then every ten seconds, late by 0.2 s at most."""
    bench.start(nothing)
    await asyncio.sleep(95)
    assert 0 <= bench.ran[0] <= FIRST_WITHIN + 0.2
    assert len(bench.ran) == 10
    steps = [later - earlier for earlier, later in zip(bench.ran, bench.ran[1:], strict=False)]
    assert all(9.8 <= step <= 10.2 for step in steps)
    assert len(set(steps)) > 1
    assert bench.missed() == 0


async def test_a_job_never_overlaps_itself(bench: Bench) -> None:
    """Row 17: turns that come up while it runs are counted and left out, not piled up."""
    bench.start(lambda: asyncio.sleep(25))
    await asyncio.sleep(64)
    assert [round((moment - bench.ran[0]) / 10) for moment in bench.ran] == [0, 3, 6]
    assert bench.missed() == 4


async def test_a_turn_ends_at_its_deadline(bench: Bench) -> None:
    """It is cancelled, joined, counted as a time-out, and the next one comes."""
    ended = []

    async def stuck() -> None:
        try:
            await forever()
        finally:
            ended.append(bench.clock.monotonic())

    bench.start(stuck, deadline=4.0)
    await asyncio.sleep(19)
    assert [end - begin for begin, end in zip(bench.ran, ended, strict=True)] == [4.0, 4.0]
    assert bench.errors(Reason.TIMEOUT) == 2


async def test_an_error_ends_no_job(bench: Bench) -> None:
    """Whatever a turn raises is counted by its reason, and the next one comes."""
    errors = iter([FaultError("no"), ZeroDivisionError("a defect")])

    async def fail() -> None:
        raise next(errors)

    bench.start(fail)
    await asyncio.sleep(19)
    assert (bench.errors(Reason.FAULT), bench.errors(Reason.INTERNAL)) == (1, 1)


async def test_a_target_that_answers_nobody_holds_no_one_up(bench: Bench) -> None:
    """Two dead targets with five jobs each leave the third target's jobs on time, and pings need no place."""
    for number in range(5):
        bench.start(forever, target="dead", label=f"{number}")
        bench.start(forever, target="dead too", label=f"{number}")
    await asyncio.sleep(5)
    assert len(bench.ran) == 4
    bench.start(nothing, target="dead", label="ping", unbounded=True)
    bench.start(nothing, target="db")
    await asyncio.sleep(3)
    assert len(bench.ran) == 6


async def test_all_targets_of_a_kind_share_a_bound(bench: Bench) -> None:
    """However many targets there are, no more than so many jobs work at a time."""
    for number in range(10):
        bench.start(forever, target=f"{number}")
    await asyncio.sleep(30)
    assert len(bench.ran) == 6


async def test_stop_ends_the_jobs_of_one_target(bench: Bench) -> None:
    """They are cancelled and joined; other targets' jobs go on."""
    ended = []

    async def tidy() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(1)
            ended.append("tidied up")

    bench.start(tidy)
    bench.start(nothing, target="other")
    await asyncio.sleep(5)
    await bench.scheduler.stop("db", within=2)
    assert ended == ["tidied up"]
    before = len(bench.ran)
    await asyncio.sleep(20)
    assert len(bench.ran) == before + 2


async def test_close_does_not_wait_for_ever(bench: Bench) -> None:
    """A job that goes on after it was told is told again, and then left alone."""
    told: list[float] = []

    async def stubborn() -> None:
        while len(told) < 2:
            try:
                await forever()
            except asyncio.CancelledError:
                told.append(bench.clock.monotonic())

    bench.start(stubborn)
    await asyncio.sleep(5)
    began = bench.clock.monotonic()
    await bench.scheduler.close(within=3)
    assert [moment - began for moment in told] == [0, 3]


async def test_all_agents_agree_on_the_grid() -> None:
    """Two agents that started at different times run the same ticks, and neither runs the tick it came into."""
    first, second = Bench(), Bench()
    first.start(nothing, on_grid=True)
    await asyncio.sleep(13)
    second.start(nothing, on_grid=True)
    begin = second.clock.time()
    await asyncio.sleep(30)
    assert second.ticks
    assert second.ticks == first.ticks[-len(second.ticks) :]
    assert min(second.ticks) > begin
    assert [tick - EPOCH - 10 * share("db/job") for tick in first.ticks] == pytest.approx([0, 10, 20, 30, 40], abs=1e-3)
    for bench in (first, second):
        await bench.scheduler.close(1)


async def test_an_overrun_on_the_grid_is_counted(bench: Bench) -> None:
    """A run that goes over its next tick leaves that one out."""
    bench.start(lambda: asyncio.sleep(12), on_grid=True)
    await asyncio.sleep(50)
    assert [later - earlier for earlier, later in zip(bench.ticks, bench.ticks[1:], strict=False)] == [20, 20]
    assert bench.missed() == 2


def test_a_grid_survives_a_clock_that_is_set() -> None:
    """After a jump back the next turn is at most one interval away; no tick comes twice in a row."""
    clock = HandClock(5000.0)
    grid = Grid("db/job", 60.0, clock)
    before = grid.following()
    clock.now += before.wait - 0.001  # woken a moment early
    again = grid.following()
    assert again.tick == before.tick + 60
    clock.now -= 3600
    back = grid.following()
    assert 0 < back.wait <= 60
    assert back.missed == 0


def test_a_suspended_machine_missed_its_turns() -> None:
    """After a long sleep of the machine the next turn is the next one due, and the others are said to be missed."""
    clock = HandClock()
    turns = Interval("db/job", 10.0, clock)
    turns.following()
    clock.now = 100.0
    turn = turns.following()
    assert turn.missed == 9
    assert 0 <= turn.wait <= FIRST_WITHIN + 0.2


def test_shares_are_spread_and_stable() -> None:
    """A thousand names lie evenly, and the same name lies where it lay."""
    shares = [share(f"target-{n}/job") for n in range(1000)]
    assert all(70 < sum(low <= one < low + 0.1 for one in shares) < 130 for low in [n / 10 for n in range(10)])
    assert share("db/order_create") == share("db/order_create")
