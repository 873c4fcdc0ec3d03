"""Playwright's trace of a page after its login, and a picture of its end."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from playwright.async_api import BrowserContext, Page

from .evidence import without_secrets

PICTURE_WITHIN: Final = 2.0
"""Seconds for a picture: a page that hangs has none."""
_PASSWORDS: Final = "input[type=password], input[name=password]"


class Recording:
    """Records nothing unless ``wanted``, and nothing before `start`: what was typed into the login form is not in it.

    Args:
        context: the session.
        page: its page.
        directory: where it may write meanwhile.
        wanted: whether anybody keeps it.
    """

    def __init__(self, context: BrowserContext, page: Page, directory: Path, *, wanted: bool) -> None:
        self._context = context
        self._page = page
        self._directory = directory
        self._wanted = wanted
        self._started = False

    async def start(self) -> None:
        """Begin the trace."""
        if self._wanted:
            await self._context.tracing.start(screenshots=True, snapshots=True)
            self._started = True

    async def picture(self) -> bytes:
        """What the page shows, passwords covered."""
        masked = [self._page.locator(_PASSWORDS)]
        return await self._page.screenshot(mask=masked, timeout=PICTURE_WITHIN * 1000)

    async def trace(self, secrets: Sequence[str]) -> bytes:
        """The trace, empty before `start`; neither these secrets nor cookies that scripts may not see are in it."""
        if not self._started:
            return b""
        cookies = [cookie["value"] for cookie in await self._context.cookies() if cookie["httpOnly"]]
        with tempfile.TemporaryDirectory(prefix="trace-", dir=self._directory) as directory:
            path = Path(directory) / "trace.zip"
            await self._context.tracing.stop(path=path)
            return await asyncio.to_thread(lambda: without_secrets(path.read_bytes(), [*secrets, *cookies]))
