"""What the agent itself costs: processor time, memory, and how late its event loop is."""

from __future__ import annotations

import ctypes
import gc
import resource
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from quaywatch.clock import Clock
from quaywatch.contract import Meter

from .catalogue import LOOP_LAG, PROCESS_CPU_TIME, PROCESS_MEMORY_USAGE

EVERY: Final = 5.0
"""Seconds between two measurements."""
_NAP: Final = 0.25
_PAGES: Final = Path("/proc/self/statm")
_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 128 * 1024
"""Bytes from which on a block is the system's own, as glibc begins with."""


def settle_memory() -> None:
    """Make memory stay what it was while tenants come and go; called once, when everything is imported.

    With each large block that is freed glibc takes larger ones from its heap, where a page of metrics, made anew for
    each scrape, leaves holes that are never given back: tens of MiB in an hour. A threshold that is set stays. What is
    imported lives for ever, and the garbage collector need not look at it again.
    """
    with suppress(AttributeError):  # another C library, which has no such habit
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
    gc.collect()
    gc.freeze()


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
