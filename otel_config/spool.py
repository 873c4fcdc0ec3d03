"""Batches on disk, so that what waits survives a restart and a kill.

One file for each batch, named so that the order of names is the order of making. A file gets its name when it is
complete. One agent at a time: the directory is locked. Files are not forced to the platter, since every batch passes
through here on a machine whose disk is its database's: a loss of power may cost the last half minute's, and leave a
damaged file, which is found by its checksum and skipped.
"""

import fcntl
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from quaywatch.errors import ConfigError

from .encoding import Batch

_NAME: Final = re.compile(r"(\d{16})-(\d{1,9})-(\d{1,16})\.otlp\.gz")
_PART: Final = ".part"


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch on disk: its number in the order of making, how many items it has, when it was made, its bytes."""

    number: int
    items: int
    made: float
    size: int


class Spool:
    """The files of one directory. Every method may block on the disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: IO[str] | None = None

    def open(self) -> list[Stored]:
        """Take the directory for this process; what it holds, oldest first.

        Raises:
            ConfigError: when it cannot be written to, or another process holds it.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self._directory / "lock").open("w")
        except OSError as error:
            raise ConfigError(
                f"spool directory {self._directory}: {error.strerror}", remedy="a directory the agent may write to"
            ) from error
        self._take(lock)
        for part in self._directory.glob(f"*{_PART}"):
            part.unlink(missing_ok=True)
        return sorted(self._stored(), key=lambda stored: stored.number)

    def _take(self, lock: IO[str]) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise ConfigError(
                f"spool directory {self._directory}: another agent uses it", remedy="give each agent its own"
            ) from error
        self._lock = lock

    def _stored(self) -> Iterator[Stored]:
        for path in self._directory.iterdir():
            match = _NAME.fullmatch(path.name)
            if match:
                number, items, milliseconds = map(int, match.groups())
                yield Stored(number, items, milliseconds / 1000, path.stat().st_size)

    def write(self, number: int, batch: Batch) -> Stored:
        """Keep a batch. Raises OSError when the disk does not take it."""
        stored = Stored(number, batch.items, batch.made, len(batch.payload))
        path = self._path(stored)
        part = path.with_name(path.name + _PART)
        part.write_bytes(batch.payload)
        part.replace(path)
        return stored

    def read(self, stored: Stored) -> bytes:
        """A batch's payload, still compressed. Raises OSError when it cannot be read."""
        return self._path(stored).read_bytes()

    def delete(self, stored: Stored) -> None:
        """Forget a batch."""
        self._path(stored).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the directory; the files stay."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _path(self, stored: Stored) -> Path:
        milliseconds = round(stored.made * 1000)
        return self._directory / f"{stored.number:016d}-{stored.items}-{milliseconds}.otlp.gz"
