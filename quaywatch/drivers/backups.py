"""Where backups are told of: a tool that is run, a file that a job left, a prefix of an object store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from quaywatch.contract import BackupReport, RestoreTest
from quaywatch.errors import ConnectError, ParseError, PermissionDeniedError, TargetError

from .backup_reports import Parse, parse_restore_tests

MOST: Final = 16 * 1024 * 1024
"""Bytes of a report past which it is not read on."""


class Reports(Protocol):
    """One way to hear of backups."""

    async def ready(self) -> None:
        """Nothing, if a report can be expected.

        Raises:
            TargetError: when it cannot.
        """
        ...

    async def report(self) -> BackupReport:
        """The backups.

        Raises:
            TargetError: when they are not told.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class BackupPlace:
    """Implements `quaywatch.contract.Backups`.

    Args:
        reports: how it hears of backups; None when it only tells of tests.
        tests: the file in which restore jobs tell of their tests.
    """

    def __init__(self, reports: Reports | None, tests: Path | None) -> None:
        self._reports = reports
        self._tests = tests
        self._failure: TargetError | None = None
        self._heard = False

    async def ping(self) -> None:
        """What the last report came to; before the first one, whether one can be expected.

        Tools take long and listings cost money, which a ping every few seconds must not.

        Raises:
            TargetError: as the last report did.
        """
        if self._failure is not None:
            error = self._failure
            raise type(error)(error.what, remedy=error.remedy, code=error.code) from error
        if self._reports is not None and not self._heard:
            await self._reports.ready()

    async def report(self) -> BackupReport | None:
        """The backups; None without a source of reports.

        Raises:
            TargetError: when they are not told.
        """
        if self._reports is None:
            return None
        try:
            found = await self._reports.report()
        except TargetError as error:
            self._failure = error
            raise
        self._failure, self._heard = None, True
        return found

    async def restore_tests(self) -> tuple[RestoreTest, ...] | None:
        """The newest tests of each thing, none before the first was told; None without a file of tests.

        Raises:
            TargetError: when the file cannot be read.
        """
        if self._tests is None:
            return None
        try:
            text = await asyncio.to_thread(read_bounded, self._tests)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unreadable(self._tests, error) from error
        return parse_restore_tests(text)

    async def close(self) -> None:
        """Let go of every connection."""
        if self._reports is not None:
            await self._reports.close()


class FileReports:
    """Reads what a job left in a file.

    Args:
        path: the file.
        parse: what it holds.
        now: the clock that dates files, in Unix seconds.
    """

    def __init__(self, path: Path, parse: Parse, *, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._parse = parse
        self._now = now

    async def ready(self) -> None:
        """Nothing, if the file is there.

        Raises:
            TargetError: when it is not, or may not be read.
        """
        await self._read()

    async def report(self) -> BackupReport:
        """The backups, and how old the file is.

        Raises:
            TargetError: when it cannot be read or understood.
        """
        written, text = await self._read()
        return BackupReport(max(0.0, self._now() - written), self._parse(text))

    async def close(self) -> None:
        """Nothing is open."""

    async def _read(self) -> tuple[float, bytes]:
        try:
            return await asyncio.to_thread(lambda: (self._path.stat().st_mtime, read_bounded(self._path)))
        except OSError as error:
            raise _unreadable(self._path, error) from error


def read_bounded(path: Path) -> bytes:
    """What is in a file.

    Raises:
        OSError: when it cannot be read.
        ParseError: when it is longer than `MOST` bytes.
    """
    with path.open("rb") as file:
        text = file.read(MOST + 1)
    if len(text) > MOST:
        raise ParseError(f"{path}: the report is longer than {MOST} bytes")
    return text


def _unreadable(path: Path, error: OSError) -> TargetError:
    if isinstance(error, PermissionError):
        return PermissionDeniedError(f"{path}: may not be read", remedy="let the agent's user read it")
    remedy = "check the path, and that the job that writes it has run"
    return ConnectError(f"{path}: cannot be read: {error.strerror}", remedy=remedy)
