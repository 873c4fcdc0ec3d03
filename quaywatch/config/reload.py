"""Noticing that a configuration changed: the file itself, and the secret files it refers to.

The contents are compared, not the times of change: a mounted ConfigMap or Secret is swapped as a whole, by links.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from quaywatch.errors import ConfigError

from .faults import FaultyFileError
from .settings import Settings

POLL_EVERY: Final = 3.0
"""Seconds between two looks at the files."""


class Reloader:
    """Loads a configuration again when its files changed.

    Args:
        path: the configuration file.
        load: reads it; raises `ConfigError`.
        settings: what it meant at first.
    """

    def __init__(self, path: Path, load: Callable[[Path], Settings], settings: Settings) -> None:
        self._path = path
        self._load = load
        self.settings = settings
        self._seen = digests([path, *settings.files])

    def changed(self) -> bool:
        """Whether any of the files has another content than at the last load, good or bad."""
        return digests(self._seen) != self._seen

    def reload(self) -> Settings:
        """The settings that the files mean now; they are kept in ``settings``.

        Raises:
            ConfigError: when they are wrong; ``settings`` stay what they were.
        """
        before = digests(self._seen)
        try:
            self.settings = self._load(self._path)
            self._watch(self.settings.files, before)
        except ConfigError as error:
            self._watch(error.files if isinstance(error, FaultyFileError) else self.settings.files, before)
            raise
        return self.settings

    def _watch(self, files: Iterable[Path], before: Mapping[Path, str]) -> None:
        """Look at these from now on; what changed while they were loaded counts as a change."""
        now = digests([self._path, *files])
        self._seen = {path: before.get(path, digest) for path, digest in now.items()}


async def follow(
    reloader: Reloader,
    *,
    wait: Callable[[float], Awaitable[bool]],
    apply: Callable[[Settings], Awaitable[None]],
    report: Callable[[ConfigError | None], None],
    every: float = POLL_EVERY,
) -> None:
    """Reload for ever, until cancelled.

    Args:
        reloader: what is followed.
        wait: waits so many seconds; gives True, sooner, when a reload is asked for.
        apply: puts new settings to work; raises `ConfigError` when they cannot be.
        report: hears of every reload: None, or what was wrong.
        every: seconds between two looks at the files.
    """
    while True:
        if not await wait(every) and not await asyncio.to_thread(reloader.changed):
            continue
        before = reloader.settings
        try:
            await apply(await asyncio.to_thread(reloader.reload))  # a thousand targets take a second to read
        except ConfigError as error:
            reloader.settings = before
            report(error)
        else:
            report(None)


def digests(paths: Iterable[Path]) -> dict[Path, str]:
    """A digest of each file's content; empty for one that cannot be read."""
    return {path: _digest(path) for path in paths}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
