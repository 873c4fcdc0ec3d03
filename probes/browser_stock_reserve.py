"""browser_stock_reserve: what stock_reserve does over RPC, done in the web client as a stock user does it.

The order is placed over RPC; its delivery is opened in the browser, lets go of its goods and reserves them again. What
was clicked is looked at over RPC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from quaywatch.contract import Odoo, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import WrongResultError

from . import odoo_orders as orders
from . import odoo_pickings as pickings
from . import odoo_placing as placing
from . import odoo_stock as stock
from .odoo_pages import Client, english, selectors_of, state, web_client
from .odoo_references import resolve
from .odoo_risks import harmless
from .stock_reserve import Options
from .stock_reserve import check as check_over_rpc

_RESERVE = "button[name=action_assign]:visible"
_RESERVED = state("assigned")
_SOLD = "sale_line_id"


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Order and confirm; open the delivery, let go of the goods, reserve them."""
    async with AsyncExitStack() as stack:
        async with tx.step("prepare"):
            client = await stack.enter_async_context(web_client(odoo, tx))
        async with tx.step("order"):
            order = await _confirmed(odoo, options, tx)
            picking = await pickings.of_order(odoo, order)
        async with tx.step("login"):
            await client.sign_in()
        async with tx.step("delivery"):
            await client.show(client.at.picking.format(id=picking.id), _RESERVE, _RESERVED)
        async with tx.step("release"):
            await _release(odoo, client, order)
        async with tx.step("reserve"):
            await client.click(_RESERVE)
            await client.see(_RESERVED)
            await stock.require_held(odoo, await pickings.of_order(odoo, order))


async def _confirmed(odoo: Odoo, options: Options, tx: Transaction) -> orders.Order:
    product = await resolve(odoo, stock.PRODUCT, "default_code", options.product)
    await stock.require_storable(odoo, product)
    order = await placing.placed(odoo, options, tx, freed=lambda order: pickings.require_freed(odoo, order))
    return await placing.confirmed(odoo, order)


async def _release(odoo: Odoo, client: Client, order: orders.Order) -> None:
    """Let go of the goods, where Odoo reserved them by itself."""
    if await client.see(_RESERVED, _RESERVE) == _RESERVED:
        await client.follow(client.at.unreserve)
    await client.see(_RESERVE)
    picking = await pickings.of_order(odoo, order)
    if not picking.is_free:
        raise WrongResultError(f"the delivery is {picking.state} and {picking.reserved:g} reserved after Unreserve")


async def check(odoo: Odoo, options: Options) -> AsyncIterator[str]:
    """What the same flow over RPC needs, the user's language, and that the page shows its forecast to this user."""
    findings = [finding async for finding in check_over_rpc(odoo, options)]
    for finding in findings:
        yield finding
    at = selectors_of(await odoo.version())
    async for finding in english(odoo, at.unreserve):
        yield finding
    if not findings and at.forecasts_all:
        async for finding in _hidden_orders(odoo, options):
            yield finding


async def _hidden_orders(odoo: Odoo, options: Options) -> AsyncIterator[str]:
    """A sentence when the product is on its way to orders that the user may not see."""
    product = await resolve(odoo, stock.PRODUCT, "default_code", options.product)
    going = [("product_id", "=", product), ("state", "not in", ["draft", "done", "cancel"]), (_SOLD, "!=", False)]
    moves = await odoo.call(pickings.MOVE, "search_count", going)
    seen = await odoo.call(pickings.MOVE, "search_count", [*going, (f"{_SOLD}.id", ">", 0)])
    if moves > seen:
        yield (
            f"{stock.PRODUCT} {product}: {moves - seen} open deliveries of it are of orders that the probe's user may"
            " not see, and Odoo shows an error instead of their forecast; keep a product for the probes alone"
        )


PROBE: Probe[Odoo, Options] = Probe(
    name="browser_stock_reserve",
    flow="stock-reserve",
    transport=Transport.BROWSER,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("prepare", "order", "login", "delivery", "release", "reserve"),
    run=run,
    sweep=placing.sweep,
    check=check,
    every=300.0,
    deadline=90.0,
)
