"""The electronic documents (invoices and the like) of an Odoo database: which wait to be exchanged, and which fail.

Read by SQL, once per tenant, where the module ``account_edi`` is: neither the documents nor the texts of their errors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Sample, TargetKind

from .odoo_tables import columns

BACKLOG = Metric(
    "odoo.edi.backlog",
    Kind.UPDOWN,
    "{document}",
    "Electronic documents that wait to be sent (to_send) or cancelled (to_cancel); 0 where the module is.",
    ("state",),
)
OLDEST = Metric(
    "odoo.edi.oldest.age", Kind.GAUGE, "s", "How long ago the oldest document was made that still waits to be sent."
)
ERRORS = Metric(
    "odoo.edi.errors",
    Kind.UPDOWN,
    "{document}",
    "Waiting documents whose last attempt failed, by Odoo's level. Absent where Odoo notes no level (14).",
    ("level",),
)

GRANTS = (Grant("account_edi_document", ("state", "create_date", "blocking_level")),)

_EDI = """
with clock as (select clock_timestamp() at time zone 'utc' as now)
select state,
       :level as level,
       count(*) as documents,
       extract(epoch from now - min(create_date))::float8 as oldest
  from public.account_edi_document, clock
 where state in ('to_send', 'to_cancel')
 group by state, 2, now
"""
EDI = _EDI.replace(":level", "blocking_level")
EDI_14 = _EDI.replace(":level", "null::text")

_TO_SEND = "to_send"
_STATES = (_TO_SEND, "to_cancel")
_LEVELS = ("info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The electronic documents of the database that ``session`` is in."""
    there = (await columns(session, "account_edi_document"))["account_edi_document"]
    if not there:
        return
    notes_level = "blocking_level" in there
    rows = await session.fetch(EDI if notes_level else EDI_14)
    for state in _STATES:
        yield BACKLOG(sum(row["documents"] for row in rows if row["state"] == state), state)
    waiting = [row["oldest"] for row in rows if row["state"] == _TO_SEND]
    if waiting:
        yield OLDEST(max(0.0, *waiting))
    for level in _LEVELS if notes_level else ():
        yield ERRORS(sum(row["documents"] for row in rows if row["level"] == level), level)


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_edi",
    reads=TargetKind.POSTGRES,
    metrics=(BACKLOG, OLDEST, ERRORS),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=60.0,
    grants=GRANTS,
)
