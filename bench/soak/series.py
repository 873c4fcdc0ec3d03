"""A series of runs on one Odoo, one after the other, of which some are killed with their process."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from quaywatch.runtime.probing.marks import mark_prefix, run_id

from .flows import Turn
from .worker import BROWSER_WITHIN, UNDO_WITHIN, Job

ROOT: Final = Path(__file__).parents[2]
_ENDS_WITHIN: Final = 15.0
_USUAL: Final = 2.0
"""Seconds that a flow takes of which nothing is known yet."""
_OF_LATE: Final = 5
_SEED: Final = 14


@dataclass(frozen=True, slots=True)
class Done:
    """One run as it went. ``outcome`` is empty where its process was killed in the middle."""

    turn: Turn
    mark: str
    outcome: str
    step: str = ""
    message: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it went through all its steps and undid them."""
        return self.outcome == "success"


@dataclass(frozen=True, slots=True)
class Series:
    """All runs of a series, and how many processes were started for them."""

    runs: tuple[Done, ...]
    starts: int

    def complete(self) -> list[Done]:
        """Those that were left alone and succeeded."""
        return [run for run in self.runs if run.is_complete]

    def cut_short(self) -> list[Done]:
        """Those whose process was killed in the middle."""
        return [run for run in self.runs if not run.outcome]

    def failed(self) -> list[Done]:
        """Those that ended, and not with success."""
        return [run for run in self.runs if run.outcome and not run.is_complete]


class Worker:
    """The process, started when it is first needed and again after it was killed."""

    def __init__(self, job: Job) -> None:
        self.starts = 0
        self._job = job
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, turn: Turn, within: float) -> dict[str, Any] | None:
        """Have a run made; None when there is no answer in so many seconds."""
        process = self._process or await self._started()
        assert process.stdin is not None  # noqa: S101 - it was asked for
        assert process.stdout is not None  # noqa: S101 - as above
        process.stdin.write(json.dumps([turn.number, turn.probe]).encode() + b"\n")
        try:
            line = await asyncio.wait_for(process.stdout.readline(), within)
        except TimeoutError:
            return None
        if not line:
            raise RuntimeError(f"the process that makes the runs ended by itself at run {turn.number}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def kill(self) -> None:
        """End the process without a chance to undo anything, and wait until its browser has followed it."""
        process, self._process = self._process, None
        if process is None:
            return
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        await process.communicate()
        _, left = await asyncio.to_thread(psutil.wait_procs, family, _ENDS_WITHIN)
        for one in left:
            with suppress(psutil.NoSuchProcess):
                one.kill()

    async def end(self) -> None:
        """Let the process end in peace."""
        process, self._process = self._process, None
        if process is not None:
            await asyncio.wait_for(process.communicate(b""), _ENDS_WITHIN + UNDO_WITHIN)

    async def _started(self) -> asyncio.subprocess.Process:
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        program = (sys.executable, "-m", "bench.soak.worker")
        self._process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=null)
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.write(json.dumps(self._job.plain()).encode() + b"\n")
        self.starts += 1
        return self._process


async def series(job: Job, turns: Iterable[Turn], say: Callable[[str], None]) -> Series:
    """Make these runs; a process that is to be killed is so at a moment within the usual time of the flow."""
    worker, runs = Worker(job), list[Done]()
    moments, usual = random.Random(_SEED), defaultdict[str, list[float]](list)  # noqa: S311 - no secret
    try:
        for turn in turns:
            took = median(usual[turn.probe][-_OF_LATE:] or [_USUAL])
            within = moments.uniform(0, took) if turn.is_killed else BROWSER_WITHIN + UNDO_WITHIN
            began = time.monotonic()
            answer = await worker.ask(turn, within)
            if answer and not turn.is_killed:
                usual[turn.probe].append(time.monotonic() - began)
            if turn.is_killed or not answer:
                await worker.kill()
            runs.append(Done(turn, _mark(job, turn), **(answer or {"outcome": ""})))
            say(f"{job.installation}: {_told(runs[-1], time.monotonic() - began)}")
        await worker.end()
    finally:
        await worker.kill()
    return Series(tuple(runs), worker.starts)


def _mark(job: Job, turn: Turn) -> str:
    database = job.server.database
    identity = run_id(
        installation=job.installation, target=database, database=database, probe=turn.probe, tick=float(turn.number)
    )
    return mark_prefix(job.installation, turn.probe) + identity


def _told(run: Done, seconds: float) -> str:
    how = " ".join(word for word in (run.outcome or "killed", run.step, run.message) if word)
    return f"run {run.turn.number}: {run.turn.probe}: {how}, {seconds:.1f} s"
