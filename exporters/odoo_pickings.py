"""The transfers (pickings) of an Odoo database: what waits, what is late, what was done, and labels.

Read by SQL, once per tenant. The probes' own transfers, known by their order or their partner, are no business and are
left out everywhere. No version has an index on the moment a transfer was done, so that what is done is looked for among
the transfers planned within ``look_back``: one that was planned before and is done now is not seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Row, Sample, TargetKind

from . import odoo_probes
from .odoo_tables import IDS, NOW, columns

OPEN = Metric(
    "odoo.pickings.open",
    Kind.UPDOWN,
    "{picking}",
    "Transfers to be done, by type of operation: waiting for goods or for another transfer, or ready.",
    ("type", "state"),
)
LATE = Metric(
    "odoo.pickings.late",
    Kind.UPDOWN,
    "{picking}",
    "Transfers to be done that were planned for longer ago than the configured allowance.",
    ("type", "state"),
)
LATE_LONGEST = Metric(
    "odoo.pickings.late.longest",
    Kind.GAUGE,
    "s",
    "How long ago the latest of the late transfers was planned for. Absent when none is late.",
    ("type", "state"),
)
DONE = Metric("odoo.pickings.done.recent", Kind.GAUGE, "{picking}", "Transfers done within the last hour.", ("type",))
LAST = Metric(
    "odoo.pickings.last.age",
    Kind.GAUGE,
    "s",
    "How long ago the last transfer was done. Absent when none was of those planned within the time looked back.",
    ("type",),
)
UNTRACKED = Metric(
    "odoo.pickings.untracked",
    Kind.UPDOWN,
    "{picking}",
    "Deliveries done within the last day that lack the tracking number which the carrier's connector should have got.",
    ("connector",),
)
LABEL = Metric(
    "odoo.pickings.label.last.age",
    Kind.GAUGE,
    "s",
    "How long ago a connector gave a delivery its label and tracking number last. Absent when it gave none.",
    ("connector",),
)

GRANTS = (
    *odoo_probes.GRANTS,
    Grant(
        "stock_picking",
        (
            "id",
            "state",
            "scheduled_date",
            "date_done",
            "picking_type_id",
            "partner_id",
            "sale_id",
            "carrier_id",
            "carrier_tracking_ref",
        ),
    ),
    Grant("stock_picking_type", ("id", "code", "active")),
    Grant("delivery_carrier", ("id", "delivery_type")),
)

_TO_DO = """
select t.code as type,
       case p.state when 'assigned' then 'ready' else 'waiting' end as state,
       count(*) as pickings,
       count(*) filter (where p.scheduled_date < :now - make_interval(secs => $2)) as late,
       extract(epoch from max(:now - p.scheduled_date))::float8 as longest
  from public.stock_picking p
  join public.stock_picking_type t on t.id = p.picking_type_id
  :orders
 where p.state in ('waiting', 'confirmed', 'assigned') and not :own
 group by 1, 2
"""
_DONE = """
select t.code as type,
       count(*) filter (where p.date_done > :now - interval '1 hour') as recent,
       extract(epoch from :now - max(p.date_done))::float8 as last
  from public.stock_picking p
  join public.stock_picking_type t on t.id = p.picking_type_id
  :orders
 where p.state = 'done' and p.scheduled_date >= :now - make_interval(secs => $2) and p.date_done <= :now and not :own
 group by 1
"""
_LABELS = """
select c.delivery_type as connector,
       count(sent.id) filter (where not sent.tracked and sent.date_done >= :now - interval '1 day') as lacking,
       extract(epoch from :now - max(sent.date_done) filter (where sent.tracked))::float8 as label
  from public.delivery_carrier c
  left join (
       select p.id, p.carrier_id, p.date_done, coalesce(p.carrier_tracking_ref, '') <> '' as tracked
         from public.stock_picking p
         join public.stock_picking_type t on t.id = p.picking_type_id and t.code = 'outgoing'
         :orders
        where p.state = 'done' and p.carrier_id is not null and not :own
          and p.scheduled_date >= :now - make_interval(secs => $2) and p.date_done <= :now) sent
    on sent.carrier_id = c.id
 where c.delivery_type not in ('fixed', 'base_on_rule')
 group by 1
