"""shipment_confirm: the delivery of an order is validated, from a place of the probes' own.

This is the one flow that cannot be undone: Odoo keeps a validated delivery, its moves and their valuation, and the
order, which is cancelled, for ever. So it runs four times a day, of a product and from a place that are there for the
probes alone, and what it leaves is counted as permanent. The stock grows less with each run; an administrator brings in
more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import ClassVar, Final

from quaywatch.contract import Odoo, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import ConfigError, WrongResultError

from . import odoo_orders as orders
from . import odoo_pickings as pickings
from . import odoo_placing as placing
from . import odoo_stock as stock
from .odoo_references import resolve
from .odoo_risks import harmless, require_unpaid

LOCATION: Final = "stock.location"
SIX_HOURS: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(placing.Wanted):
    """What the flow ships, to whom, and from where."""

    location: int | str = field(
        metadata={"help": "the place that the goods are taken from, kept for the probes: its id, or its Barcode"}
    )
    ships: ClassVar[bool] = True


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Order, confirm, reserve, and validate what is reserved in the right place."""
    async with tx.step("create"):
        place = await resolve(odoo, LOCATION, "barcode", options.location)
        order = await placing.placed(odoo, options, tx, ships=True)
    async with tx.step("confirm"):
        order = await placing.confirmed(odoo, order)
    async with tx.step("reserve"):
        picking = await reserved(odoo, order, options)
    async with tx.step("validate"):
        if picking.state != "done":
            await pickings.require_from(odoo, picking, place)
            await require_unpaid(odoo, picking.id, options)
            await pickings.ship(odoo, picking)


async def reserved(odoo: Odoo, order: orders.Order, options: Options) -> pickings.Picking:
    """The order's delivery, ready to go; or gone already, with an attempt of the same tick.

    Raises:
        WrongResultError: when not all of it can be reserved.
        ConfigError: when that is because there is no stock.
    """
    picking = await pickings.of_order(odoo, order)
    if picking.state == "done":
        return picking
    try:
        return await pickings.reserve(odoo, order)
    except WrongResultError:
        product = await resolve(odoo, stock.PRODUCT, "default_code", options.product)
        await stock.require_free(odoo, product, options.quantity)
        raise


async def check(odoo: Odoo, options: Options) -> AsyncIterator[str]:
    """Rights and records, the place, and that there is stock."""
    findings = [finding async for finding in placing.check(odoo, options)]
    for finding in findings:
        yield finding
    try:
        await resolve(odoo, LOCATION, "barcode", options.location)
    except ConfigError as error:
        yield str(error)
    if not findings:
        async for finding in stock.findings(odoo, options.product, options.quantity):
            yield finding


PROBE: Probe[Odoo, Options] = Probe(
    name="shipment_confirm",
    flow="shipment-confirm",
    transport=Transport.RPC,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("create", "confirm", "reserve", "validate"),
    run=run,
    sweep=placing.sweep,
    check=check,
    every=SIX_HOURS,
)
