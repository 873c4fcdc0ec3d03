"""Rounds through a cluster's tenant databases: found anew each time, visited a few at a time, and left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from quaywatch.contract import Cluster, ExporterTask, Meter, Reason
from quaywatch.errors import TargetError

from .catalogue import TENANTS
from .clock import Clock
from .collection import Collection
from .store import Source

_LINE_IN_DOUBT: Final = (Reason.CONNECT, Reason.TIMEOUT)
"""After one of these a visit's session may be of no more use."""


class Tour:
    """The per-database exporters of one target that share an interval, run on one visit to each database.

    Every exporter has its own deadline, success and state on each database. A database that failed, or that nobody may
    enter, changes nothing for the others; one that vanished ends with the next tour. Nothing bounds a tour as a whole:
    it goes on until it has been everywhere, and each of its parts is bounded.
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
        self._known: dict[str, dict[str, Any]] = {}

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
        async with asyncio.TaskGroup() as group:
            for database in found:
                group.create_task(self._visit(database))

    def _lost(self, error: TargetError, duration: float) -> None:
        """The databases could not be listed: nothing of what was read before holds, and each exporter failed once."""
        self._meter.clear(TENANTS, self._target)
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
        states = self._known.setdefault(database, {task.exporter.name: task.exporter.state() for task in self._tasks})
        async with self._visits:
            left = list(self._tasks)
            while left:
                await self._sitting(database, left, states)

    async def _sitting(self, database: str, left: list[ExporterTask], states: dict[str, Any]) -> None:
        """One session: works off what is left, until nothing is or the session may be of no more use."""
        began = self._clock.monotonic()
        try:
            async with self._cluster.visit(database) as session:
                while left:
                    task = left.pop(0)
                    source = self._source(task, database)
                    if await self._collection.read(task, session, source, states[task.exporter.name]) in _LINE_IN_DOUBT:
                        return
        except Exception as error:  # noqa: BLE001 - a task's border: what happens in one database stays there
            for task in left:
                self._collection.unread(self._source(task, database), self._clock.monotonic() - began)
                self._collection.count(self._source(task, database), error)
            left.clear()

    def _source(self, task: ExporterTask, database: str) -> Source:
        return Source(self._target, task.exporter.name, database)
