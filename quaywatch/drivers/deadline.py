"""The client's own deadline, which also holds when the other side is a black hole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quaywatch.errors import DeadlineError


@asynccontextmanager
async def deadline(seconds: float, what: str) -> AsyncIterator[None]:
    """Bound the block to so many ``seconds``; ``what`` names what was waited for.

    A caller that is cancelled stays cancelled, and a TimeoutError of another origin passes through.

    Raises:
        DeadlineError: when the time is over.
    """
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            yield
    except TimeoutError as error:
        if not timer.expired():
            raise
        raise DeadlineError(f"{what}: no answer within {seconds:g} s") from error
