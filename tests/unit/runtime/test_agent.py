"""The agent: started, changed while it runs, stopped; on its own and beside others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.trace import NoOpTracer, Tracer

from quaywatch import __version__
from quaywatch.contract import (
    Outcome,
    Per,
    Probe,
    ProbeTask,
    Reach,
    Reason,
    Sample,
    Swept,
    Target,
    TargetKind,
    Transaction,
    Transport,
    Watched,
)
from quaywatch.errors import ConnectError
from quaywatch.runtime.agent import Agent
from quaywatch.runtime.catalogue import (
    BUILD_INFO,
    LOOP_LAG,
    PROBE_RUNS,
    PROCESS_CPU_TIME,
    PROCESS_MEMORY_USAGE,
    SCRAPE_SUCCESS,
    TARGET_UP,
)
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.leases import AlwaysHeld, Leases
from quaywatch.runtime.maintenance import Maintenance
from quaywatch.runtime.probing import RunRecord
from quaywatch.runtime.readings import Store
from quaywatch.runtime.view import Everything
from tests.unit.runtime.fakes import (
    LEVEL,
    FakeClock,
    FakeCluster,
    FakeDriver,
    VirtualLoop,
    forever,
    matching,
    one_level,
    reading,
    value,
    watched,
)

LOOP = VirtualLoop


class HandLeases:
    """Leases that the test gives and takes."""

    def __init__(self) -> None:
        self.mine: set[str] = set()
        self.wanted: set[str] = set()
        self.closed = False
        self.before: float | None = None
        self.lost: set[str] = set()
        self._changed: Callable[[], None] = lambda: None

    def held(self, name: str) -> bool:
        """As the test says."""
        return name in self.mine

    def want(self, names: Iterable[str]) -> None:
        """Remember it."""
        self.wanted = set(names)

    def start(self, changed: Callable[[], None]) -> None:
        """Remember whom to tell."""
        self._changed = changed

    def taken_over(self, _name: str) -> float | None:
        """As the test says, once."""
        before, self.before = self.before, None
        return before

    async def confirm(self, name: str) -> bool:
        """As the test says; before it answers, the lease may be lost."""
        self.mine -= self.lost
        return name in self.mine

    async def close(self) -> None:
        """Remember it."""
        self.closed = True

    def now(self, *names: str) -> None:
        """Give and take."""
        self.mine = set(names)
        self._changed()


class Bench:
    """An agent on virtual time."""

    def __init__(self, leases: Leases, *, tracer: Tracer | None = None, maintenance: Maintenance | None = None) -> None:
        self.clock = FakeClock()
        self.meter = Instruments("", self.clock)
        store = Store("", self.clock)
        self.everything = Everything(store, self.meter)
        self.runs: list[RunRecord] = []
        self.left: list[str] = []
        self.states: list[tuple[str, bool]] = []
        self.agent = Agent(
            installation="acme",
            store=store,
            instruments=self.meter,
            leases=leases,
            tracer=tracer or NoOpTracer(),
            maintenance=maintenance,
            clock=self.clock,
            on_state=lambda target, up, _reason, _message: self.states.append((target, up)),
            on_run=self.runs.append,
            on_left=self.left.append,
        )

    def says(self, metric: Any, **attributes: str) -> Any:
        """The value of a series."""
        return value(self.everything, metric, **attributes)

    def targets(self) -> set[str]:
        """All targets that anything is said of."""
        return {dict(series.attributes).get("target", "") for series in self.everything.series()} - {""}


@pytest.fixture
def leases() -> HandLeases:
    """Leases held by nobody."""
    return HandLeases()


@pytest_asyncio.fixture
async def alone() -> AsyncIterator[Bench]:
    """An agent without others."""
    bench = Bench(AlwaysHeld())
    yield bench
    await bench.agent.stop()


@pytest_asyncio.fixture
async def sharing(leases: HandLeases) -> AsyncIterator[Bench]:
    """An agent beside others."""
    bench = Bench(leases)
    yield bench
    await bench.agent.stop()


async def refuse() -> None:
    """A stopped server."""
    raise ConnectError("refused")


async def test_results_come_within_seconds(alone: Bench) -> None:
    """Three seconds after the start every target is up or down, and the healthy ones are read."""
    healthy, dead, hole = FakeDriver(), FakeDriver(refuse), FakeDriver(forever)
    await alone.agent.start(
        [watched(name, one, reading(one_level)) for name, one in [("db", healthy), ("dead", dead), ("hole", hole)]]
    )
    await asyncio.sleep(3)
    assert alone.says(TARGET_UP, target="db") == 1
    assert alone.says(TARGET_UP, target="dead") == 0
    assert alone.says(LEVEL, target="db") == 1
    await asyncio.sleep(5)
    assert alone.says(TARGET_UP, target="hole") == 0
    assert {True: "db", False: "dead"}.items() <= {up: name for name, up in alone.states if name != "hole"}.items()


async def test_an_exporter_meets_a_driver_that_was_connected(alone: Bench) -> None:
    """A driver knows its server only once it spoke to it: nobody reads before that, whoever comes first."""

    async def asks(driver: FakeDriver, _options: Any, _state: Any) -> AsyncIterator[Sample]:
        if not driver.pings:
            raise ConnectError("not connected yet")
        yield LEVEL(1, "met")

    tasks = [reading(asks, f"exporter{number}") for number in range(8)]
    await alone.agent.start([watched("db", FakeDriver(), *tasks)])
    await asyncio.sleep(3)
    assert [one.value for one in matching(alone.everything, SCRAPE_SUCCESS)] == [1] * 8
    assert {one.value for one in matching(alone.everything, "quaywatch.scrape.error")} == {0}


async def test_an_exporter_of_http_reads_a_server_that_refuses_the_ping(alone: Bench) -> None:
    """A certificate that nobody trusts makes the target down, and is itself read from the first turn on."""

    async def refuses() -> None:
        raise ConnectError("its certificate is not trusted")

    async def sees(_driver: FakeDriver, _options: Any, _state: Any) -> AsyncIterator[Sample]:
        yield LEVEL(1, "seen")

    edge = watched("edge", FakeDriver(refuses), reading(sees, "tls"))
    await alone.agent.start([replace(edge, target=Target("edge", TargetKind.HTTP))])
    await asyncio.sleep(3)
    assert [one.value for one in matching(alone.everything, TARGET_UP, target="edge")] == [0]
    assert [one.value for one in matching(alone.everything, LEVEL)] == [1]


async def test_the_agent_speaks_of_itself(alone: Bench) -> None:
    """Its version, what it costs, how late its loop is."""
    await alone.agent.start([])
    await asyncio.sleep(6)
    assert alone.says(BUILD_INFO, version=__version__) == 1
    assert alone.says(PROCESS_CPU_TIME) > 0
    assert alone.says(PROCESS_MEMORY_USAGE) > 10_000_000
    assert alone.says(LOOP_LAG) == pytest.approx(0, abs=1e-6)


async def test_a_reload_leaves_unchanged_targets_alone(alone: Bench) -> None:
    """The same fingerprint keeps its driver and jobs; a changed one gets new ones; a removed one ends."""
    first = {name: FakeDriver() for name in ("same", "changed", "removed")}
    second = {name: FakeDriver() for name in ("same", "changed", "added")}
    await alone.agent.start([watched(name, one, reading(one_level)) for name, one in first.items()])
    await asyncio.sleep(3)
    plan = [
        watched(n, one, reading(one_level), fingerprint="2" if n == "changed" else "1") for n, one in second.items()
    ]
    await alone.agent.replan(plan)
    await asyncio.sleep(3)
    assert [one.closed for one in first.values()] == [False, True, True]
    assert [one.pings > 0 for one in second.values()] == [False, True, True]
    assert alone.targets() == {"same", "changed", "added"}
    assert alone.left == ["changed", "removed"]


async def test_who_is_new_waits_for_nobody_who_goes(sharing: Bench, leases: HandLeases) -> None:
    """While one target is left slowly its lease is kept and another that is new is read; then the lease is let go."""

    async def slow(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
        try:
            await forever()
        finally:
            await asyncio.sleep(8)
        yield LEVEL(0, "never")

    leases.mine = {"old", "new"}
    new = FakeDriver()
    await sharing.agent.start([watched("old", FakeDriver(), reading(slow, deadline=60.0))])
    await asyncio.sleep(4)
    change = asyncio.create_task(sharing.agent.replan([watched("new", new, reading(one_level))]))
    await asyncio.sleep(4)
    assert not change.done()
    assert leases.wanted == {"old", "new"}
    assert new.pings > 0
    await change
    assert leases.wanted == {"new"}
    assert sharing.targets() == {"new"}


async def test_a_stop_in_the_middle_of_a_change_closes_what_is_being_left(alone: Bench) -> None:
    """Whoever changes the targets is cancelled while a removed one's reading ends slowly; its driver is closed."""
    driver = FakeDriver()

    async def slow(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
        try:
            await forever()
        finally:
            await asyncio.sleep(5)
        yield LEVEL(0, "never")

    await alone.agent.start([watched("db", driver, reading(slow, deadline=9.0))])
    await asyncio.sleep(4)
    change = asyncio.create_task(alone.agent.replan([]))
    await asyncio.sleep(1)
    change.cancel()
    await asyncio.wait({change})
    assert not driver.closed
    await alone.agent.stop(within=5)
    assert driver.closed
    await asyncio.sleep(5)


async def test_stop_closes_everything(leases: HandLeases) -> None:
    """Drivers and leases are let go of within the time given, also when a reading hangs; the last numbers stay."""
    bench, driver = Bench(leases), FakeDriver()
    leases.mine = {"db"}

    async def stubborn(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
        while bench.clock.monotonic() < 100:
            try:
                await forever()
            except asyncio.CancelledError:
                await asyncio.sleep(60)
        yield LEVEL(0, "never")

    await bench.agent.start([watched("db", driver, reading(stubborn, deadline=9.0))])
    await asyncio.sleep(4)
    began = bench.clock.monotonic()
    await bench.agent.stop(within=5)
    assert bench.clock.monotonic() - began <= 5
    assert (driver.closed, leases.closed) == (True, True)
    assert bench.says(TARGET_UP, target="db") == 1
    await asyncio.sleep(200)


async def test_nothing_is_said_of_a_target_that_another_agent_reads(sharing: Bench, leases: HandLeases) -> None:
    """Without the lease there is no connection and no series; local targets are always read."""
    shared, local = FakeDriver(), FakeDriver()
    near = watched("near", local, reading(one_level))
    near = Watched(Target("near", TargetKind.POSTGRES, reach=Reach.LOCAL), near.open, near.exporters)
    await sharing.agent.start([watched("db", shared, reading(one_level)), near])
    await asyncio.sleep(20)
    assert leases.wanted == {"db"}
    assert (shared.pings, sharing.targets()) == (0, {"near"})


async def test_a_lost_lease_ends_the_series(sharing: Bench, leases: HandLeases) -> None:
    """Work begins when the lease comes, ends when it goes, and begins again with counters at 0."""
    driver = FakeDriver()
    await sharing.agent.start([watched("db", driver, reading(one_level))])
    leases.now("db")
    await asyncio.sleep(3)
    assert sharing.says(LEVEL, target="db") == 1
    leases.now()
    await asyncio.sleep(1)
    assert (sharing.targets(), driver.closed, sharing.left) == (set(), True, ["db"])
    leases.now("db")
    await asyncio.sleep(3)
    assert sharing.says(SCRAPE_SUCCESS, target="db") == 1


async def test_a_lease_that_is_gone_when_the_turn_comes_stops_the_turn(sharing: Bench, leases: HandLeases) -> None:
    """Even if nobody was told: a turn begins with the question whether the lease is still held."""
    driver = FakeDriver()
    await sharing.agent.start([watched("db", driver, reading(one_level))])
    leases.now("db")
    await asyncio.sleep(3)
    before = driver.pings
    leases.mine = set()
    await asyncio.sleep(60)
    assert driver.pings == before


async def test_tenants_are_toured(alone: Bench) -> None:
    """Per-database exporters run on each database; those whose intervals divide another's share its visits."""
    cluster = FakeCluster(names=["a", "b"])
    intervals = [("v", 10.0), ("w", 10.0), ("x", 20.0), ("y", 25.0), ("z", 50.0)]
    tasks = [reading(one_level, name, per=Per.DATABASE, every=every) for name, every in intervals]
    await alone.agent.start([watched("db", cluster, *tasks)])
    await asyncio.sleep(9)
    assert sorted(cluster.visits) == ["a", "a", "b", "b"]
    assert len(matching(alone.everything, SCRAPE_SUCCESS)) == 10


async def test_visits_of_all_tours_together_are_bounded(alone: Bench) -> None:
    """Tours of different intervals share the target's visits."""
    cluster = FakeCluster(names=[f"t{n}" for n in range(20)])
    tasks = [reading(one_level, f"e{every}", per=Per.DATABASE, every=every) for every in (10.0, 11.0, 13.0)]
    await alone.agent.start([watched("db", cluster, *tasks)])
    await asyncio.sleep(60)
    assert cluster.most_inside == 3


class Flow:
    """A probe of one step that takes as long as the test says."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = asyncio.Event()
        self.undone: list[bool] = []
        self.swept = 0

    async def run(self, driver: FakeDriver, _options: Any, transaction: Transaction) -> None:
        """Change something, and wait."""

        async def undo() -> None:
            await asyncio.sleep(2)
            self.undone.append(not driver.closed)

        async with transaction.step("create"):
            transaction.undo("delete", undo)
            self.began.set()
            await asyncio.sleep(self.seconds)

    async def sweep(self, _driver: Any, _options: Any, _order: Any) -> Swept:
        """Nothing was left."""
        self.swept += 1
        return Swept()

    def watched(self, driver: FakeDriver) -> Watched:
        """The target with this probe, each minute."""
        probe: Probe[Any, Any] = Probe(
            name="order_create",
            flow="order-create",
            transport=Transport.RPC,
            drives=TargetKind.ODOO,
            options=type(None),
            steps=("create",),
            run=self.run,
            sweep=self.sweep,
        )
        return Watched(Target("erp", TargetKind.ODOO), lambda: driver, probes=(ProbeTask(probe, None, 60.0, 30.0),))


async def test_probes_run_on_the_grid_and_are_swept(alone: Bench) -> None:
    """One run per tick, the first at the first tick, and a sweep at the start."""
    flow = Flow(1)
    await alone.agent.start([flow.watched(FakeDriver())])
    await asyncio.sleep(200)
    assert flow.swept == 1
    assert len(alone.runs) == 3
    assert {record.tick - alone.runs[0].tick for record in alone.runs} == {0, 60, 120}
    assert {record.outcome for record in alone.runs} == {Outcome.SUCCESS}
    assert alone.says(PROBE_RUNS, outcome="success", target="erp", probe="order_create") == 3


async def test_stop_lets_a_running_probe_undo(alone: Bench) -> None:
    """The run is cut short, its change undone, and only then the driver is closed."""
    flow, driver = Flow(25), FakeDriver()
    await alone.agent.start([flow.watched(driver)])
    await asyncio.wait_for(flow.began.wait(), 80)
    await alone.agent.stop(within=10)
    assert (flow.undone, driver.closed) == ([True], True)
    assert alone.runs == []


async def test_a_second_stop_waits_for_the_undoing_of_the_first(alone: Bench) -> None:
    """Whoever is cancelled while he stops ends at once, cuts no undoing short, and the next stop waits for its end."""
    flow, driver = Flow(25), FakeDriver()
    await alone.agent.start([flow.watched(driver)])
    await asyncio.wait_for(flow.began.wait(), 80)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(alone.agent.stop(within=10), 1)
    assert (flow.undone, driver.closed) == ([], False)
    await alone.agent.stop(within=10)
    assert (flow.undone, driver.closed) == ([True], True)


async def test_who_stops_can_be_cancelled(alone: Bench) -> None:
    """Also while the agent's own tasks end; the next stop waits for them."""
    await alone.agent.start([])
    await asyncio.sleep(1)
    stopping = asyncio.create_task(alone.agent.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await alone.agent.stop()


async def test_a_driver_that_cannot_be_made_is_said(alone: Bench) -> None:
    """A defect in making one target's driver leaves the others at work, and says that this one is down."""

    def broken() -> FakeDriver:
        raise ZeroDivisionError

    bad = Watched(Target("bad", TargetKind.REDIS), broken)
    await alone.agent.start([bad, watched("db", FakeDriver(), reading(one_level))])
    await asyncio.sleep(3)
    assert alone.says(TARGET_UP, target="db") == 1
    assert alone.says(TARGET_UP, target="bad") == 0
    assert alone.says("quaywatch.scrape.error", target="bad", exporter="ping", reason=Reason.INTERNAL) >= 1
