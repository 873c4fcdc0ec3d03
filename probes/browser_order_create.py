"""browser_order_create: what order_create does over RPC, done in the web client as a salesman does it.

Nothing is saved before the mark stands in the form, so that no order without it can be left behind. Undoing and
sweeping go over RPC. What a dead attempt of the same tick left is undone first: a form cannot go on with it.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import ClassVar

from quaywatch.contract import Odoo, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import WrongResultError

from . import odoo_orders as orders
from . import odoo_placing as placing
from .odoo_pages import Client, field, state, web_client
from .odoo_references import resolve
from .odoo_risks import harmless, require_untold
from .order_create import Options as OptionsOfRpc
from .order_create import has_delivery

_PARTNER = field("partner_id")
_MARK = field(orders.MARK)
_LINE = "[name=order_line] .o_selected_row"
_ADD_LINE = "[name=order_line] .o_field_x2many_list_row_add a:visible"
_SAVE = ".o_form_button_save:visible"
_CONFIRM = "button[name=action_confirm]:visible"
_CONFIRMED = state("sale")
_DELIVERY = "button[name=action_view_delivery]:visible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(OptionsOfRpc):
    """What the flow orders, and for whom."""

    as_person: ClassVar[bool] = True


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Log in, fill in a quotation, save it, confirm it, see its delivery."""
    async with AsyncExitStack() as stack:
        async with tx.step("prepare"):
            client = await stack.enter_async_context(web_client(odoo, tx))
            customer = await _named(odoo, "res.partner", "ref", options.partner)
            product = await _named(odoo, "product.product", "default_code", options.product)
            await placing.clear(odoo, tx.mark)
        async with tx.step("login"):
            await client.sign_in()
        async with tx.step("form"):
            await client.show(client.at.new_order, _PARTNER)
            await _fill(client, tx.mark, customer, product, options.quantity)
        async with tx.step("create"):
            placing.undo_by_mark(odoo, tx)
            await client.click(_SAVE)
            await client.see(client.at.saved)
            order = await _there(odoo, tx.mark)
        async with tx.step("confirm"):
            await require_untold(odoo, order.id, options)
            await client.click(_CONFIRM)
            await client.see(_CONFIRMED)
        if options.expect_picking:
            async with tx.step("picking"):
                await client.see(_DELIVERY)
                await has_delivery(odoo, await _there(odoo, tx.mark))


async def _named(odoo: Odoo, model: str, reference_field: str, reference: int | str) -> str:
    """The name of the record that an option names."""
    record = await resolve(odoo, model, reference_field, reference)
    rows = await odoo.call(model, "read", [record], ["name"])
    return str(rows[0]["name"])


async def _fill(client: Client, mark: str, customer: str, product: str, quantity: float) -> None:
    """Fill in a quotation, its mark first: from then on whatever Odoo saves bears it."""
    await client.turn_to("other_information", orders.MARK)
    await client.fill(_MARK, mark)
    await client.turn_to("order_lines", "order_line")
    await client.choose(_PARTNER, customer, customer)
    await client.click(_ADD_LINE)
    await client.choose(field(client.at.product, _LINE), product, product)
    if quantity != 1:
        await client.fill(field("product_uom_qty", _LINE), f"{quantity:g}")


async def _there(odoo: Odoo, mark: str) -> orders.Order:
    found = await orders.marked(odoo, mark)
    if not found:
        raise WrongResultError("the order is not there after the web client saved it")
    return found[0]


PROBE: Probe[Odoo, Options] = Probe(
    name="browser_order_create",
    flow="order-create",
    transport=Transport.BROWSER,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("prepare", "login", "form", "create", "confirm", "picking"),
    run=run,
    sweep=placing.sweep,
    check=placing.check,
    every=300.0,
    deadline=90.0,
)
