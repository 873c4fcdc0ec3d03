"""The sales orders of an Odoo database: whether any are confirmed, and which of them went nowhere.

Read by SQL, once per tenant. An order's date is the moment of its confirmation. The probes' own orders are no business
and are left out everywhere: with probes alone at work the age of the last order rises and none is recent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Sample, TargetKind

from . import odoo_probes
from .odoo_tables import NOW, columns

RECENT = Metric(
    "odoo.orders.confirmed.recent", Kind.GAUGE, "{order}", "Orders confirmed within the last hour, but for the probes'."
)
LAST = Metric(
    "odoo.orders.last.age",
    Kind.GAUGE,
    "s",
    "How long ago the last order was confirmed, but for the probes'. Absent when there never was one.",
)
UNDELIVERED = Metric(
    "odoo.orders.without_delivery",
    Kind.UPDOWN,
    "{order}",
    "Orders of goods confirmed within the last days for which nothing is to be moved. Absent where stock is not kept.",
)
UNDELIVERED_OLDEST = Metric(
    "odoo.orders.without_delivery.oldest.age",
    Kind.GAUGE,
    "s",
    "How long ago the oldest of the orders without a delivery was confirmed. Absent when there is none.",
)

GRANTS = (
    *odoo_probes.GRANTS,
    Grant("sale_order", ("state", "date_order")),
    Grant("sale_order_line", ("id", "order_id", "product_id", "product_uom_qty", "display_type")),
    Grant("product_product", ("id", "product_tmpl_id")),
    Grant("product_template", ("id", "type")),
    Grant("stock_move", ("state", "sale_line_id")),
)

_HEARTBEAT = """
select (select count(*)
          from public.sale_order o
         where o.state in ('sale', 'done') and o.date_order > :now - interval '1 hour' and o.date_order <= :now
           and not :own) as recent,
       extract(epoch from :now - (
           select o.date_order
             from public.sale_order o
            where o.state in ('sale', 'done') and o.date_order <= :now and not :own
            order by o.date_order desc
            limit 1))::float8 as last
"""
_WITHOUT_DELIVERY = """
select count(*) as orders, extract(epoch from max(:now - o.date_order))::float8 as oldest
  from public.sale_order o
 where o.state in ('sale', 'done') and not :own
   and o.date_order >= :now - make_interval(secs => $2) and o.date_order < :now - make_interval(secs => $3)
   and exists (
       select from public.sale_order_line l
        where l.order_id = o.id and l.product_uom_qty > 0 and l.display_type is null
          and exists (
              select from public.product_product p
               where p.id = l.product_id
                 and exists (
                     select from public.product_template t
                      where t.id = p.product_tmpl_id and t.type in ('product', 'consu') offset 0) offset 0) offset 0)
   and not exists (
       select from public.sale_order_line l
        where l.order_id = o.id
          and exists (
              select from public.stock_move m
               where m.sale_line_id = l.id and m.state <> 'cancel' offset 0) offset 0)
"""
"""By the order's date, its lines and their moves, all of which are indexed in every version.

``offset 0`` keeps the planner from weighing joins: that took three times as long as to look everything up one by one.
"""
HEARTBEAT, WITHOUT_DELIVERY = (
    statement.replace(":own", odoo_probes.ORDER_IS_OWN).replace(":now", NOW)
    for statement in (_HEARTBEAT, _WITHOUT_DELIVERY)
)


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    exclude_partners: tuple[int | str, ...] = odoo_probes.partners_option()
    look_back: float = field(
        default=172_800.0, metadata={"help": "seconds since its confirmation for which an order without delivery shows"}
    )
    grace: float = field(
        default=600.0, metadata={"help": "seconds after its confirmation in which an order may be without a delivery"}
    )


async def collect(session: Postgres, options: Options, _state: None) -> AsyncIterator[Sample]:
    """The orders of the database that ``session`` is in."""
    there = await columns(session, "sale_order", "stock_move")
    if not there["sale_order"]:
        return
    own = await odoo_probes.own_partners(session, options.exclude_partners)
    (heartbeat,) = await session.fetch(HEARTBEAT, own)
    yield RECENT(heartbeat["recent"])
    if heartbeat["last"] is not None:
        yield LAST(heartbeat["last"])
    if "sale_line_id" in there["stock_move"]:
        (stranded,) = await session.fetch(WITHOUT_DELIVERY, own, options.look_back, options.grace)
        yield UNDELIVERED(stranded["orders"])
        if stranded["oldest"] is not None:
            yield UNDELIVERED_OLDEST(stranded["oldest"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_orders",
    reads=TargetKind.POSTGRES,
    metrics=(RECENT, LAST, UNDELIVERED, UNDELIVERED_OLDEST),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=30.0,
    grants=GRANTS,
)
