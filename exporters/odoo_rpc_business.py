"""Sales orders and transfers over Odoo's RPC, for databases that cannot be read by SQL.

Off until it is turned on: Odoo answers a user with what that user may see, and a salesman sees no orders but his own.
The target's user must be in the groups Sales / All Documents and Inventory / User; without the first, nothing is
counted and the reading fails, since his own work would pass for everybody's.
`odoo_orders` and `odoo_pickings` tell more at less cost where the database can be reached. The probes' records are left
out as there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Kind, Metric, Odoo, Sample, TargetKind
from quaywatch.errors import PermissionDeniedError

from .odoo_probes import MARK, partners_option
from .odoo_rpc import Domain, ago, fields_of, in_group, oldest_age

RECENT = Metric(
    "odoo.rpc.orders.confirmed.recent",
    Kind.GAUGE,
    "{order}",
    "Orders confirmed within the last hour, but for the probes'.",
)
LAST = Metric(
    "odoo.rpc.orders.last.age",
    Kind.GAUGE,
    "s",
    "How long ago the last order was confirmed, but for the probes'. Absent when there never was one.",
)
OPEN = Metric(
    "odoo.rpc.pickings.open",
    Kind.UPDOWN,
    "{picking}",
    "Transfers to be done, waiting or ready, but for the probes'.",
    ("state",),
)
LATE = Metric(
    "odoo.rpc.pickings.late",
    Kind.UPDOWN,
    "{picking}",
    "Transfers to be done that were planned for longer ago than the configured allowance.",
    ("state",),
)

_ORDER, _PICKING = "sale.order", "stock.picking"
_ALL_DOCUMENTS = "sales_team.group_sale_salesman_all_leads"
_CONFIRMED = ["sale", "done"]
_HOUR = 3600.0
_STATES = {"waiting": ["waiting", "confirmed"], "ready": ["assigned"]}


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    exclude_partners: tuple[int | str, ...] = partners_option()
    late_after: float = field(
        default=3600.0, metadata={"help": "seconds past its planned time from which a transfer is late"}
    )


async def collect(odoo: Odoo, options: Options, _state: None) -> AsyncIterator[Sample]:
    """The orders and transfers of the database.

    Raises:
        PermissionDeniedError: when this user would see only a part of the orders.
    """
    if await fields_of(odoo, _ORDER):
        await _must_see_all(odoo)
        confirmed = [("state", "in", _CONFIRMED), ("date_order", "<=", ago()), *_business_orders(options)]
        yield RECENT(await odoo.call(_ORDER, "search_count", [("date_order", ">", ago(_HOUR)), *confirmed]))
        last = await oldest_age(odoo, _ORDER, confirmed, "date_order", newest=True)
        if last is not None:
            yield LAST(last)
    fields = await fields_of(odoo, _PICKING)
    for state, words in _STATES.items() if fields else ():
        mine = [("state", "in", words), *_business_pickings(options, of_sales="sale_id" in fields)]
        yield OPEN(await odoo.call(_PICKING, "search_count", mine), state)
        late = [("scheduled_date", "<", ago(options.late_after)), *mine]
        yield LATE(await odoo.call(_PICKING, "search_count", late), state)


async def _must_see_all(odoo: Odoo) -> None:
    if not await in_group(odoo, _ALL_DOCUMENTS):
        remedy = "put the target's user into the group Sales / User: All Documents"
        raise PermissionDeniedError("this user sees no orders but his own", remedy=remedy)


def _business_orders(options: Options) -> Domain:
    return [("client_order_ref", "not like", MARK), *_not_of(options.exclude_partners, "partner_id")]


def _business_pickings(options: Options, *, of_sales: bool) -> Domain:
    """Transfers of nobody's order, or of an order that is business; and not to an excluded partner, if to any."""
    domain = _unless_empty("partner_id", _not_of(options.exclude_partners, "partner_id"))
    if not of_sales:
        return domain
    order: Domain = [("sale_id.client_order_ref", "not like", MARK)]
    order += _not_of(options.exclude_partners, "sale_id.partner_id")
    return [*domain, *_unless_empty("sale_id", order)]


def _not_of(partners: Sequence[int | str], path: str) -> Domain:
    """Conditions that leave these partners out."""
    numbers = [one for one in partners if isinstance(one, int)]
    references = [one for one in partners if isinstance(one, str)]
    domain: Domain = [(path, "not in", numbers)] if numbers else []
    return [*domain, *((f"{path}.ref", "!=", reference) for reference in references)]


def _unless_empty(link: str, conditions: Domain) -> Domain:
    """Conditions on the other side of a link, also met where there is none: Odoo alone would take that for unmet."""
    if not conditions:
        return []
    return ["|", (link, "=", False), *(["&"] * (len(conditions) - 1)), *conditions]


EXPORTER: Exporter[Odoo, Options, None] = Exporter(
    name="odoo_rpc_business",
    reads=TargetKind.ODOO,
    metrics=(RECENT, LAST, OPEN, LATE),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=60.0,
    on=False,
    node_local=False,
)
