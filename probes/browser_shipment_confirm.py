"""browser_shipment_confirm: what shipment_confirm does over RPC, validated in the web client as a stock user does it.

It cannot be undone either, and so runs as seldom. The order is placed and its goods are reserved over RPC, which looks
at the place they come from before anything is validated, and at what was moved afterwards.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from quaywatch.contract import Odoo, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import WrongResultError

from . import odoo_orders as orders
from . import odoo_pickings as pickings
from . import odoo_placing as placing
from .odoo_pages import state, web_client
from .odoo_references import resolve
from .odoo_risks import harmless, require_unpaid
from .shipment_confirm import LOCATION, SIX_HOURS, Options, check, reserved

_VALIDATE = "button[name=button_validate]:visible"
_ALL_OF_IT = ".modal button[name=process]:visible"
"""Up to 16 Odoo asks whether all is meant when nothing was counted."""
_DONE = state("done")


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Order, confirm and reserve; open the delivery and validate it."""
    async with AsyncExitStack() as stack:
        async with tx.step("prepare"):
            client = await stack.enter_async_context(web_client(odoo, tx))
        async with tx.step("order"):
            order, picking = await _ready(odoo, options, tx)
        async with tx.step("login"):
            await client.sign_in()
        async with tx.step("delivery"):
            found = await client.show(client.at.picking.format(id=picking.id), _DONE, _VALIDATE)
        async with tx.step("validate"):
            if found == _VALIDATE:
                await client.click(_VALIDATE)
                found = await client.see(_DONE, _ALL_OF_IT)
            if found == _ALL_OF_IT:
                await client.click(_ALL_OF_IT)
                await client.see(_DONE)
            await _require_shipped(odoo, order)


async def _ready(odoo: Odoo, options: Options, tx: Transaction) -> tuple[orders.Order, pickings.Picking]:
    place = await resolve(odoo, LOCATION, "barcode", options.location)
    order = await placing.confirmed(odoo, await placing.placed(odoo, options, tx, ships=True))
    picking = await reserved(odoo, order, options)
    await pickings.require_from(odoo, picking, place)
    await require_unpaid(odoo, picking.id, options)
    return order, picking


async def _require_shipped(odoo: Odoo, order: orders.Order) -> None:
    if not await orders.is_shipped(odoo, order):
        raise WrongResultError("the web client shows the delivery as done, and it is not")


PROBE: Probe[Odoo, Options] = Probe(
    name="browser_shipment_confirm",
    flow="shipment-confirm",
    transport=Transport.BROWSER,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("prepare", "order", "login", "delivery", "validate"),
    run=run,
    sweep=placing.sweep,
    check=check,
    every=SIX_HOURS,
    deadline=90.0,
)