"""
"""Carriers of these two types compute a price and speak to nobody. The others give label and number as it is done."""


def _complete(statement: str, orders: str, own: str) -> str:
    """A statement with what it looks at."""
    return statement.replace(":orders", orders).replace(":own", own).replace(":now", NOW)


_BY_PARTNER = f"coalesce(p.partner_id = any({IDS}), false)"
_ORDERS = "left join public.sale_order o on o.id = p.sale_id"
_BY_ORDER = f"({_BY_PARTNER} or coalesce({odoo_probes.ORDER_IS_OWN}, false))"
TO_DO, DONE_LATELY, LABELS = (_complete(statement, _ORDERS, _BY_ORDER) for statement in (_TO_DO, _DONE, _LABELS))
TO_DO_WITHOUT_ORDERS, DONE_WITHOUT_ORDERS, LABELS_WITHOUT_ORDERS = (
    _complete(statement, "", _BY_PARTNER) for statement in (_TO_DO, _DONE, _LABELS)
)
"""The same where transfers know no order: stock without sales."""
TYPES = "select distinct code as type from public.stock_picking_type where active"

_STATES = ("waiting", "ready")


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    exclude_partners: tuple[int | str, ...] = odoo_probes.partners_option()
    late_after: float = field(
        default=3600.0, metadata={"help": "seconds past its planned time from which a transfer is late"}
    )
    look_back: float = field(
        default=2_592_000.0,
        metadata={"help": "seconds since their planned time in which done transfers are looked for"},
    )


async def collect(session: Postgres, options: Options, _state: None) -> AsyncIterator[Sample]:
    """The transfers of the database that ``session`` is in."""
    there = (await columns(session, "stock_picking"))["stock_picking"]
    if not there:
        return
    of_sales = "sale_id" in there
    own = await odoo_probes.own_partners(session, options.exclude_partners)
    types = [row["type"] for row in await session.fetch(TYPES)]
    for sample in _to_do(
        await session.fetch(TO_DO if of_sales else TO_DO_WITHOUT_ORDERS, own, options.late_after), types
    ):
        yield sample
    done = await session.fetch(DONE_LATELY if of_sales else DONE_WITHOUT_ORDERS, own, options.look_back)
    for sample in _done(done, types):
        yield sample
    if "carrier_tracking_ref" in there:
        labels = await session.fetch(LABELS if of_sales else LABELS_WITHOUT_ORDERS, own, options.look_back)
        for sample in _labels(labels):
            yield sample


def _to_do(rows: Sequence[Row], types: Sequence[str]) -> Iterator[Sample]:
    """Every type and state that there is; 0 is measured."""
    found = {(row["type"], row["state"]): row for row in rows}
    for kind, state in {(kind, state) for kind in types for state in _STATES} | set(found):
        row = found.get((kind, state))
        yield OPEN(row["pickings"] if row else 0, kind, state)
        yield LATE(row["late"] if row else 0, kind, state)
        if row and row["late"]:
            yield LATE_LONGEST(row["longest"], kind, state)


def _done(rows: Sequence[Row], types: Sequence[str]) -> Iterator[Sample]:
    found = {row["type"]: row for row in rows}
    for kind in set(types) | set(found):
        yield DONE(found[kind]["recent"] if kind in found else 0, kind)
    for kind, row in found.items():
        yield LAST(row["last"], kind)


def _labels(rows: Sequence[Row]) -> Iterator[Sample]:
    for row in rows:
        yield UNTRACKED(row["lacking"], row["connector"])
        if row["label"] is not None:
            yield LABEL(row["label"], row["connector"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_pickings",
    reads=TargetKind.POSTGRES,
    metrics=(OPEN, LATE, LATE_LONGEST, DONE, LAST, UNTRACKED, LABEL),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=60.0,
    grants=GRANTS,
)
