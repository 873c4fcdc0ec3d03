"""One running Chromium, driven by Playwright."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil
from playwright.async_api import Browser, BrowserContext, Error, Playwright, async_playwright

from quaywatch.drivers.http import USER_AGENT
from quaywatch.drivers.trust import digests
from quaywatch.errors import InternalError

from .authorities import trust
from .directory import OwnDirectory, sweep
from .settings import BrowserSettings

VIEWPORT: Final = {"width": 1366, "height": 900}
"""Pixels. A narrower window folds some of Odoo's buttons away."""
START_WITHIN: Final = 30.0
"""Seconds for a start."""
CLOSE_WITHIN: Final = 1.0
"""Seconds for an end, and for that of Playwright's driver; then its processes are killed. A stop has no more time."""
_ARGUMENTS: Final = ("--disable-background-networking", "--disable-quic", "--no-first-run")
_REMEDY: Final = (
    "run the executable by hand as the agent's user; where the pod forbids user namespaces set browser.sandbox to "
    "false, and see that browser.directory can be written"
)


class Chromium:
    """A browser with its processes and its directory. ``users`` is the number of pages that somebody has of it."""

    def __init__(
        self, playwright: Playwright, browser: Browser, agent: str, own: OwnDirectory, trusts: tuple[bytes, ...]
    ) -> None:
        self.users = 0
        self._playwright = playwright
        self._browser = browser
        self._agent = agent
        self._own = own
        self._since = time.monotonic()
        self._trusts = trusts

    @classmethod
    async def start(cls, settings: BrowserSettings) -> Chromium:
        """A new one.

        Raises:
            ConfigError: when it cannot be made to trust the authorities that it is given.
            InternalError: when it does not start.
        """
        await asyncio.to_thread(sweep, settings.directory)
        try:
            own = OwnDirectory(settings.directory)
        except OSError as error:
            what = f"{settings.directory or tempfile.gettempdir()}: the browser cannot write there: {error.strerror}"
            raise InternalError(what, remedy="set browser.directory to a directory of the agent's user") from error
        try:
            return await _started(settings, own)
        except BaseException:
            own.remove()
            raise

    @property
    def directory(self) -> Path:
        """Below this it may write, until it is closed."""
        return self._own.path

    def fit(self, settings: BrowserSettings) -> bool:
        """Whether it lives, trusts whom it should, and is neither too old nor too large."""
        young = time.monotonic() - self._since < settings.recycle_after
        return self._browser.is_connected() and young and self._trusting(settings) and self.memory() < settings.memory

    def _trusting(self, settings: BrowserSettings) -> bool:
        """Whether the authorities are those it was started with, as far as their files can be read."""
        return all(
            now in {b"", before} for before, now in zip(self._trusts, digests(settings.authorities), strict=True)
        )

    def memory(self) -> int:
        """Bytes that its processes have for themselves, without what they share."""
        total = 0
        for process in self.processes():
            with suppress(psutil.Error):
                about = process.memory_info()
                total += about.rss - about.shared
        return total

    def processes(self) -> list[psutil.Process]:
        """Its processes: those that this agent started, directly or not, and that know its directory."""
        ours = psutil.Process().children(recursive=True)
        roots = [process for process in ours if _names(process, self.directory)]
        below = [child for root in roots for child in _children(root)]
        return list({process.pid: process for process in (*roots, *below)}.values())

    async def context(self) -> BrowserContext:
        """A fresh session, without cookies and without cache."""
        return await self._browser.new_context(
            viewport={"width": VIEWPORT["width"], "height": VIEWPORT["height"]},
            user_agent=self._agent,
            service_workers="block",  # their requests would be nobody's
            locale="en-US",
        )

    async def close(self) -> None:
        """End it; never raises, and takes no longer than three times `CLOSE_WITHIN` and a moment."""
        processes = self.processes()
        with suppress(Error, TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._browser.close()
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        await _stop(self._playwright)
        await asyncio.to_thread(psutil.wait_procs, processes, timeout=CLOSE_WITHIN)
        await asyncio.to_thread(self._own.remove)


def _names(process: psutil.Process, directory: Path) -> bool:
    with suppress(psutil.Error):
        return any(str(directory) in word for word in process.cmdline())
    return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return process.children(recursive=True)
    return []


async def _started(settings: BrowserSettings, own: OwnDirectory) -> Chromium:
    directory = own.path
    playwright: Playwright | None = None
    try:
        async with asyncio.timeout(START_WITHIN):
            trusts = digests(settings.authorities)
            await trust(settings.authorities, directory)
            with _temporary_files_in(directory):
                playwright = await async_playwright().start()
            browser = await _launched(playwright, settings, directory)
            return Chromium(playwright, browser, await _agent(browser), own, trusts)
    except (Error, TimeoutError, OSError) as error:
        await _stop(playwright)
        raise InternalError(f"{settings.executable}: the browser does not start", remedy=_REMEDY) from error
    except BaseException:
        await _stop(playwright)
        raise


async def _stop(playwright: Playwright | None) -> None:
    if playwright is not None:
        with suppress(Error, TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await playwright.stop()


async def _launched(playwright: Playwright, settings: BrowserSettings, directory: Path) -> Browser:
    no_shared_memory = () if settings.dev_shm else ("--disable-dev-shm-usage",)
    home = {name: str(directory) for name in ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    return await playwright.chromium.launch(
        executable_path=settings.executable,
        args=[*_ARGUMENTS, *no_shared_memory],
        chromium_sandbox=settings.sandbox and os.geteuid() != 0,
        env={**os.environ, **home},
        headless=not settings.headed,
        handle_sigint=False,
        handle_sigterm=False,
        handle_sighup=False,
        timeout=START_WITHIN * 1000,
    )


async def _agent(browser: Browser) -> str:
    """What it calls itself, with our name behind."""
    session = await browser.new_browser_cdp_session()
    version = await session.send("Browser.getVersion")
    await session.detach()
    return f"{version['userAgent']} {USER_AGENT}"


@contextmanager
def _temporary_files_in(directory: Path) -> Iterator[None]:
    """Playwright's driver takes its environment from this process, and makes the browser's profile in TMPDIR."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(directory)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
