"""What the agent itself costs: processor time, memory, and how late its event loop is."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Final

from quaywatch.contract import Meter

from .catalogue import LOOP_LAG, PROCESS_CPU_TIME, PROCESS_MEMORY_USAGE
from .clock import Clock

EVERY: Final = 5.0
"""Seconds between two measurements."""
_NAP: Final = 0.25
_PAGES: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """The physical memory this process holds, from ``/proc/self/statm``."""
    return int(_PAGES.read_text(encoding="ascii").split()[1]) * resource.getpagesize()


async def watch_process(meter: Meter, clock: Clock) -> None:
    """Measure for ever, until cancelled."""
    used = 0.0
    while True:
        now_used = time.process_time()
        meter.add(PROCESS_CPU_TIME, now_used - used)
        used = now_used
        meter.set(PROCESS_MEMORY_USAGE, resident_bytes())
        meter.set(LOOP_LAG, await _longest_delay(clock, EVERY))


async def _longest_delay(clock: Clock, within: float) -> float:
    """By how many seconds the loop was late at most, over so many seconds of short naps."""
    end = clock.monotonic() + within
    longest = 0.0
    while (began := clock.monotonic()) < end:
        await clock.sleep(_NAP)
        longest = max(longest, clock.monotonic() - began - _NAP)
    return longest
