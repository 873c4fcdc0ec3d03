"""order_create: a sales order is created and confirmed, and its delivery appears; then all of it is undone.

One permanent partner and one permanent product, made once by an administrator, serve every run; the partner has neither
phone nor e-mail, so that nothing is ever sent. The probe's user is a salesman; the optional janitor, who may delete, is
a sales and a stock manager. Nothing is validated, so a run can be erased completely.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quaywatch.contract import Odoo, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import WrongResultError

from . import odoo_orders as orders
from . import odoo_placing as placing
from .odoo_risks import harmless


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(placing.Wanted):
    """What the flow orders, and for whom."""

    expect_picking: bool = field(
        default=True, metadata={"help": "whether a confirmed order makes a delivery; false for a service"}
    )


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Create, confirm, see the delivery."""
    async with tx.step("create"):
        order = await placing.placed(odoo, options, tx)
    async with tx.step("confirm"):
        order = await placing.confirmed(odoo, order)
    if options.expect_picking:
        async with tx.step("picking"):
            await has_delivery(odoo, order)


async def has_delivery(odoo: Odoo, order: orders.Order) -> None:
    """Nothing, when a confirmed order has a live delivery.

    Raises:
        WrongResultError: when it has none, or a cancelled one.
    """
    states = await orders.pickings(odoo, order)
    if not states:
        raise WrongResultError(
            "the confirmed order has no delivery",
            remedy="is the product a service? then set the probe's option expect_picking to false",
        )
    if "cancel" in states:
        raise WrongResultError("the delivery of the confirmed order is cancelled")


PROBE: Probe[Odoo, Options] = Probe(
    name="order_create",
    flow="order-create",
    transport=Transport.RPC,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("create", "confirm", "picking"),
    run=run,
    sweep=placing.sweep,
    check=placing.check,
)
