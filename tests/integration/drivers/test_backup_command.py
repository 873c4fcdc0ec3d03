"""Tools that are run for their report, good ones and bad ones."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from quaywatch.contract import BackupSet
from quaywatch.drivers.backup_command import Command, CommandReports
from quaywatch.errors import (
    ConnectError,
    DeadlineError,
    FaultError,
    ParseError,
    PermissionDeniedError,
    TargetError,
)
from quaywatch.secret import Secret


def reports(*words: str, **settings: Any) -> CommandReports:
    """A tool whose output is the name of its only set."""
    command = Command(words=words, **{"within": 10.0, **settings})
    return CommandReports(command, lambda said: (BackupSet(name=said.decode()),))


def shell(script: str, **settings: Any) -> CommandReports:
    """A tool made of a script."""
    return reports("sh", "-c", script, **settings)


async def said(tool: CommandReports) -> str:
    """What it printed."""
    return (await tool.report()).sets[0].name


async def test_it_gets_its_own_environment_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the agent's variables, which hold secrets, and no standard input."""
    monkeypatch.setenv("AGENTS_OWN", "s3cret")
    tool = shell("cat; env | sort | grep -v '^_=\\|^PWD='", environment={"WALG_PREFIX": Secret("s3://b")})
    names = [line.partition("=")[0] for line in (await said(tool)).splitlines()]
    assert names == ["LANG", "PATH", "WALG_PREFIX"]


async def test_no_shell_looks_at_its_words() -> None:
    """They arrive as they are."""
    assert await said(reports("printf", "%s", "$HOME; `id` *")) == "$HOME; `id` *"


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("no-such-tool",), ConnectError, "no-such-tool cannot be run"),
        (("/etc/passwd",), PermissionDeniedError, "/etc/passwd may not be run"),
        (("sh", "-c", "echo s3cret >&2; exit 56"), FaultError, "sh ended with 56"),
        (("sh", "-c", "kill -9 $$"), FaultError, "sh ended with -9"),
        (("head", "-c", "17000000", "/dev/zero"), ParseError, "head: the report is longer than"),
    ],
)
async def test_a_tool_that_fails(words: tuple[str, ...], error: type[TargetError], message: str) -> None:
    """Told apart, without what it wrote to standard error."""
    with pytest.raises(error, match=message) as caught:
        await reports(*words).report()
    assert "s3cret" not in str(caught.value)


async def test_a_tool_that_is_not_there_is_known_without_running_it() -> None:
    """The ping looks for the program."""
    await reports("sh").ready()
    with pytest.raises(ConnectError, match="no-such-tool is not there"):
        await reports("no-such-tool").ready()


async def test_a_tool_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """After its time nothing of it is left, whatever it ignores."""
    pids = tmp_path / "pids"
    tool = shell(f"trap '' TERM; sleep 300 & echo $$ $! > {pids}; wait", within=2.0)
    began = time.monotonic()
    with pytest.raises(DeadlineError, match="sh: no answer within"):
        await tool.report()
    assert time.monotonic() - began < 60
    await gone([int(pid) for pid in pids.read_text().split()])


async def test_a_cancelled_reading_leaves_nothing_behind(tmp_path: Path) -> None:
    """The reader's own deadline ends the tool as well."""
    pids = tmp_path / "pids"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.0):
            await shell(f"echo $$ > {pids}; sleep 300").report()
    await gone([int(pids.read_text())])


async def gone(pids: list[int]) -> None:
    """Wait until these processes are over."""
    end = time.monotonic() + 60
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < end, "it still runs"
        await asyncio.sleep(0.02)
