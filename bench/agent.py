"""The agent in a process of its own, all of `quaywatch run` but its clock: a cycle begins when it is told to.

python -m bench.agent CONFIG

Prints one line of JSON when it is ready and one for each line that it is given, then ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Final

from quaywatch.cli.frame import Frame
from quaywatch.cli.plan import plan
from quaywatch.cli.session import settings_of
from quaywatch.clock import SystemClock
from quaywatch.contract import Per, Watched

_A_TURN: Final = 3600.0
"""Seconds from which on a wait is one for the next turn of a job, and not a nap within one."""


class ToldClock(SystemClock):
    """The machine's clock, on which whoever waits for a turn waits to be told."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._asleep = 0
        self._bell = asyncio.Event()
        self._all_asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait for the next cycle if the wait is as long as an interval, and so many seconds otherwise."""
        if seconds < _A_TURN:
            await super().sleep(seconds)
            return
        bell = self._bell
        self._asleep += 1
        if self._asleep == self._jobs:
            self._all_asleep.set()
        await bell.wait()

    async def settled(self) -> None:
        """Wait until every job has done its turn."""
        await self._all_asleep.wait()

    async def cycle(self) -> float:
        """Let every job have one turn, all at once; how many seconds passed until the last was done."""
        began = self.monotonic()
        self._asleep = 0
        self._all_asleep.clear()
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()
        await self.settled()
        return self.monotonic() - began


async def serve(config: Path) -> None:
    """Run until standard input ends."""
    settings = settings_of(config, os.environ)
    clock = ToldClock(sum(map(_jobs, plan(settings))))
    frame = Frame(settings, os.environ, clock=clock)
    await frame.start()
    await clock.settled()
    _say(0.0)
    while await asyncio.to_thread(sys.stdin.readline):
        _say(await clock.cycle())
    await frame.stop()


def _jobs(watched: Watched) -> int:
    """How many jobs have turns as long as an interval: one for each exporter, and one for each tour."""
    alone = [task for task in watched.exporters if task.exporter.per is Per.TARGET]
    tours = {task.every for task in watched.exporters if task.exporter.per is Per.DATABASE}
    return len(alone) + len(tours)


def _say(seconds: float) -> None:
    sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
