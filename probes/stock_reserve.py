"""stock_reserve: the delivery of an order lets go of its goods and reserves them again; then all of it is undone.

The product is one whose stock is kept and that nobody sells: its stock is there for the probes alone. Which of the
reservations Odoo makes by itself depends on its settings, so the flow starts from a delivery without any. Nothing is
validated: the cancelled order gives the goods back, which is looked at, and can be erased.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Odoo, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import WrongResultError

from . import odoo_orders as orders
from . import odoo_pickings as pickings
from . import odoo_placing as placing
from . import odoo_stock as stock
from .odoo_references import resolve
from .odoo_risks import harmless


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(placing.Wanted):
    """What the flow orders, and for whom: the product is one of which stock is kept."""


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Order, confirm, let go of the goods, reserve them, and find them reserved in the stock as well."""
    async with tx.step("create"):
        product = await resolve(odoo, stock.PRODUCT, "default_code", options.product)
        await stock.require_storable(odoo, product)
        order = await placing.placed(odoo, options, tx, freed=lambda order: pickings.require_freed(odoo, order))
    async with tx.step("confirm"):
        order = await placing.confirmed(odoo, order)
    async with tx.step("release"):
        await pickings.release(odoo, order)
    async with tx.step("reserve"):
        picking = await _reserved(odoo, order, product, options.quantity)
        await stock.require_held(odoo, picking)


async def _reserved(odoo: Odoo, order: orders.Order, product: int, quantity: float) -> pickings.Picking:
    try:
        return await pickings.reserve(odoo, order)
    except WrongResultError:
        await stock.require_free(odoo, product, quantity)
        raise


async def check(odoo: Odoo, options: Options) -> AsyncIterator[str]:
    """Rights and records, and that stock of the product is kept."""
    findings = [finding async for finding in placing.check(odoo, options)]
    for finding in findings:
        yield finding
    if not findings:
        async for finding in stock.findings(odoo, options.product, options.quantity):
            yield finding


PROBE: Probe[Odoo, Options] = Probe(
    name="stock_reserve",
    flow="stock-reserve",
    transport=Transport.RPC,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("create", "confirm", "release", "reserve"),
    run=run,
    sweep=placing.sweep,
    check=check,
)
