"""The one Chromium of an agent, kept warm between runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from quaywatch.errors import ConfigError, InternalError

from .settings import BrowserSettings

if TYPE_CHECKING:
    from .chromium import Chromium


class WarmBrowser:
    """Keeps one Chromium ready, started when it is first needed and replaced when it is old, large or dead."""

    def __init__(self, settings: BrowserSettings) -> None:
        self.settings = settings
        self._places = asyncio.Semaphore(settings.concurrency)
        self._turn = asyncio.Lock()
        self._current: Chromium | None = None

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Chromium]:
        """The browser, for one page.

        Raises:
            ConfigError: when it is not installed.
            InternalError: when it does not start, or others have it for too long.
        """
        await self._place()
        try:
            chromium = await self._fit()
            try:
                yield chromium
            finally:
                await self._returned(chromium)
        finally:
            self._places.release()

    async def close(self) -> None:
        """End the browser; never raises, and is done within a few seconds."""
        async with self._turn:
            chromium, self._current = self._current, None
            if chromium is not None:
                await chromium.close()

    async def _place(self) -> None:
        within = self.settings.turn_within
        try:
            async with asyncio.timeout(within):
                await self._places.acquire()
        except TimeoutError as error:
            remedy = "raise browser.concurrency, or let browser probes run less often"
            raise InternalError(f"the browser was busy for {within:g} s", remedy=remedy) from error

    async def _fit(self) -> Chromium:
        async with self._turn:
            if self._current is None or not self._current.fit(self.settings):
                old, self._current = self._current, None
                if old is not None and not old.users:
                    await old.close()
                self._current = await _start(self.settings)
            self._current.users += 1
            return self._current

    async def _returned(self, chromium: Chromium) -> None:
        chromium.users -= 1
        async with self._turn:
            if chromium.users or (chromium is self._current and chromium.fit(self.settings)):
                return
            if chromium is self._current:
                self._current = None
            await chromium.close()


async def _start(settings: BrowserSettings) -> Chromium:
    if not os.access(settings.executable, os.X_OK):
        remedy = "install Chromium, or name it in browser.executable"
        raise ConfigError(f"{settings.executable}: there is no browser", remedy=remedy)
    try:
        from .chromium import Chromium  # noqa: PLC0415 - what it imports is heavy, and not always installed
    except ModuleNotFoundError as error:
        what = f"the Python package {error.name} is not installed"
        raise ConfigError(what, remedy="install quaywatch[browser]") from error
    return await Chromium.start(settings)
