"""Mail, text messages and electronic documents of real Odoo databases, read by roles with the declared grants alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from exporters import odoo_edi, odoo_mail, odoo_rpc_messages, odoo_sms
from quaywatch.contract import Exporter
from sandbox.parts.postgres import sql
from sandbox.world import World
from tests.integration.exporters.narrow import Read, Reading, administrator, assert_same, visited

PARTS = ("odoo14", "odoo19")
_FAR = 2_000_000_000
"""Ids that no record of Odoo's has."""
_DAY = 86_400
"""Seconds. What a test puts there is years old, and so the oldest whatever others left in the database."""
_NOW = "(now() at time zone 'utc')"
_MAIL = f"""
set session_replication_role = replica;
insert into mail_mail (id, mail_message_id, state, create_date, scheduled_date :column)
values ({_FAR}, 0, 'outgoing', {_NOW} - interval '4000 days', null :none),
       ({_FAR} + 1, 0, 'outgoing', {_NOW} - interval '5000 days', :later :none),
       ({_FAR} + 2, 0, 'exception', {_NOW} - interval '3000 days', null :smtp),
       ({_FAR} + 3, 0, 'sent', {_NOW} - interval '5000 days', null :none);
"""  # noqa: S608 - constants
_SMS = f"""
insert into sms_sms (id, number, state, create_date, :column)
values ({_FAR}, '+0', 'outgoing', {_NOW} - interval '4000 days', null),
       ({_FAR} + 1, '+0', 'error', {_NOW} - interval '1 hour', 'sms_credit'),
       ({_FAR} + 2, '+0', 'sent', {_NOW} - interval '5000 days', null);
"""  # noqa: S608 - constants
_EDI = f"""
set session_replication_role = replica;
insert into account_edi_document (id, move_id, edi_format_id, state, create_date, write_date :column)
values ({_FAR}, {_FAR}, {_FAR}, 'to_send', {_NOW} - interval '4000 days', {_NOW} :error),
       ({_FAR} + 1, {_FAR} + 1, {_FAR}, 'to_cancel', {_NOW} - interval '5000 days', {_NOW} :none),
       ({_FAR} + 2, {_FAR} + 2, {_FAR}, 'sent', {_NOW} - interval '5000 days', {_NOW} - interval '30 minutes' :none);
"""  # noqa: S608 - constants
_AS_16 = """
create table account_edi_document (
    id int, move_id int, edi_format_id int, state varchar, create_date timestamp, write_date timestamp,
    blocking_level varchar, error text);
"""


