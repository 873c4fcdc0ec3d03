"""The time this room runs on: a seam for tests."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds, and waiting for them to pass."""

    def time(self) -> float:
        """The time of day, in Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""
        ...


class SystemClock:
    """The machine's own time."""

    def time(self) -> float:
        """The time of day, in Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""
        await asyncio.sleep(seconds)
