"""``quaywatch run``: the agent, its signals and its reloads."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from quaywatch import __version__
from quaywatch.config import Reloader, Settings, follow
from quaywatch.errors import ConfigError, InternalError
from quaywatch.runtime.process import settle_memory

from .frame import Frame
from .loop import run
from .session import settings_of
from .terminal import Console

_log: Any = structlog.get_logger(__name__)

STOP_WITHIN: Final = 10.0
"""Seconds in which a stop is over, whatever happens."""
_MARGIN: Final = 0.5
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


def execute(arguments: Namespace, _console: Console, environ: Mapping[str, str]) -> int:
    """Run until a signal ends it.

    Raises:
        ConfigError: when the configuration is wrong at the start.
    """
    run(serve(arguments.config, environ))
    return 0


class Signals:
    """What the process is asked for from outside.

    Args:
        loop: where the signals are heard.
        end: ends the process at once, with this exit code.
        within: seconds after which a stop that was asked for is forced.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        end: Callable[[int], object] = os._exit,
        within: float = STOP_WITHIN - _MARGIN,
    ) -> None:
        self._end = end
        self._within = within
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._ask_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    async def stopped(self) -> None:
        """Wait until a stop is asked for."""
        await self._stop.wait()

    async def reload_within(self, seconds: float) -> bool:
        """Wait so long at most; whether a reload was asked for."""
        try:
            async with asyncio.timeout(seconds):
                await self._reload.wait()
        except TimeoutError:
            return False
        self._reload.clear()
        return True

    def _ask_to_stop(self, number: int) -> None:
        """The first time gracefully, with an end in time even if the loop is blocked; the second time at once."""
        if self._stop.is_set():
            self._end(128 + number)
        self._stop.set()
        last = threading.Timer(self._within, self._end, [InternalError.exit_code])
        last.daemon = True
        last.start()


async def serve(path: Path, environ: Mapping[str, str]) -> None:
    """Run the agent that a configuration file describes until a signal ends it.

    Raises:
        ConfigError: when the configuration is wrong at the start.
    """
    signals = Signals(asyncio.get_running_loop())
    settings = settings_of(path, environ)
    running = Running(Frame(settings, environ), environ)
    await running.start()
    settle_memory()
    reloader = Reloader(path, lambda file: settings_of(file, environ), settings)
    following = asyncio.create_task(
        follow(reloader, wait=signals.reload_within, apply=running.apply, report=running.report)
    )
    stopping = asyncio.create_task(signals.stopped())
    await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
    following.cancel()
    await asyncio.wait({following}, timeout=_MARGIN)
    stopping.cancel()
    await running.stop()
    if following.done() and not following.cancelled():
        following.result()  # nothing but a defect ends it, or a reload after which nothing runs


class Running:
    """The frame that runs now."""

    def __init__(self, frame: Frame, environ: Mapping[str, str]) -> None:
        self._frame = frame
        self._environ = environ

    async def start(self) -> None:
        """Start.

        Raises:
            ConfigError: when it cannot be.
        """
        await self._frame.start()
        host, port = self._frame.address
        _log.info("running", version=__version__, targets=list(self._frame.settings.targets), page=f"{host}:{port}")

    async def stop(self) -> None:
        """Stop, in bounded time."""
        _log.info("stopping")
        await self._frame.stop()
        _log.info("stopped")

    async def apply(self, settings: Settings) -> None:
        """Go on with new settings.

        Raises:
            ConfigError: when they cannot be put to work; the old ones go on.
            InternalError: when those cannot go on either, such as when somebody has taken their port meanwhile.
        """
        if self._frame.takes(settings):
            await self._frame.take(settings)
            return
        old, new = self._frame, Frame(settings, self._environ)
        await old.stop(end_series=True)
        try:
            await new.start()
        except ConfigError:
            await self._begin_again(old.settings)
            raise
        self._frame = new

    def report(self, error: ConfigError | None) -> None:
        """Say how a reload went."""
        self._frame.note_reload(succeeded=error is None)
        if error is None:
            _log.info("configuration reloaded", targets=list(self._frame.settings.targets))
        else:
            _log.error("configuration not reloaded; the old one goes on", error=str(error))

    async def _begin_again(self, settings: Settings) -> None:
        self._frame = Frame(settings, self._environ)
        try:
            await self._frame.start()
        except ConfigError as error:
            raise InternalError(f"neither the new configuration nor the old one can be put to work: {error}") from error
