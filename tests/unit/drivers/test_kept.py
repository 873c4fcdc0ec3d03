"""One kept line that callers take turns on."""

from __future__ import annotations

import asyncio

import pytest

from quaywatch.drivers.kept import Kept
from quaywatch.errors import AuthError, ConnectError


class Line:
    """A line that knows whether it was ended."""

    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        """End it."""
        self.closed = True


class Exchange:
    """Makes lines, or fails; counts how often it was asked, and has a clock that the test turns."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 0.0
        self.fails: ConnectError | AuthError | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def connect(self) -> Line:
        """One more line."""
        self.asked += 1
        await self.open.wait()
        if self.fails:
            raise self.fails
        return Line()

    def kept(self) -> Kept[Line]:
        """A keeper of its lines."""
        return Kept(self.connect, monotonic=lambda: self.now)


async def use(kept: Kept[Line]) -> Line:
    """The line, as one caller got it."""
    async with kept.turn() as line:
        return line


async def test_a_line_is_made_once_and_kept() -> None:
    """Callers use the same line."""
    exchange = Exchange()
    kept = exchange.kept()
    assert await use(kept) is await use(kept)
    assert exchange.asked == 1


async def test_a_lost_line_is_made_again() -> None:
    """A line that was cut is noticed at the next call."""
    exchange = Exchange()
    kept = exchange.kept()
    first = await use(kept)
    first.closed = True
    assert await use(kept) is not first


async def test_callers_take_turns() -> None:
    """While one caller has the line, another waits."""
    kept = Exchange().kept()
    async with kept.turn():
        other = asyncio.create_task(use(kept))
        done, _ = await asyncio.wait({other}, timeout=0)
        assert not done
    await other


async def test_those_who_wait_share_the_failure() -> None:
    """Ten callers of a dead server ask it once."""
    exchange = Exchange()
    exchange.fails = AuthError("no", remedy="r", code="28P01")
    kept = exchange.kept()
    outcomes = await asyncio.gather(*(use(kept) for _ in range(10)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no (r)"] * 10
    assert {type(outcome) for outcome in outcomes} == {AuthError}
    assert exchange.asked == 1


async def test_a_failure_is_forgotten_after_a_second() -> None:
    """The next try is not far."""
    exchange = Exchange()
    exchange.fails = ConnectError("no")
    kept = exchange.kept()
    for now, asked in ((0.0, 1), (0.9, 1), (1.0, 2)):
        exchange.now = now
        with pytest.raises(ConnectError):
            await use(kept)
        assert exchange.asked == asked
    exchange.fails = None
    exchange.now = 2.0
    assert not (await use(kept)).closed


async def test_a_cancelled_connect_is_nobodys_failure() -> None:
    """Who comes after a caller that was cancelled while connecting connects anew."""
    exchange = Exchange()
    kept = exchange.kept()
    exchange.open.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(use(kept), 0.01)
    exchange.open.set()
    assert not (await use(kept)).closed


async def test_a_closed_keeper_makes_no_more_lines() -> None:
    """After close nothing is opened, and what was being opened is closed."""
    exchange = Exchange()
    kept = exchange.kept()
    exchange.open.clear()
    caller = asyncio.create_task(use(kept))
    await asyncio.sleep(0)
    await kept.close()
    exchange.open.set()
    with pytest.raises(ConnectError, match="closed"):
        await caller
    with pytest.raises(ConnectError, match="closed"):
        await use(kept)


async def test_closing_ends_the_line() -> None:
    """The kept line is let go of."""
    kept = Exchange().kept()
    line = await use(kept)
    await kept.close()
    assert line.closed