@pytest.fixture(params=["odoo14", "odoo19"])
def database(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """Each Odoo's database, cleared of what a test put there."""
    name = str(request.param)
    yield name
    tables = ("mail_mail", "sms_sms", *(("account_edi_document",) if name == "odoo14" else ()))
    for table in tables:
        sql(world.postgres, f"set session_replication_role = replica; delete from {table} where id >= {_FAR}", name)  # noqa: S608 - constants


def filled(statement: str, **parts: str) -> str:
    """A statement with its parts."""
    for name, part in parts.items():
        statement = statement.replace(f":{name}", part)
    return statement


def put_mail(world: World, database: str) -> None:
    """Mail that waits, is planned for tomorrow, failed and was sent."""
    later = f"{_NOW} + interval '1 day'"
    parts = {"column": ", failure_type", "none": ", null", "smtp": ", 'mail_smtp'", "later": later}
    if database == "odoo14":
        parts = {"column": "", "none": "", "smtp": "", "later": f"to_char({later}, 'YYYY-MM-DD HH24:MI:SS')"}
    sql(world.postgres, filled(_MAIL, **parts), database)


def put_text_messages(world: World, database: str) -> None:
    """Text messages that wait, failed and were sent."""
    column = "error_code" if database == "odoo14" else "failure_type"
    sql(world.postgres, filled(_SMS, column=column), database)


def more(found: Reading, before: Reading, metric: str) -> dict[str, float]:
    """What of a metric was added since; others leave mail of their own in the shared database."""
    added = {key[1]: value - before.get(key, 0) for key, value in found.items() if key[0] == metric}
    return {name: value for name, value in added.items() if value}


async def test_mail_waits_and_fails(database: str, world: World, read: Read) -> None:
    """Row 32: what is planned for tomorrow does not wait, what was sent is not counted, times are UTC."""
    before = await visited(odoo_mail.EXPORTER, world.postgres, database, read)
    put_mail(world, database)
    found = await visited(odoo_mail.EXPORTER, world.postgres, database, read)
    assert more(found, before, "odoo.mail.backlog") == {"outgoing": 1, "exception": 1}
    assert found["odoo.mail.oldest.age", "outgoing"] == pytest.approx(4000 * _DAY, abs=100)
    assert found["odoo.mail.oldest.age", "exception"] == pytest.approx(3000 * _DAY, abs=100)
    assert more(found, before, "odoo.mail.failures") == ({} if database == "odoo14" else {"mail_smtp": 1})


async def test_text_messages_wait_and_fail(database: str, world: World, read: Read) -> None:
    """Row 32: the same of text messages."""
    before = await visited(odoo_sms.EXPORTER, world.postgres, database, read)
    put_text_messages(world, database)
    found = await visited(odoo_sms.EXPORTER, world.postgres, database, read)
    assert more(found, before, "odoo.sms.backlog") == {"outgoing": 1, "error": 1}
    assert ("odoo.sms.backlog", "process") in found
    assert more(found, before, "odoo.sms.failures") == {"sms_credit": 1}
    assert found["odoo.sms.oldest.age", "outgoing"] == pytest.approx(4000 * _DAY, abs=100)


async def test_rpc_tells_the_same_of_messages(database: str, world: World, read: Read) -> None:
    """Row 32: where there is no SQL mail and text messages are told all the same."""
    put_mail(world, database)
    put_text_messages(world, database)
    async with administrator(world, database) as odoo:
        found = await read(odoo_rpc_messages.EXPORTER, odoo)
    mail, messages = [
        await visited(exporter, world.postgres, database, read) for exporter in (odoo_mail.EXPORTER, odoo_sms.EXPORTER)
    ]
    assert found["odoo.mail.backlog", "exception"] >= 1
    assert_same(found, {**mail, **messages}, odoo_rpc_messages.EXPORTER)


@pytest.mark.parametrize("database", ["odoo14"], indirect=True)
async def test_documents_wait(database: str, world: World, read: Read) -> None:
    """Row 38: waiting documents, the age of the oldest and of the last exchange; 14 notes no level of errors."""
    before = await visited(odoo_edi.EXPORTER, world.postgres, database, read)
    sql(world.postgres, filled(_EDI, column="", error="", none=""), database)
    found = await visited(odoo_edi.EXPORTER, world.postgres, database, read)
    assert found["odoo.edi.oldest.age", "to_send"] == pytest.approx(4000 * _DAY, abs=100)
    assert 1800 <= found["odoo.edi.last.age",] < 1900
    assert more(found, before, "odoo.edi.backlog") == {"to_send": 1, "to_cancel": 1}
    assert not [key for key in found if key[0] == "odoo.edi.errors"]


async def test_documents_fail_where_levels_are_noted(world: World, read: Read) -> None:
    """Row 38: on a table as version 16 has it, failures count by level; the text of the error needs no grant."""
    sql(world.postgres, "drop database if exists documents_16 with (force)")
    sql(world.postgres, "create database documents_16")
    table = filled(_EDI, column=", blocking_level, error", error=", 'error', 'secret'", none=", null, null")
    sql(world.postgres, _AS_16 + table, "documents_16")
    found = await visited(odoo_edi.EXPORTER, world.postgres, "documents_16", read)
    sql(world.postgres, "drop database documents_16 with (force)")
    assert {key[1]: value for key, value in found.items() if key[0] == "odoo.edi.errors"} == {
        "info": 0,
        "warning": 0,
        "error": 1,
    }


@pytest.mark.parametrize("exporter", [odoo_mail.EXPORTER, odoo_sms.EXPORTER, odoo_edi.EXPORTER], ids=lambda e: e.name)
async def test_a_database_without_odoo_says_nothing(
    exporter: Exporter[Any, Any, Any], world: World, read: Read
) -> None:
    """The maintenance database has none of it: no sample and no error."""
    assert await visited(exporter, world.postgres, "postgres", read) == {}
