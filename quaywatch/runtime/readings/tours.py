"""Rounds through a cluster's tenant databases: found anew each time, visited a few at a time, and left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

from quaywatch.clock import Clock
from quaywatch.contract import Cluster, ExporterTask, Meter, Reason
from quaywatch.errors import TargetError
from quaywatch.runtime.catalogue import TENANTS, TOUR_DURATION

from .collection import Collection
from .store import Source

_LINE_IN_DOUBT: Final = (Reason.CONNECT, Reason.TIMEOUT)
"""After one of these a visit's session may be of no more use."""
_MOST_EXTRA_TURNS: Final = 200
"""Visits of a tour at most on which exporters are read whose interval has not come round, having had no turn yet."""
_NO_SUCH_DATABASE: Final = "3D000"
"""What is said of a tenant that was dropped or renamed since the tour began; of one never seen it is an error."""


def sharing_visits(tasks: Iterable[ExporterTask]) -> dict[float, list[ExporterTask]]:
    """The tasks by the interval in seconds of the tour that they go along on, which divides theirs."""
    tours: dict[float, list[ExporterTask]] = {}
    for task in sorted(tasks, key=lambda task: task.every):
        every = next((every for every in tours if (task.every / every).is_integer()), task.every)
        tours.setdefault(every, []).append(task)
    return tours


@dataclass(slots=True)
class _Tenant:
    """A database on the tour: what each exporter remembers of it, and whose turn does not have to be caught up."""

    phase: int
    states: dict[str, Any]
    had_a_turn: set[str] = field(default_factory=set)


class Tour:
    """Per-database exporters of one target, run on one visit to each database.

    A tour is to be made at the shortest of their intervals, of which the others are multiples: these go along on every
    second visit, or every tenth. Their turns are spread over the databases, so that one tour costs what the next one
    does. The first visit to a database reads everything; where hundreds are new at once, as when the agent starts or
    the cluster comes back, those with the longer intervals are caught up with over the next tours.

    Every exporter has its own deadline, success and state on each database. A database that failed, or that nobody may
    enter, changes nothing for the others; one that vanished ends with the visit that misses it, or with the next tour.
    Nothing bounds a tour as a whole: it goes on until it has been everywhere, and each of its parts is bounded.
    """

    def __init__(
        self,
        target: str,
        tasks: Sequence[ExporterTask],
        *,
        cluster: Cluster,
        tenants: Callable[[str], bool],
        visits: asyncio.Semaphore,
        collection: Collection,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self._target = target
        self._tasks = tasks
        self._cluster = cluster
        self._tenants = tenants
        self._visits = visits
        self._collection = collection
        self._meter = meter
        self._clock = clock
        self._every = min(task.every for task in tasks)
        self._tours = 0
        self._extra_turns = 0
        self._known: dict[str, _Tenant] = {}

    @property
    def label(self) -> str:
        """What a tour is called among the jobs of its target."""
        return f"tour.{self._every:g}s"

    async def go(self) -> None:
        """One tour: find the databases and visit them all.

        Raises nothing but a cancellation.
        """
        began = self._clock.monotonic()
        try:
            found = [name for name in await self._cluster.databases() if self._tenants(name)]
        except TargetError as error:
            self._lost(error, self._clock.monotonic() - began)
            return
        for task in self._tasks:
            self._collection.recovered(self._source(task, ""))
        self._meter.set(TENANTS, len(found), self._target)
        self._end(set(self._known) - set(found))
        self._tours += 1
        self._extra_turns = _MOST_EXTRA_TURNS
        async with asyncio.TaskGroup() as group:
            for database in found:
                group.create_task(self._visit(database))
        self._meter.set(TOUR_DURATION, self._clock.monotonic() - began, self._target, self.label)

    def _lost(self, error: TargetError, duration: float) -> None:
        """The databases could not be listed: nothing of what was read before holds, and each exporter failed once."""
        self._meter.clear(TENANTS, self._target)
        self._meter.clear(TOUR_DURATION, self._target, self.label)
        for tenant in self._known.values():
            tenant.had_a_turn.clear()
        for task in self._tasks:
            self._collection.count(self._source(task, ""), error)
            for database in self._known:
                self._collection.unread(self._source(task, database), duration)

    def _end(self, databases: Iterable[str]) -> None:
        for database in databases:
            del self._known[database]
            for task in self._tasks:
                self._collection.end(self._source(task, database))

    async def _visit(self, database: str) -> None:
        tenant = self._known.setdefault(database, self._met(database))
        async with self._visits:
            due = self._due(tenant)
            left = [*due, *self._caught_up(tenant, due)]
            while left:
                await self._sitting(database, left, tenant)

    def _met(self, database: str) -> _Tenant:
        return _Tenant(crc32(database.encode()), {task.exporter.name: task.exporter.state() for task in self._tasks})

    def _due(self, tenant: _Tenant) -> list[ExporterTask]:
        """Whose interval has come round."""
        turn = self._tours + tenant.phase
        return [task for task in self._tasks if turn % round(task.every / self._every) == 0]

    def _caught_up(self, tenant: _Tenant, due: Sequence[ExporterTask]) -> list[ExporterTask]:
        """Who has had no turn here, and is not due either; nobody where there were many of these on this tour."""
        late = [one for one in self._tasks if one.exporter.name not in tenant.had_a_turn and one not in due]
        if not late or not self._extra_turns:
            return []
        self._extra_turns -= 1
        return late

    async def _sitting(self, database: str, left: list[ExporterTask], tenant: _Tenant) -> None:
        """One session: works off what is left, until nothing is or the session may be of no more use."""
        began = self._clock.monotonic()
        try:
            async with self._cluster.visit(database) as session:
                while left:
                    task = left.pop(0)
                    name = task.exporter.name
                    tenant.had_a_turn.add(name)
                    source = self._source(task, database)
                    if await self._collection.read(task, session, source, tenant.states[name]) in _LINE_IN_DOUBT:
                        return
        except Exception as error:  # noqa: BLE001 - a task's border: what happens in one database stays there
            if tenant.had_a_turn and isinstance(error, TargetError) and error.code == _NO_SUCH_DATABASE:
                self._end([database])
            else:
                self._unread(database, left, tenant, error, self._clock.monotonic() - began)
            left.clear()

    def _unread(
        self, database: str, left: Iterable[ExporterTask], tenant: _Tenant, error: Exception, duration: float
    ) -> None:
        """Nobody could enter: each exporter that is left failed once, and has its turn on the next tour."""
        for task in left:
            tenant.had_a_turn.discard(task.exporter.name)
            self._collection.unread(self._source(task, database), duration)
            self._collection.count(self._source(task, database), error)

    def _source(self, task: ExporterTask, database: str) -> Source:
        return Source(self._target, task.exporter.name, database)
