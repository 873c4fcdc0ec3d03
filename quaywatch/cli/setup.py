"""``quaywatch setup odoo``: what the configured flows need in Odoo is made by its administrator, or told."""

from __future__ import annotations

import secrets
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from probes.odoo_placing import Wanted
from probes.odoo_risks import look
from probes.odoo_setup import JANITOR, Account, Flow, Preparation, Prepared, State, groups_of, prepare, records_of
from probes.scripted import OdooOptions
from quaywatch.config import Settings
from quaywatch.config.tables import OdooTable
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.errors import ConfigError, TargetError
from quaywatch.secret import Secret

from .loop import run
from .session import settings_of
from .setup_key import KeyFile
from .terminal import Console

_MOODS: Final[Mapping[State, str]] = {
    State.THERE: "quiet",
    State.MISSING: "doubtful",
    State.MADE: "good",
    State.BY_HAND: "bad",
}


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Make, or say what would be made.

    Returns:
        0 when nothing is left to do, or all of it can be made; 1 when something is left to a person.

    Raises:
        ConfigError: when no Odoo is configured, or the administrator's password is not given.
        TargetError: when an Odoo cannot be reached, or refuses the administrator.
    """
    settings = settings_of(arguments.config, environ)
    tables = _tables(settings, arguments.target)
    if arguments.api_key_file and len(tables) > 1:
        raise ConfigError("a key is of one Odoo", remedy="choose one with --target")
    password = _password(arguments, environ)
    states = run(_all(settings, tables, arguments, password, console))
    _tell_end(states, console, apply=arguments.apply)
    return TargetError.exit_code if State.BY_HAND in states or (arguments.apply and State.MISSING in states) else 0


def _tables(settings: Settings, names: Sequence[str]) -> dict[str, OdooTable]:
    known = {name: table for name, table in settings.targets.items() if isinstance(table, OdooTable)}
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        what = f"there is no target {', '.join(unknown)} of kind odoo" if unknown else "no target is of kind odoo"
        raise ConfigError(what, remedy=f"of this kind are {', '.join(known) or 'none'}")
    return {name: table for name, table in known.items() if not names or name in names}


def _password(arguments: Namespace, environ: Mapping[str, str]) -> Secret:
    if arguments.admin_password_file is not None:
        secret = Secret.of_file(arguments.admin_password_file)
        try:
            secret.reveal()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{arguments.admin_password_file}: cannot be read: {error}") from error
        return secret
    name = arguments.admin_password_env
    if not environ.get(name):
        remedy = f"set {name}, or name a file with --admin-password-file"
        raise ConfigError("the administrator's password is not given", remedy=remedy)
    return Secret(environ[name])


async def _all(
    settings: Settings, tables: Mapping[str, OdooTable], arguments: Namespace, password: Secret, console: Console
) -> list[State]:
    states: list[State] = []
    for name, table in tables.items():
        flows: list[Flow] = [(task.probe, task.options) for task in settings.probes[name]]
        console.say(f"{name}: {table.url} {table.database}", "strong")
        states += await _Setup(table, flows, arguments, console).carried_out(password)
    return states


class _Setup:
    """The work on one Odoo."""

    def __init__(self, table: OdooTable, flows: Sequence[Flow], arguments: Namespace, console: Console) -> None:
        self._table = table
        self._flows = flows
        self._arguments = arguments
        self._console = console
        # Without one in the configuration the user works with a key, and nobody needs to know its password.
        self._password = table.password or Secret(secrets.token_urlsafe(32))
        self._states: list[State] = []

    async def carried_out(self, admin_password: Secret) -> list[State]:
        """How everything was found, or left; what was made is looked for once more."""
        admin = OdooServer(self._address(self._arguments.admin_login, admin_password))
        try:
            await self._prepare(admin)
            await self._key()
            await self._tell_risks(admin)
        finally:
            await admin.close()
        return self._states

    async def _prepare(self, admin: OdooServer) -> None:
        wanted = self._preparation()
        await prepare(admin, wanted, self._told, apply=self._arguments.apply)
        if State.MADE not in self._states:
            return
        left: list[Prepared] = []
        await prepare(admin, wanted, left.append, apply=False)
        for one in left:
            if one.state is State.MISSING:
                self._told(Prepared(one.what, State.BY_HAND, "Odoo made it, and it is not there"))

    def _preparation(self) -> Preparation:
        partners, goods = records_of(self._flows)
        sees = any(isinstance(options, Wanted | OdooOptions) for _, options in self._flows)
        team = any(isinstance(options, Wanted) and options.as_person for _, options in self._flows)
        table, rights = self._table, {"sees_rules": sees, "own_team": team}
        accounts = [Account("the probe's user", table.login, self._password, groups_of(self._flows), **rights)]
        if table.janitor is not None:
            accounts.append(Account("the janitor", table.janitor.login, table.janitor.password, JANITOR))
        return Preparation(tuple(accounts), partners, goods, stock=self._arguments.stock)

    def _address(self, login: str, password: Secret, key: Secret | None = None) -> OdooAddress:
        table = self._table
        return OdooAddress(
            url=table.url,
            database=table.database,
            login=login,
            password=password,
            api_key=key,
            ca_file=table.ca_file,
            answer_within=max(table.answer_within, _PATIENCE),
        )

    async def _key(self) -> None:
        """The API key, when one is asked for."""
        path: Path | None = self._arguments.api_key_file
        if path is None:
            return
        if self._table.password is None:
            note = "Odoo asks for the user's password: configure it"
            self._told(Prepared(f"the API key in {path}", State.BY_HAND, note))
            return
        file = KeyFile(path, lambda key: OdooServer(self._address(self._table.login, self._password, key)))
        self._told(await file.kept(self._password, apply=self._arguments.apply))

    async def _tell_risks(self, admin: OdooServer) -> None:
        """What the orders of the flows set off, seen with an administrator's eyes."""
        told: set[str] = set()
        for _, options in self._flows:
            if isinstance(options, Wanted):
                for risk in (await look(admin, options)).risks:
                    if risk.name not in told:
                        accepted = " (accepted)" if risk.name in options.accept_risks else ""
                        self._console.say(f"  {'risk':<8} {risk}{accepted}", "doubtful")
                    told.add(risk.name)

    def _told(self, one: Prepared) -> None:
        self._states.append(one.state)
        note = f": {one.note}" if one.note else ""
        self._console.say(f"  {self._console.painted(f'{one.state:<8}', _MOODS[one.state])} {one.what}{note}")


_PATIENCE: Final = 60.0
"""Seconds for an answer at least: nobody waits for these, and the first calls after a start are slow."""


def _tell_end(states: Sequence[State], console: Console, *, apply: bool) -> None:
    console.say()
    if State.BY_HAND in states:
        console.say("Something is left to be done by hand.", "bad")
    if State.MISSING in states and not apply:
        console.say("Nothing was changed. With --apply it is made.")
    elif State.MADE in states:
        console.say("Done. `quaywatch check` says whether the flows have what they need.", "good")
    elif State.BY_HAND not in states:
        console.say("Everything is there; nothing was changed.", "good")
