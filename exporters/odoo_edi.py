"""The electronic documents (invoices and the like) of an Odoo database: which wait and fail, and the last exchange.

Read by SQL, once per tenant, where the module ``account_edi`` is: neither the documents nor the texts of their errors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Sample, TargetKind

from .odoo_tables import backlog, columns, records_by

BACKLOG = Metric(
    "odoo.edi.backlog",
    Kind.UPDOWN,
    "{document}",
    "Electronic documents that wait to be sent (to_send) or cancelled (to_cancel); 0 where the module is.",
    ("state",),
)
OLDEST = Metric(
    "odoo.edi.oldest.age", Kind.GAUGE, "s", "How long ago the oldest of the documents that wait was made.", ("state",)
)
LAST = Metric(
    "odoo.edi.last.age",
    Kind.GAUGE,
    "s",
    "How long ago the newest of the exchanged documents was exchanged. Absent when there never was one.",
)
ERRORS = Metric(
    "odoo.edi.errors",
    Kind.UPDOWN,
    "{document}",
    "Waiting documents whose last attempt failed, by Odoo's level. Absent where Odoo notes no level (14).",
    ("level",),
)

GRANTS = (Grant("account_edi_document", ("id", "state", "create_date", "write_date", "blocking_level")),)

_EDI = """
with clock as (select clock_timestamp() at time zone 'utc' as now)
select state,
       :level as level,
       count(*) as records,
       extract(epoch from now - min(create_date))::float8 as oldest
  from public.account_edi_document, clock
 where state in ('to_send', 'to_cancel')
 group by state, 2, now
"""
EDI = _EDI.replace(":level", "blocking_level")
EDI_14 = _EDI.replace(":level", "null::text")

EXCHANGED = """
select extract(epoch from (clock_timestamp() at time zone 'utc') - write_date)::float8 as last
  from public.account_edi_document
 where state in ('sent', 'cancelled')
 order by id desc
 limit 1
"""
"""From the newest on: as a rule the first that is looked at."""

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
    for sample in backlog(rows, ("to_send", "to_cancel"), BACKLOG, OLDEST):
        yield sample
    if notes_level:
        documents = records_by("level", rows)
        for level in _LEVELS:
            yield ERRORS(documents.get(level, 0), level)
    for row in await session.fetch(EXCHANGED):
        yield LAST(max(0.0, row["last"]))


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_edi",
    reads=TargetKind.POSTGRES,
    metrics=(BACKLOG, OLDEST, ERRORS, LAST),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=60.0,
    grants=GRANTS,
)
