"""Runs jobs again and again: each alone, none piled up, all of them stoppable.

A job has one task of its own, so it never overlaps with itself; turns that came up while it ran are counted and left
out. How many jobs work on one target at a time is bounded, and so is the number for all targets of a kind: the first
bound is far below the second, so a target that answers nobody cannot hold the places that others need.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from quaywatch.clock import Clock
from quaywatch.contract import Meter, Reason, TargetKind
from quaywatch.drivers.deadline import deadline
from quaywatch.errors import TargetError
from quaywatch.runtime.catalogue import SCHEDULE_MISSED, SCRAPE_ERROR

from .turns import Grid, Interval

_log = structlog.get_logger(__name__)

PER_TARGET: Final = 4
"""Jobs that work on one target at a time."""
PER_KIND: Final = 64
"""Jobs that work on all targets of one kind at a time."""
_CUT_WITHIN: Final = 0.5
"""Seconds that jobs have to end when they were told a second time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is done again and again on a target.

    Args:
        target: the target's name.
        kind: its kind, for the bound that all targets of the kind share.
        label: what is done, unique for the target; the attribute of its metrics.
        every: interval in seconds.
        run: one turn; it is given its tick, the Unix time it was due.
        deadline: seconds after which a turn is cancelled; None for a job that bounds itself.
        on_grid: whether turns lie on the grid that all agents share.
        unbounded: whether it needs no place among the target's jobs.
    """

    target: str
    kind: TargetKind
    label: str
    every: float
    run: Callable[[float], Awaitable[None]]
    deadline: float | None = None
    on_grid: bool = False
    unbounded: bool = False

    @property
    def name(self) -> str:
        """Unique in an agent, the same on every agent."""
        return f"{self.target}/{self.label}"


class Scheduler:
    """Starts and stops jobs. A turn that raises is counted by reason and logged, and the next one comes as if not."""

    def __init__(self, clock: Clock, meter: Meter, *, per_target: int = PER_TARGET, per_kind: int = PER_KIND) -> None:
        self._clock = clock
        self._meter = meter
        self._of_target: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(per_target))
        self._of_kind: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(per_kind))
        self._tasks: dict[Job, asyncio.Task[None]] = {}
        self._told: set[asyncio.Task[None]] = set()
        """Those that were told to end and may still be undoing, which a second word would cut short."""

    def start(self, job: Job) -> None:
        """Begin with a job's turns."""
        self._meter.add(SCHEDULE_MISSED, 0, job.target, job.label)
        self._tasks[job] = asyncio.create_task(self._repeat(job), name=job.name)

    async def stop(self, target: str, within: float) -> None:
        """Cancel all jobs of a target and wait until they have ended, so many seconds at most."""
        await self._end({job: task for job, task in self._tasks.items() if job.target == target}, within)
        self._of_target.pop(target, None)

    async def close(self, within: float) -> None:
        """Cancel all jobs and wait until they have ended, so many seconds at most."""
        await self._end(dict(self._tasks), within)

    async def _end(self, jobs: Mapping[Job, asyncio.Task[None]], within: float) -> None:
        """A job is known until it was waited for: a stop after one that was cancelled waits for the same jobs."""
        new = set(jobs.values()) - self._told
        self._told |= new
        await _ended(new, jobs.values(), within)
        self._told.difference_update(jobs.values())
        for job, task in jobs.items():
            if self._tasks.get(job) is task:
                del self._tasks[job]

    async def _repeat(self, job: Job) -> None:
        turns = (Grid if job.on_grid else Interval)(job.name, job.every, self._clock)
        while not _told_to_end():
            turn = turns.following()
            self._meter.add(SCHEDULE_MISSED, turn.missed, job.target, job.label)
            await self._clock.sleep(turn.wait)
            await self._take(job, turn.tick)

    async def _take(self, job: Job, tick: float) -> None:
        try:
            async with self._place(job), AsyncExitStack() as bounds:
                if job.deadline is not None:
                    await bounds.enter_async_context(deadline(job.deadline, job.name))
                await job.run(tick)
        except TargetError as error:
            self._failed(job, error.reason)
            _log.warning("job failed", job=job.name, reason=error.reason, error=str(error))
        except Exception:  # noqa: BLE001 - a job's border: a defect in one must not end it, nor reach another
            self._failed(job, Reason.INTERNAL)
            _log.exception("job failed", job=job.name, reason=Reason.INTERNAL)

    def _failed(self, job: Job, reason: Reason) -> None:
        self._meter.add(SCRAPE_ERROR, 1, job.target, job.label, reason)

    @asynccontextmanager
    async def _place(self, job: Job) -> AsyncIterator[None]:
        """A place among the target's jobs, and only then one among the kind's: who waits holds nobody else up."""
        if job.unbounded:
            yield
            return
        async with self._of_target[job.target], self._of_kind[job.kind]:
            yield


def _told_to_end() -> bool:
    """Whether somebody cancelled this task and the turn that was on did not pass it on."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _ended(new: Iterable[asyncio.Task[None]], tasks: Iterable[asyncio.Task[None]], within: float) -> None:
    """Cancel the new ones and wait for all; those still at work then are told again, and waited for no longer."""
    left, told = set(tasks), new
    for patience in (within, _CUT_WITHIN):
        for task in told:
            task.cancel()
        told = left = (await asyncio.wait(left, timeout=patience))[1] if left else set()
    if left:
        _log.warning("jobs did not end in time", jobs=[task.get_name() for task in left])
