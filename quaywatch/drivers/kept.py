"""One kept connection that callers take turns on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Generic, Protocol, TypeVar

from quaywatch.errors import ConnectError, TargetError

FAILURE_HOLDS: Final = 1.0
"""Seconds for which a failed connect answers everybody who asks."""


class Line(Protocol):
    """A connection, as seen by its keeper."""

    @property
    def closed(self) -> bool:
        """Whether it is of no more use, whoever ended it."""
        ...

    async def close(self) -> None:
        """Let go of it; never raises, never waits."""
        ...


L = TypeVar("L", bound=Line)


class Kept(Generic[L]):
    """Keeps one line, makes it when it is first needed and again when it was lost.

    Connecting is single flight: those who wait for their turn meanwhile share its failure, and so does whoever asks
    within `FAILURE_HOLDS` seconds, so that ten readers of a dead server fail together and not one after the other.
    Waiting for a turn is the caller's own time: bound it around `turn`.
    """

    def __init__(self, connect: Callable[[], Awaitable[L]], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._line: L | None = None
        self._failure: tuple[float, TargetError] | None = None
        self._ended = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[L]:
        """The line, for one caller at a time.

        Raises:
            TargetError: when it cannot be made.
        """
        async with self._turn:
            yield await self._ready()

    async def close(self) -> None:
        """Let go of the line for good; never raises, never waits."""
        self._ended = True
        if self._line is not None:
            await self._line.close()

    async def _ready(self) -> L:
        self._refuse_when_ended()
        if self._line is None or self._line.closed:
            await self._let_go()  # a line that the server ended still holds its socket
            self._repeat_failure()
            self._line = await self._make()
        return self._line

    async def _let_go(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def _make(self) -> L:
        try:
            line = await self._connect()
        except TargetError as error:
            self._failure = (self._monotonic(), error)
            raise
        self._failure = None
        if self._ended:
            await line.close()
            self._refuse_when_ended()
        return line

    def _repeat_failure(self) -> None:
        if self._failure is None:
            return
        since, error = self._failure
        if self._monotonic() - since < FAILURE_HOLDS:
            raise type(error)(error.what, remedy=error.remedy, code=error.code) from error

    def _refuse_when_ended(self) -> None:
        if self._ended:
            raise ConnectError("this driver was closed")
