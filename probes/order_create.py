"""order_create: a sales order is created and confirmed, and its delivery appears; then all of it is undone.

One permanent partner and one permanent product, made once by an administrator, serve every run; the partner has neither
phone nor e-mail, so that nothing is ever sent. The probe's user is a salesman; the optional janitor, who may delete, is
a sales and a stock manager. Nothing is validated, so a run can be erased completely.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from quaywatch.contract import Odoo, Probe, SweepOrder, Swept, TargetKind, Transaction, Transport
from quaywatch.errors import ConfigError, FaultError, WrongResultError

from . import odoo_orders as orders
from .odoo_checks import missing_rights, reachable_contact

RIGHTS = {"sale.order": ("create", "read", "write"), "stock.picking": ("read",)}
JANITOR_GROUPS = "put the janitor into the groups Sales / Administrator and Inventory / Administrator"
JANITOR_RIGHTS = {"sale.order": ("unlink",), "stock.picking": ("unlink",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the flow orders, and for whom."""

    partner: int | str = field(metadata={"help": "the permanent test customer: its id, or its Reference (field ref)"})
    product: int | str = field(
        metadata={"help": "the permanent test product: its id, or its Internal Reference (field default_code)"}
    )
    quantity: float = field(default=1.0, metadata={"help": "how many of the product a run orders, in its own unit"})
    expect_picking: bool = field(
        default=True, metadata={"help": "whether a confirmed order makes a delivery; false for a service"}
    )

    def __post_init__(self) -> None:
        if self.quantity <= 0:
            raise ValueError("quantity: more than 0 is expected")


async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Create, confirm, see the delivery."""
    async with tx.step("create"):
        order = await _existing(odoo, tx) or await _created(odoo, options, tx)
    async with tx.step("confirm"):
        order = await _confirmed(odoo, order)
    if options.expect_picking:
        async with tx.step("picking"):
            await _has_delivery(odoo, order)


async def _existing(odoo: Odoo, tx: Transaction) -> orders.Order | None:
    """The live order of this very tick, left by an attempt that died or by another agent: taken over, not doubled."""
    alive = [order for order in await orders.marked(odoo, tx.mark) if order.state != "cancel"]
    if alive:
        _register_undo(odoo, tx)
    return alive[0] if alive else None


async def _created(odoo: Odoo, options: Options, tx: Transaction) -> orders.Order:
    values = await _values(odoo, options, tx.mark)
    _register_undo(odoo, tx)  # before the call: Odoo may commit although its answer never arrives
    try:
        await odoo.call(orders.ORDER, "create", values)
    except FaultError:
        await _check_references(odoo, options)
        raise
    found = await orders.marked(odoo, tx.mark)
    if not found:
        raise WrongResultError("the order is not there after create reported no error")
    return found[0]


async def _values(odoo: Odoo, options: Options, mark: str) -> dict[str, Any]:
    product = await _resolve(odoo, "product.product", "default_code", options.product)
    return {
        "partner_id": await _resolve(odoo, "res.partner", "ref", options.partner),
        orders.MARK: mark,
        "order_line": [(0, 0, {"product_id": product, "product_uom_qty": options.quantity})],
    }


async def _resolve(odoo: Odoo, model: str, reference_field: str, reference: int | str) -> int:
    """The id of the record that an option names."""
    if isinstance(reference, int):
        return reference
    rows = await odoo.call(model, "search_read", [(reference_field, "=", reference)], fields=["id"], limit=2)
    if len(rows) != 1:
        found = "no record has it" if not rows else "several records have it"
        raise ConfigError(f"{model} with the {reference_field} {reference!r}: {found}, exactly one is expected")
    return int(rows[0]["id"])


async def _check_references(odoo: Odoo, options: Options) -> None:
    """Tell a wrong configuration from a broken Odoo after a create that failed.

    Raises:
        ConfigError: when a configured id does not exist or is not to be seen by the probe's user.
    """
    for model, reference in (("res.partner", options.partner), ("product.product", options.product)):
        if isinstance(reference, int) and not await odoo.call(
            model, "search_count", [("id", "=", reference)], context={"active_test": False}
        ):
            raise ConfigError(f"{model} {reference}: the probe's user sees no such record")


async def _confirmed(odoo: Odoo, order: orders.Order) -> orders.Order:
    if order.state in orders.CONFIRMED:
        return order
    return await orders.act(odoo, order, "action_confirm", orders.CONFIRMED)


async def _has_delivery(odoo: Odoo, order: orders.Order) -> None:
    states = await orders.pickings(odoo, order)
    if not states:
        raise WrongResultError(
            "the confirmed order has no delivery",
            remedy="is the product a service? then set the probe's option expect_picking to false",
        )
    if "cancel" in states:
        raise WrongResultError("the delivery of the confirmed order is cancelled")


def _register_undo(odoo: Odoo, tx: Transaction) -> None:
    """Undo whatever bears the mark: also an order whose create was answered by nobody."""
    janitor = odoo.janitor()

    async def cancel() -> None:
        for order in await orders.marked(odoo, tx.mark):
            await orders.cancel(odoo, order)

    async def erase(janitor: Odoo) -> None:
        for order in await orders.marked(janitor, tx.mark):
            await orders.erase(janitor, order)

    if janitor is not None:
        tx.undo("erase", lambda: erase(janitor))
    tx.undo("cancel", cancel)


async def sweep(odoo: Odoo, _options: Options, order: SweepOrder) -> Swept:
    """Undo the orders that killed runs left."""
    return await orders.sweep_orders(odoo, order)


async def check(odoo: Odoo, options: Options) -> AsyncIterator[str]:
    """Rights, partner and product, as the runs will need them."""
    async for finding in missing_rights(odoo, RIGHTS, "put it into the group Sales / User"):
        yield finding
    janitor = odoo.janitor()
    if janitor is not None:
        async for finding in missing_rights(janitor, JANITOR_RIGHTS, JANITOR_GROUPS):
            yield finding
    for model, reference_field, reference in (
        ("res.partner", "ref", options.partner),
        ("product.product", "default_code", options.product),
    ):
        async for finding in _record_findings(odoo, model, reference_field, reference):
            yield finding


async def _record_findings(odoo: Odoo, model: str, reference_field: str, reference: int | str) -> AsyncIterator[str]:
    """What is wrong with a record that the configuration names."""
    try:
        record = await _resolve(odoo, model, reference_field, reference)
    except ConfigError as error:
        yield str(error)
        return
    if not await odoo.call(model, "search_count", [("id", "=", record)]):
        yield f"{model} {record}: the probe's user sees no such active record; make it, or name another"
    elif model == "res.partner":
        async for finding in reachable_contact(odoo, record):
            yield finding


PROBE: Probe[Odoo, Options] = Probe(
    name="order_create",
    flow="order-create",
    transport=Transport.RPC,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("create", "confirm", "picking"),
    run=run,
    sweep=sweep,
    check=check,
)
