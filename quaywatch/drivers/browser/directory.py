"""The directory that a browser may write in: its own, and gone with it, at the latest when the next browser starts."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "quaywatch-browser-"
_LOCK: Final = ".held"
_YOUNG: Final = 60.0
"""Seconds for which a directory is left alone that nobody holds: its agent may be about to."""
_TRIES: Final = 3
"""How often it is removed: a process that was just killed may still have been writing."""


class OwnDirectory:
    """A new directory below ``parent``, held by a lock that ends with this process, however it ends.

    Raises:
        OSError: when it cannot be made.
    """

    def __init__(self, parent: Path | None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        """Remove it with all that is in it; never raises."""
        for _ in range(_TRIES):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                break
        os.close(self._lock)


def sweep(parent: Path | None) -> None:
    """Remove what browsers of killed agents left below ``parent``; never raises."""
    for path in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if _abandoned(path):
                shutil.rmtree(path, ignore_errors=True)


def _abandoned(path: Path) -> bool:
    lock = os.open(path / _LOCK, os.O_RDWR)
    try:
        old = time.time() - os.fstat(lock).st_mtime > _YOUNG
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return old
