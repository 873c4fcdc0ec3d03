"""Outgoing mail and text messages (SMS) over Odoo's RPC, for databases that cannot be read by SQL.

Off until it is turned on: the target's user must be in the group Administration / Settings; anybody else gets an error,
never a part. The metrics and what they mean are those of `odoo_mail` and `odoo_sms`, which cost less where the database
can be reached. Neither addresses nor texts are asked for. A database without one of the modules says nothing of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quaywatch.contract import Exporter, Odoo, Row, Sample, TargetKind

from . import odoo_mail, odoo_sms
from .odoo_rpc import Domain, ago, fields_of, groups, oldest_age
from .odoo_tables import backlog, records_by

_MAIL, _SMS = "mail.mail", "sms.sms"
_PLANNED = "scheduled_date"
_PLANNED_SINCE = 16
"""Before that a planned time is a free text."""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(odoo: Odoo, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The mail and the text messages of the database.

    Raises:
        PermissionDeniedError: when this user may not see them.
    """
    async for sample in _mail(odoo):
        yield sample
    async for sample in _sms(odoo):
        yield sample


async def _mail(odoo: Odoo) -> AsyncIterator[Sample]:
    fields = await fields_of(odoo, _MAIL)
    if not fields:
        return
    notes_type = "failure_type" in fields
    due: Domain = ["|", (_PLANNED, "=", False), (_PLANNED, "<=", ago())]
    rows = await _rows(odoo, _MAIL, odoo_mail.STATES, due, "failure_type" if notes_type else None)
    ages = {state: await _mail_age(odoo, state) for state in _states(rows)}
    for sample in backlog(_aged(rows, ages), odoo_mail.STATES, odoo_mail.BACKLOG, odoo_mail.OLDEST):
        yield sample
    failed = [row for row in rows if notes_type and row["state"] == odoo_mail.FAILED]
    for failure_type, mails in records_by("failure_type", failed).items():
        yield odoo_mail.FAILURES(mails, failure_type)


async def _mail_age(odoo: Odoo, state: str) -> float | None:
    """The oldest of those that wait since their planned time, and of those that wait since they were made."""
    mine: Domain = [("state", "=", state)]
    made = await oldest_age(odoo, _MAIL, [*mine, (_PLANNED, "=", False)], "create_date")
    if await odoo.version() < _PLANNED_SINCE:
        return made
    planned = await oldest_age(odoo, _MAIL, [*mine, (_PLANNED, "<=", ago())], _PLANNED)
    return max((age for age in (made, planned) if age is not None), default=None)


async def _sms(odoo: Odoo) -> AsyncIterator[Sample]:
    fields = await fields_of(odoo, _SMS)
    if not fields:
        return
    kind = "failure_type" if "failure_type" in fields else "error_code"
    rows = await _rows(odoo, _SMS, odoo_sms.STATES, [], kind)
    ages = {state: await oldest_age(odoo, _SMS, [("state", "=", state)], "create_date") for state in _states(rows)}
    for sample in backlog(_aged(rows, ages), odoo_sms.STATES, odoo_sms.BACKLOG, odoo_sms.OLDEST):
        yield sample
    failed = [row for row in rows if row["state"] == odoo_sms.FAILED]
    for failure_type, messages in records_by("failure_type", failed).items():
        yield odoo_sms.FAILURES(messages, failure_type)


async def _rows(odoo: Odoo, model: str, states: Sequence[str], domain: Domain, kind: str | None) -> list[Row]:
    """How many records there are by state and kind of failure, as the exporters by SQL read them."""
    by = ["state", kind] if kind else ["state"]
    found = await groups(odoo, model, [("state", "in", list(states)), *domain], by)
    return [
        {"state": one["state"], "failure_type": one[kind] if kind else None, "records": one["__count"]} for one in found
    ]


def _states(rows: Iterable[Row]) -> set[str]:
    return {row["state"] for row in rows}


def _aged(rows: Iterable[Row], ages: Mapping[str, Any]) -> list[Row]:
    """The rows with the age of the oldest of their state."""
    return [{**row, "oldest": ages[row["state"]]} for row in rows]


EXPORTER: Exporter[Odoo, Options, None] = Exporter(
    name="odoo_rpc_messages",
    reads=TargetKind.ODOO,
    metrics=(
        odoo_mail.BACKLOG,
        odoo_mail.OLDEST,
        odoo_mail.FAILURES,
        odoo_sms.BACKLOG,
        odoo_sms.OLDEST,
        odoo_sms.FAILURES,
    ),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=60.0,
    on=False,
    node_local=False,
)
