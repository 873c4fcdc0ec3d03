"""``quaywatch check``: is every target reachable, does the login work, which rights are missing."""

from __future__ import annotations

import asyncio
import traceback
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Final

from quaywatch.config import Settings
from quaywatch.config.tables import PostgresTable
from quaywatch.contract import TargetKind, Watched
from quaywatch.errors import InternalError, TargetError

from .checks import Report, examine
from .discovering import Look, look
from .loop import run
from .roles import role_script, wanted
from .session import chosen, settings_of
from .terminal import Cell, Console

_AT_ONCE: Final = 8
"""Targets that are looked at at a time."""


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Print what was found, or the SQL of the roles.

    Returns:
        0 when nothing is missing, 1 when something is, 3 when a defect kept it from finding out.

    Raises:
        ConfigError: when the configuration is wrong.
    """
    settings = settings_of(arguments.config, environ)
    if arguments.sql:
        return run(_print_sql(settings, chosen(settings, arguments), console))
    pods = run(look(settings))
    reports = run(_reports(pods.settings, chosen(pods.settings, arguments)))
    _print(reports, console)
    _print_pods(pods, console)
    if arguments.debug:
        for defect in _defects(reports):
            console.complain("".join(traceback.format_exception(defect)))
    return exit_code(reports) or (TargetError.exit_code if pods.wrong else 0)


def exit_code(reports: Sequence[Report]) -> int:
    """The code of the worst that was found, a defect being the worst."""
    if _defects(reports):
        return InternalError.exit_code
    return 0 if all(report.fine for report in reports) else TargetError.exit_code


def _defects(reports: Sequence[Report]) -> list[Exception]:
    return [finding.defect for report in reports for finding in report.findings if finding.defect]


async def _reports(settings: Settings, targets: Sequence[Watched]) -> list[Report]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(watched: Watched) -> Report:
        async with turns:
            return await examine(watched, _user(settings, watched))

    return await asyncio.gather(*map(one, targets))


def _user(settings: Settings, watched: Watched) -> str:
    table = settings.targets[watched.target.name]
    return table.user if isinstance(table, PostgresTable) else ""


def _print(reports: Sequence[Report], console: Console) -> None:
    console.table(["target", "kind", "reachable", "login", "version", "missing"], [_row(report) for report in reports])
    for report in reports:
        for finding in report.findings:
            console.say()
            console.say(f"{report.name}: {finding.what}", "bad")
            for line in finding.remedy.splitlines():
                console.say(f"    {line}")


def _print_pods(pods: Look, console: Console) -> None:
    if pods.told:
        console.say()
        console.say(pods.told)
    for sentence in pods.wrong:
        console.say(f"    {sentence}", "bad")


def _row(report: Report) -> list[str | Cell]:
    missing = len(report.findings) if report.logged_in else 0
    number = Cell(str(missing), "bad" if missing else "good") if report.logged_in else Cell("-", "quiet")
    states = [_state(report.reachable), _state(report.logged_in)]
    return [Cell(report.name, "strong"), str(report.kind), *states, report.version or "-", number]


def _state(yes: bool | None) -> Cell:  # noqa: FBT001 - a state to be shown, not a switch
    if yes is None:
        return Cell("-", "quiet")
    return Cell("yes", "good") if yes else Cell("no", "bad")


async def _print_sql(settings: Settings, targets: Sequence[Watched], console: Console) -> int:
    """The script for each cluster; one that cannot be reached yet gets the part that needs no look at it."""
    for watched in targets:
        if watched.target.kind is TargetKind.POSTGRES:
            databases = await _databases(watched, console)
            script = role_script(watched.target.name, _user(settings, watched), wanted(watched), databases)
            console.say(script.rstrip())
    return 0


async def _databases(watched: Watched, console: Console) -> list[str]:
    driver = watched.open()
    try:
        return [name for name in await driver.databases() if watched.tenants(name)]
    except TargetError as error:
        console.complain(f"{watched.target.name}: its databases are not known yet: {error}")
        return []
    finally:
        await driver.close()
