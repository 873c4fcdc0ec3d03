"""Mail, text messages and electronic documents: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exporters import odoo_edi, odoo_mail, odoo_sms
from exporters.odoo_tables import COLUMNS
from quaywatch.contract import Exporter, Postgres, Row, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


def table(name: str, *columns: str) -> list[Row]:
    """What a database has of a table."""
    return [{"table": name, "column": column} for column in ("state", "create_date", *columns)]


@pytest.mark.parametrize("exporter", [odoo_mail.EXPORTER, odoo_sms.EXPORTER, odoo_edi.EXPORTER], ids=lambda e: e.name)
async def test_a_database_without_the_module_gives_nothing(
    exporter: Exporter[Any, Any, Any], postgres: Make, read: Read
) -> None:
    """No sample, no error, and the table is not asked."""
    assert await read(exporter, postgres({COLUMNS: []})) == {}


async def test_no_mail_is_a_measured_zero(postgres: Make, read: Read) -> None:
    """In both states; ages and types of failures are absent."""
    there = table("mail_mail", "failure_type")
    assert await read(odoo_mail.EXPORTER, postgres({COLUMNS: there, odoo_mail.MAIL: []})) == {
        ("odoo.mail.backlog", "outgoing"): 0,
        ("odoo.mail.backlog", "exception"): 0,
    }


async def test_mail_waits_and_fails(postgres: Make, read: Read) -> None:
    """Row 32: how many, how long, and why; a failure without a type is an unknown one."""
    rows = [
        {"state": "outgoing", "failure_type": None, "records": 4, "oldest": 7200.0},
        {"state": "exception", "failure_type": "mail_smtp", "records": 2, "oldest": 60.0},
        {"state": "exception", "failure_type": None, "records": 3, "oldest": 90.0},
        {"state": "exception", "failure_type": "unknown", "records": 1, "oldest": 30.0},
    ]
    answers = {COLUMNS: table("mail_mail", "failure_type"), odoo_mail.MAIL: rows}
    assert await read(odoo_mail.EXPORTER, postgres(answers)) == {
        ("odoo.mail.backlog", "outgoing"): 4,
        ("odoo.mail.oldest.age", "outgoing"): 7200.0,
        ("odoo.mail.backlog", "exception"): 6,
        ("odoo.mail.oldest.age", "exception"): 90.0,
        ("odoo.mail.failures", "mail_smtp"): 2,
        ("odoo.mail.failures", "unknown"): 4,
    }


async def test_odoo_14_notes_no_type_of_failure(postgres: Make, read: Read) -> None:
    """Row 32: the failures are counted, their types absent; mail planned by a text has no age."""
    rows = [{"state": "exception", "failure_type": None, "records": 3, "oldest": None}]
    found = await read(odoo_mail.EXPORTER, postgres({COLUMNS: table("mail_mail"), odoo_mail.MAIL_14: rows}))
    assert found == {("odoo.mail.backlog", "outgoing"): 0, ("odoo.mail.backlog", "exception"): 3}


@pytest.mark.parametrize(
    ("column", "statement"), [("failure_type", odoo_sms.SMS), ("error_code", odoo_sms.SMS_14)], ids=["16", "14"]
)
async def test_text_messages_wait_and_fail(column: str, statement: str, postgres: Make, read: Read) -> None:
    """Row 32: the same of text messages, whatever the version calls the type of a failure."""
    rows = [
        {"state": "outgoing", "failure_type": "unknown", "records": 4, "oldest": 7200.0},
        {"state": "error", "failure_type": "sms_credit", "records": 2, "oldest": 60.0},
        {"state": "error", "failure_type": "unknown", "records": 1, "oldest": 30.0},
    ]
    found = await read(odoo_sms.EXPORTER, postgres({COLUMNS: table("sms_sms", column), statement: rows}))
    assert found == {
        ("odoo.sms.backlog", "outgoing"): 4,
        ("odoo.sms.oldest.age", "outgoing"): 7200.0,
        ("odoo.sms.backlog", "process"): 0,
        ("odoo.sms.backlog", "error"): 3,
        ("odoo.sms.oldest.age", "error"): 60.0,
        ("odoo.sms.failures", "sms_credit"): 2,
        ("odoo.sms.failures", "unknown"): 1,
    }


async def test_documents_wait_and_fail(postgres: Make, read: Read) -> None:
    """Row 38: how many wait, since when, and how many of them failed at which level; 0 is measured."""
    rows = [
        {"state": "to_send", "level": None, "records": 5, "oldest": 30.0},
        {"state": "to_send", "level": "error", "records": 2, "oldest": 4000.0},
        {"state": "to_cancel", "level": "warning", "records": 1, "oldest": 9000.0},
    ]
    answers = {COLUMNS: table("account_edi_document", "blocking_level"), odoo_edi.EDI: rows}
    answers[odoo_edi.EXCHANGED] = [{"last": 600.0}]
    assert await read(odoo_edi.EXPORTER, postgres(answers)) == {
        ("odoo.edi.backlog", "to_send"): 7,
        ("odoo.edi.backlog", "to_cancel"): 1,
        ("odoo.edi.oldest.age", "to_send"): 4000.0,
        ("odoo.edi.oldest.age", "to_cancel"): 9000.0,
        ("odoo.edi.last.age",): 600.0,
        ("odoo.edi.errors", "info"): 0,
        ("odoo.edi.errors", "warning"): 1,
        ("odoo.edi.errors", "error"): 2,
    }


async def test_without_levels_there_are_no_errors(postgres: Make, read: Read) -> None:
    """Absent, not 0; and without a document there is no oldest and no last one."""
    answers = {COLUMNS: table("account_edi_document"), odoo_edi.EDI_14: [], odoo_edi.EXCHANGED: []}
    assert await read(odoo_edi.EXPORTER, postgres(answers)) == {
        ("odoo.edi.backlog", "to_send"): 0,
        ("odoo.edi.backlog", "to_cancel"): 0,
    }


def test_contents_are_never_read() -> None:
    """No grant is for an address, a number, a text or a reason that quotes one."""
    grants = (*odoo_mail.GRANTS, *odoo_sms.GRANTS, *odoo_edi.GRANTS)
    granted = {column for grant in grants for column in grant.columns}
    assert granted == {
        "id",
        "state",
        "create_date",
        "write_date",
        "scheduled_date",
        "failure_type",
        "error_code",
        "blocking_level",
    }
