"""The outgoing mail of an Odoo database: what waits, how long, and what could not be sent and why.

Read by SQL, once per tenant, from the columns of `GRANTS` and no others: neither addresses nor texts. Sent mail is
usually deleted; where it is kept, the table has no index on the state, and a reading scans it. Mail that is planned for
later does not wait. Before version 16 the planned time is a free text: it tells mail for later, but no age.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Sample, TargetKind

from .odoo_tables import backlog, columns, records_by

BACKLOG = Metric(
    "odoo.mail.backlog",
    Kind.UPDOWN,
    "{mail}",
    "Mail that waits to be sent (outgoing) or could not be sent (exception); 0 where the mail module is.",
    ("state",),
)
OLDEST = Metric(
    "odoo.mail.oldest.age",
    Kind.GAUGE,
    "s",
    "How long the oldest mail in a state has waited or failed: since its planned time, else since it was made.",
    ("state",),
)
FAILURES = Metric(
    "odoo.mail.failures",
    Kind.UPDOWN,
    "{mail}",
    "Mail that could not be sent, by Odoo's type of failure. Absent before Odoo 16.",
    ("failure_type",),
)

GRANTS = (Grant("mail_mail", ("state", "create_date", "scheduled_date", "failure_type")),)

_MAIL = """
with clock as (select clock_timestamp() at time zone 'utc' as now)
select state,
       :failure_type as failure_type,
       count(*) as records,
       extract(epoch from now - min(:since))::float8 as oldest
  from public.mail_mail, clock
 where state in ('outgoing', 'exception')
   and coalesce(scheduled_date::text, '') <= to_char(now, 'YYYY-MM-DD HH24:MI:SS')
 group by state, 2, now
"""
MAIL = _MAIL.replace(":failure_type", "failure_type").replace(":since", "greatest(create_date, scheduled_date)")
MAIL_14 = _MAIL.replace(":failure_type", "null::text").replace(
    ":since", "case when coalesce(scheduled_date, '') = '' then create_date end"
)
"""Where the planned time is a text, and the type of a failure is not noted."""

FAILED = "exception"
STATES = ("outgoing", FAILED)


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The mail of the database that ``session`` is in."""
    there = (await columns(session, "mail_mail"))["mail_mail"]
    if not there:
        return
    notes_type = "failure_type" in there
    rows = await session.fetch(MAIL if notes_type else MAIL_14)
    for sample in backlog(rows, STATES, BACKLOG, OLDEST):
        yield sample
    failed = [row for row in rows if notes_type and row["state"] == FAILED]
    for failure_type, mails in records_by("failure_type", failed).items():
        yield FAILURES(mails, failure_type)


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_mail",
    reads=TargetKind.POSTGRES,
    metrics=(BACKLOG, OLDEST, FAILURES),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=60.0,
    grants=GRANTS,
)
