"""The client's own deadline."""

from __future__ import annotations

import asyncio

import pytest

from quaywatch.drivers.deadline import deadline
from quaywatch.errors import DeadlineError


async def test_what_takes_too_long_is_ended_and_named() -> None:
    """The error says what was waited for."""
    with pytest.raises(DeadlineError, match="the moon"):
        async with deadline(0, "the moon"):
            await asyncio.Event().wait()


async def test_what_is_in_time_passes() -> None:
    """A block in time is left alone."""
    async with deadline(60, "it"):
        pass


async def test_a_cancelled_caller_stays_cancelled() -> None:
    """Cancellation is not a deadline."""

    async def wait() -> None:
        async with deadline(60, "it"):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_timeout_passes_through() -> None:
    """The network's own TimeoutError is not taken for the deadline's."""
    with pytest.raises(TimeoutError, match="the network's"):
        async with deadline(60, "it"):
            raise TimeoutError("the network's")


async def test_the_outer_of_two_deadlines_is_the_one_that_speaks() -> None:
    """Nested deadlines do not answer for one another."""
    with pytest.raises(DeadlineError, match="outer"):
        async with deadline(0, "outer"), deadline(60, "inner"):
            await asyncio.Event().wait()
