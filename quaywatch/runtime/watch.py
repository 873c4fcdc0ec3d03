"""One target at work: its driver, its jobs, and whether this agent acts on it at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from quaywatch.contract import ExporterTask, Per, ProbeTask, Reach, TargetKind, Watched

from .catalogue import LEASE_CHANGES, LEASE_HELD, LEASE_UNCONFIRMED, METRICS
from .probing import SWEEP_EVERY, announce, sweep_probe
from .readings import PING, Source, Tour, sharing_visits
from .schedule import Job
from .ticking import Ticks
from .tools import Tools

PING_EVERY: Final = 15.0
"""Seconds between two pings at most; a target that is read more often is pinged as often."""
PING_WITHIN: Final = 5.0
"""Seconds a ping may take."""
UNDO_WITHIN: Final = 15.0
"""Seconds that the jobs of a target have to end, a running probe's undoing among them, when the target is left."""

_OF_LEASE: Final = (LEASE_HELD, LEASE_CHANGES, LEASE_UNCONFIRMED)
_OF_TARGET: Final = tuple(
    metric for metric in METRICS if metric.attributes[:1] == ("target",) and metric not in _OF_LEASE
)


class TargetWatch:
    """Works on a target while this agent is to act on it, and leaves no series of it otherwise."""

    def __init__(self, watched: Watched, tools: Tools) -> None:
        self.watched = watched
        self._name = watched.target.name
        self._tools = tools
        self._driver: Any = None
        self._met = False
        self._dismissed = False
        self._turn = asyncio.Lock()

    @property
    def driver(self) -> Any:
        """The driver, while this agent acts on the target and could make one; else None."""
        return None if isinstance(self._driver, _Unopened) else self._driver

    def acts(self) -> bool:
        """Whether this agent is to act on the target now."""
        if self._dismissed:
            return False
        return self.watched.target.reach is Reach.LOCAL or self._tools.leases.held(self._name)

    async def settle(self) -> None:
        """Begin or leave, as it is to be now."""
        async with self._turn:
            if self.acts() and self._driver is None:
                self._begin()
            elif not self.acts() and self._driver is not None:
                await self._pause(UNDO_WITHIN)
                self._forget()

    async def dismiss(self) -> None:
        """Leave the target for good; its series end."""
        self._dismissed = True
        await self.settle()

    async def stop(self, within: float) -> None:
        """End the jobs, so many seconds at most; the series stay for the last export."""
        self._dismissed = True
        async with self._turn:
            if self._driver is not None:
                await self._pause(within)

    def _begin(self) -> None:
        watched, tools = self.watched, self._tools
        tools.collection.announce(self._name, PING, *(task.exporter.name for task in watched.exporters))
        for probe in watched.probes:
            announce(probe, watched.target, tools.meter)
        # HTTP tells nothing of its server, and a certificate that fails the ping is what an exporter is to see.
        self._met = watched.target.kind is TargetKind.HTTP
        try:
            self._driver = watched.open()
        except Exception as error:  # noqa: BLE001 - a target's border: one that cannot be opened is down, and said to be
            self._driver = _Unopened(error)
            tools.scheduler.start(self._ping(self._driver))
            return
        for job in self._jobs(self._driver):
            tools.scheduler.start(job)

    async def _pause(self, within: float) -> None:
        await self._tools.scheduler.stop(self._name, within)
        await self._driver.close()
        self._driver = None

    def _forget(self) -> None:
        self._tools.collection.forget(self._name)
        for metric in _OF_TARGET:
            self._tools.meter.clear(metric, self._name)
        self._tools.on_left(self._name)

    def _jobs(self, driver: Any) -> Iterator[Job]:
        yield self._ping(driver)
        yield from (self._reading(task, driver) for task in self.watched.exporters if task.exporter.per is Per.TARGET)
        yield from self._tours(driver)
        before = self._tools.leases.taken_over(self._name)
        for task in self.watched.probes:
            yield self._probe(task, driver, before)
            yield self._sweep(task, driver)

    def _job(self, label: str, every: float, run: Callable[[float], Awaitable[object]], **bounds: bool) -> Job:
        async def turn(tick: float) -> None:
            if self.acts():  # an agent that was frozen wakes up with a lease that another has taken
                await run(tick)

        target = self.watched.target
        return Job(target=target.name, kind=target.kind, label=label, every=every, run=turn, **bounds)

    def _ping(self, driver: Any) -> Job:
        readings = [task.every for task in self.watched.exporters]
        every = min([PING_EVERY, *readings])

        async def ping(_tick: float) -> None:
            self._tell_maintenance()
            await self._tools.collection.ping(self.watched.target, driver, PING_WITHIN)

        return self._job(PING, every, ping, unbounded=True)

    def _tell_maintenance(self) -> None:
        tools = self._tools
        for task in self.watched.probes:
            tools.maintenance.tell(self._name, task.probe.name, tools.clock.time(), tools.meter)

    def _reading(self, task: ExporterTask, driver: Any) -> Job:
        source, state = Source(self._name, task.exporter.name), task.exporter.state()
        read = self._tools.collection.read
        return self._job(
            task.exporter.name, task.every, lambda _: read(task, driver, source, state, prepare=self._introduced)
        )

    async def _introduced(self) -> None:
        """Connect a driver that never was: only then it knows what it speaks to, such as the server's version."""
        if not self._met:
            await self._driver.ping()
            self._met = True

    def _tours(self, driver: Any) -> Iterator[Job]:
        """As few tours as their intervals allow; all of them together make no more visits at a time than they may."""
        per_database = [task for task in self.watched.exporters if task.exporter.per is Per.DATABASE]
        visits = asyncio.Semaphore(self.watched.visits)
        for every, tasks in sharing_visits(per_database).items():
            yield self._tour(every, self._round(tasks, driver, visits))

    def _tour(self, every: float, tour: Tour) -> Job:
        return self._job(tour.label, every, lambda _: tour.go())

    def _round(self, tasks: list[ExporterTask], driver: Any, visits: asyncio.Semaphore) -> Tour:
        return Tour(
            self._name,
            tasks,
            cluster=driver,
            tenants=self.watched.tenants,
            visits=visits,
            collection=self._tools.collection,
            meter=self._tools.meter,
            clock=self._tools.clock,
        )

    def _probe(self, task: ProbeTask, driver: Any, before: float | None) -> Job:
        ticks = Ticks(task, driver, self.watched.target, self._tools, before)
        return self._job(task.probe.name, task.every, ticks.take, on_grid=True)

    def _sweep(self, task: ProbeTask, driver: Any) -> Job:
        watched, tools = self.watched, self._tools

        async def run(_tick: float) -> None:
            await sweep_probe(
                task,
                driver,
                target=watched.target,
                installation=tools.installation,
                limit_time_real=watched.limit_time_real,
                meter=tools.meter,
            )

        return self._job(f"{task.probe.name}.sweep", SWEEP_EVERY, run)


class _Unopened:
    """Stands in for a driver that could not be made."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def ping(self) -> None:
        """Say why."""
        raise self._error

    async def close(self) -> None:
        """There is nothing to close."""
