"""The agent: what is watched, started, changed while it runs, and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

import structlog
from opentelemetry.trace import Tracer

from quaywatch import __version__
from quaywatch.clock import Clock
from quaywatch.contract import Reach, Reason, Watched

from .catalogue import BUILD_INFO, START_TIME
from .instruments import Instruments
from .leases import Leases
from .maintenance import Maintenance
from .probing import OnSuspicion, RunRecord
from .process import watch_process
from .readings import Collection, Store
from .schedule import Scheduler
from .tools import Tools
from .watch import TargetWatch

_log = structlog.get_logger(__name__)

_STOP_MARGIN: Final = 1.0
"""Seconds of the time to stop that are kept for letting go of connections and leases."""


class Agent:
    """Watches targets; owns their drivers, their jobs and the leases.

    Args:
        installation: whose marks the probes' records bear, and whose leases are contended for.
        store: where readings go.
        instruments: where the agent's own numbers go.
        leases: decides on which shared targets this agent acts.
        tracer: where probe runs are traced.
        clock: time.
        on_state: hears of every ping: target, up, reason and message of a 0.
        on_run: hears of every probe run.
        on_left: hears of every target that this agent no longer acts on.
        on_suspicion: is asked why a probe's step is slow or failed.
        maintenance: when probes are not run, or are to alarm nobody.
    """

    def __init__(
        self,
        *,
        installation: str,
        store: Store,
        instruments: Instruments,
        leases: Leases,
        tracer: Tracer,
        clock: Clock,
        on_state: Callable[[str, bool, Reason | None, str], None] = lambda *_: None,
        on_run: Callable[[RunRecord], None] = lambda _: None,
        on_left: Callable[[str], None] = lambda _: None,
        on_suspicion: OnSuspicion | None = None,
        maintenance: Maintenance | None = None,
    ) -> None:
        self._meter = instruments
        self._leases = leases
        self._clock = clock
        self._tools = Tools(
            installation=installation,
            scheduler=Scheduler(clock, instruments),
            collection=Collection(store, instruments, clock, on_state=on_state),
            leases=leases,
            meter=instruments,
            tracer=tracer,
            clock=clock,
            on_run=on_run,
            on_left=on_left,
            on_suspicion=on_suspicion,
            maintenance=maintenance or Maintenance(),
        )
        self._watches: dict[str, TargetWatch] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def start(self, watched: Sequence[Watched]) -> None:
        """Begin to watch; returns at once, whatever state the targets are in."""
        self._meter.set(BUILD_INFO, 1, __version__)
        self._meter.set(START_TIME, self._clock.time())
        self._run(watch_process(self._meter, self._clock))
        self._leases.start(self._settle)
        await self.replan(watched)

    async def replan(self, watched: Sequence[Watched]) -> None:
        """Watch these targets from now on; one whose fingerprint is that of before goes on undisturbed."""
        planned = {one.target.name: one for one in watched}
        gone = [watch for name, watch in self._watches.items() if not _same(watch.watched, planned.get(name))]
        leaving = asyncio.gather(*(watch.dismiss() for watch in gone))
        self._take_up(planned)  # who is new waits for nobody who goes
        await leaving
        for watch in gone:  # not before: a stop that comes in between is to find them
            del self._watches[watch.watched.target.name]
        self._take_up(planned)

    def _take_up(self, planned: Mapping[str, Watched]) -> None:
        """Begin with every target that is not here yet, and keep the leases of those that still go."""
        for name, one in planned.items():
            self._watches.setdefault(name, TargetWatch(one, self._tools))
        targets = [watch.watched.target for watch in self._watches.values()]
        self._leases.want([target.name for target in targets if target.reach is Reach.SHARED])
        self._settle()

    async def stop(self, within: float = 10.0) -> None:
        """End all jobs, a running probe undone within its time, and let go of connections and leases.

        The series stay for the last export.
        """
        await asyncio.gather(*(watch.stop(max(within - _STOP_MARGIN, 0)) for watch in self._watches.values()))
        for task in self._background:
            task.cancel()
        if self._background:
            await asyncio.wait(self._background)
        await self._leases.close()

    def driver(self, name: str) -> Any:
        """The driver by which a target is watched here; None for one that is not, or is another agent's."""
        watch = self._watches.get(name)
        return None if watch is None else watch.driver

    def _settle(self) -> None:
        for watch in self._watches.values():
            self._run(watch.settle())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("a defect of the agent", exc_info=error)


def _same(old: Watched, new: Watched | None) -> bool:
    return new is not None and new.fingerprint == old.fingerprint
