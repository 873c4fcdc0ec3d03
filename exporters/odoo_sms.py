"""The outgoing text messages (SMS) of an Odoo database: what waits, how long, and what could not be sent and why.

Read by SQL, once per tenant: neither numbers nor texts. A message in the state ``pending`` (18 on) was handed over and
waits for nothing but its receipt: it is no backlog.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Sample, TargetKind

from .odoo_tables import backlog, columns, records_by

BACKLOG = Metric(
    "odoo.sms.backlog",
    Kind.UPDOWN,
    "{message}",
    "Text messages that wait (outgoing), are being handed over (process) or could not be sent (error).",
    ("state",),
)
OLDEST = Metric(
    "odoo.sms.oldest.age", Kind.GAUGE, "s", "How long ago the oldest text message in a state was made.", ("state",)
)
FAILURES = Metric(
    "odoo.sms.failures",
    Kind.UPDOWN,
    "{message}",
    "Text messages that could not be sent, by Odoo's type of failure.",
    ("failure_type",),
)

GRANTS = (Grant("sms_sms", ("state", "create_date", "failure_type", "error_code")),)

_SMS = """
with clock as (select clock_timestamp() at time zone 'utc' as now)
select state,
       :failure_type as failure_type,
       count(*) as records,
       extract(epoch from now - min(create_date))::float8 as oldest
  from public.sms_sms, clock
 where state in ('outgoing', 'process', 'error')
 group by state, 2, now
"""
SMS = _SMS.replace(":failure_type", "failure_type")
SMS_14 = _SMS.replace(":failure_type", "error_code")

FAILED = "error"
STATES = ("outgoing", "process", FAILED)


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The text messages of the database that ``session`` is in."""
    there = (await columns(session, "sms_sms"))["sms_sms"]
    if not there:
        return
    rows = await session.fetch(SMS if "failure_type" in there else SMS_14)
    for sample in backlog(rows, STATES, BACKLOG, OLDEST):
        yield sample
    failed = [row for row in rows if row["state"] == FAILED]
    for failure_type, messages in records_by("failure_type", failed).items():
        yield FAILURES(messages, failure_type)


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_sms",
    reads=TargetKind.POSTGRES,
    metrics=(BACKLOG, OLDEST, FAILURES),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=60.0,
    grants=GRANTS,
)
