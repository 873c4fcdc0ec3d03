"""Whether a page waits for its server."""

from __future__ import annotations

import asyncio
from typing import Final

from playwright.async_api import Error, Page, Request

QUIET: Final = 0.1
"""Seconds without a question to the server after which a page has settled: what follows a click has begun by then."""
_IDLE: Final = "() => new Promise(done => requestIdleCallback(() => done(), {timeout: 2000}))"
"""Is answered when the page's scripts have nothing to do: on a busy machine that takes longer than any quiet."""
_QUESTIONS: Final = frozenset({"document", "xhr", "fetch"})
_WAITING_FOR_NEWS: Final = "/longpolling/"
"""In the address of what the server answers when something happens, and so never soon."""


class Quiet:
    """Counts the questions that a page has put to its server and that are not answered yet."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._open: set[Request] = set()
        self._changed = asyncio.Event()
        page.on("request", self._asked)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", self._answered)

    async def settled(self) -> None:
        """Wait until there was none for `QUIET` seconds, and the page's scripts have nothing to do."""
        await self._silent()
        while not await self._idle() or self._open:
            await self._silent()

    async def _silent(self) -> None:
        while self._open or await self._stirs():
            self._changed.clear()
            if self._open:
                await self._changed.wait()

    async def _idle(self) -> bool:
        """Wait for the scripts; false when another document took the page's place meanwhile."""
        try:
            await self._page.evaluate(_IDLE)
        except Error as error:
            if "context was destroyed" not in error.message:
                raise
            return False
        return True

    async def _stirs(self) -> bool:
        """Whether anything is asked or answered in the next `QUIET` seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(QUIET):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _asked(self, request: Request) -> None:
        if request.resource_type in _QUESTIONS and _WAITING_FOR_NEWS not in request.url:
            self._open.add(request)
            self._changed.set()

    def _answered(self, request: Request) -> None:
        if request in self._open:
            self._open.discard(request)
            self._changed.set()
