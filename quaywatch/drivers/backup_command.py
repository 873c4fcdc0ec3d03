"""A backup tool that is run for its report: no shell, its own environment, bounded in time and output."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from quaywatch.contract import BackupReport
from quaywatch.errors import ConnectError, FaultError, ParseError, PermissionDeniedError
from quaywatch.secret import Secret

from .backup_reports import Parse
from .backups import MOST
from .deadline import deadline
from .network import revealed

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INSTALL: Final = "install it where the agent runs, or let a job write its report to a file"
_REAPED_WITHIN: Final = 1.0
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program with its arguments.

    Args:
        words: program and arguments, as they are: no shell looks at them.
        environment: all variables it gets besides ``PATH`` and ``LANG``; nothing of the agent's own.
        within: seconds after which it is killed, its children included.
    """

    words: tuple[str, ...]
    environment: Mapping[str, Secret] = field(default_factory=dict)
    within: float = 30.0


class CommandReports:
    """Runs a command and reads what it prints."""

    def __init__(self, command: Command, parse: Parse) -> None:
        self._command = command
        self._parse = parse

    async def ready(self) -> None:
        """Nothing, if the program is there; it is not run.

        Raises:
            ConnectError: when it is not.
        """
        program = self._command.words[0]
        if shutil.which(program, path=PATH) is None:
            raise ConnectError(f"{program} is not there", remedy=_INSTALL)

    async def report(self) -> BackupReport:
        """The backups, as told just now.

        Raises:
            TargetError: when it cannot be run, fails, takes too long or says what is not understood.
        """
        program = self._command.words[0]
        async with deadline(self._command.within, program):
            code, said = await self._run(program)
        if code:
            remedy = "run it by hand as the agent's user, with the configured environment"
            raise FaultError(f"{program} ended with {code}", remedy=remedy, code=str(code))
        return BackupReport(0.0, self._parse(said))

    async def close(self) -> None:
        """Nothing is open."""

    async def _run(self, program: str) -> tuple[int, bytes]:
        own = {name: revealed(secret) for name, secret in self._command.environment.items()}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command.words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # it may hold anything, and nobody reads it
                env={"PATH": PATH, "LANG": "C.UTF-8", **own},
                cwd="/",
                start_new_session=True,
            )
        except PermissionError as error:
            raise PermissionDeniedError(f"{program} may not be run", remedy="let the agent's user run it") from error
        except OSError as error:
            raise ConnectError(f"{program} cannot be run: {error.strerror}", remedy=_INSTALL) from error
        try:
            said = await _output(process, program)
            return await process.wait(), said
        finally:
            await _end(process)


async def _output(process: asyncio.subprocess.Process, program: str) -> bytes:
    said = bytearray()
    while process.stdout is not None and (chunk := await process.stdout.read(_CHUNK)):
        said += chunk
        if len(said) > MOST:
            raise ParseError(f"{program}: the report is longer than {MOST} bytes")
    return bytes(said)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it when it has not ended, children included."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(_REAPED_WITHIN):
            await process.wait()
