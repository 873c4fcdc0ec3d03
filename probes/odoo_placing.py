"""An order of a run's own: placed once for each tick, found again by its mark, cancelled and erased afterwards.

What every flow begins with that needs an order, and how each of them ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from quaywatch.contract import Odoo, SweepOrder, Swept, Transaction
from quaywatch.errors import ConfigError, FaultError, WrongResultError

from . import odoo_orders as orders
from .odoo_checks import missing_rights, reachable_contact
from .odoo_hazards import TOUCHED
from .odoo_references import REFERENCES, resolve
from .odoo_risks import findings as risks_of

RIGHTS = {"sale.order": ("create", "read", "write"), "stock.picking": ("read",)}
JANITOR_GROUPS = "put the janitor into the groups Sales / Administrator and Inventory / Administrator"
JANITOR_RIGHTS = {"sale.order": ("unlink",), "stock.picking": ("unlink",)}

_TO_NOBODY = {"mail_auto_subscribe_no_notify": True}
"""Odoo mails nobody that the order is theirs."""

Afterwards = Callable[[orders.Order], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a flow orders, and for whom: the options that all these flows have."""

    partner: int | str = field(metadata={"help": "the permanent test customer: its id, or its Reference (field ref)"})
    product: int | str = field(
        metadata={"help": "the permanent test product: its id, or its Internal Reference (field default_code)"}
    )
    quantity: float = field(default=1.0, metadata={"help": "how many of the product a run orders, in its own unit"})
    accept_risks: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "what the orders may set off all the same, by the names that `quaywatch check` prints",
            "example": ["automation:12"],
        },
    )
    touches: ClassVar[frozenset[str]] = TOUCHED
    """The models of which an order makes or changes records."""
    ships: ClassVar[bool] = False
    """Whether the flow validates deliveries."""
    as_person: ClassVar[bool] = False
    """Whether the order is filled in as a person does it, so that Odoo chooses who is told of it."""

    def __post_init__(self) -> None:
        if self.quantity <= 0:
            raise ValueError("quantity: more than 0 is expected")


async def placed(
    odoo: Odoo,
    wanted: Wanted,
    tx: Transaction,
    *,
    freed: Afterwards | None = None,
    ships: bool = False,
) -> orders.Order:
    """The run's order, not yet confirmed: a new one, unless an attempt of the same tick left one alive.

    Its undoing is registered as soon as there can be something to undo, and not before: an Odoo that does not even
    answer the first question is not asked to undo anything.

    Args:
        odoo: the database, as the probe's user.
        wanted: what is ordered.
        tx: the run.
        freed: what must be true of the cancelled order, looked at before it is erased.
        ships: whether the run validates the delivery, which Odoo then keeps with its order; else both are erased.
    """
    alive = await _alive(odoo, tx.mark)
    values = {} if alive else await _values(odoo, wanted, tx.mark)
    undo_by_mark(odoo, tx, freed, ships=ships)  # before the call: Odoo may commit although its answer never arrives
    return alive[0] if alive else await _created(odoo, wanted, values)


async def _values(odoo: Odoo, wanted: Wanted, mark: str) -> dict[str, Any]:
    """Those of an order that belongs to no salesperson and to no team, so that nobody hears of it."""
    product = await REFERENCES.resolve(odoo, "product.product", "default_code", wanted.product)
    return {
        "user_id": False,
        "team_id": False,
        "partner_id": await REFERENCES.resolve(odoo, "res.partner", "ref", wanted.partner),
        orders.MARK: mark,
        "order_line": [(0, 0, {"product_id": product, "product_uom_qty": wanted.quantity})],
    }


async def _created(odoo: Odoo, wanted: Wanted, values: dict[str, Any]) -> orders.Order:
    try:
        await odoo.call(orders.ORDER, "create", values, context=_TO_NOBODY)
    except FaultError:
        REFERENCES.forget(odoo)
        await _check_references(odoo, wanted)
        raise
    found = await _alive(odoo, values[orders.MARK])
    if not found:
        raise WrongResultError("the order is not there after create reported no error")
    return found[0]


async def _alive(odoo: Odoo, mark: str) -> list[orders.Order]:
    """The orders of a mark but for cancelled ones, as an attempt of the same tick leaves them without a janitor."""
    return [order for order in await orders.marked(odoo, mark) if order.state != "cancel"]


async def _check_references(odoo: Odoo, wanted: Wanted) -> None:
    """Tell a wrong configuration from a broken Odoo after a create that failed.

    Raises:
        ConfigError: when a configured record does not exist or is not to be seen by the probe's user.
    """
    for model, reference_field, reference in (
        ("res.partner", "ref", wanted.partner),
        ("product.product", "default_code", wanted.product),
    ):
        record = await resolve(odoo, model, reference_field, reference)
        if not await odoo.call(model, "search_count", [("id", "=", record)], context={"active_test": False}):
            raise ConfigError(f"{model} {record}: the probe's user sees no such record")


async def confirmed(odoo: Odoo, order: orders.Order) -> orders.Order:
    """The order, confirmed; one that is so already is left alone."""
    if order.state in orders.CONFIRMED:
        return order
    return await orders.act(odoo, order, "action_confirm", orders.CONFIRMED)


def undo_by_mark(odoo: Odoo, tx: Transaction, freed: Afterwards | None = None, *, ships: bool = False) -> None:
    """Undo whatever bears the mark: also an order whose create was answered by nobody."""
    janitor = odoo.janitor()

    async def look(freed: Afterwards) -> None:
        for order in await orders.marked(odoo, tx.mark):
            await freed(order)

    if janitor is not None:
        tx.undo("erase", lambda: _erase(janitor, tx.mark, ships=ships))
    if freed is not None:
        tx.undo("freed", lambda: look(freed))
    tx.undo("cancel", lambda: _cancel(odoo, tx.mark))


async def clear(odoo: Odoo, mark: str) -> None:
    """Undo now what a dead attempt of the same tick left, as a flow does that cannot take it over."""
    await _cancel(odoo, mark)
    janitor = odoo.janitor()
    if janitor is not None:
        await _erase(janitor, mark)


async def _cancel(odoo: Odoo, mark: str) -> None:
    for order in await orders.marked(odoo, mark):
        await orders.cancel(odoo, order)


async def _erase(janitor: Odoo, mark: str, *, ships: bool = False) -> None:
    for order in await orders.marked(janitor, mark):
        if not (ships and await orders.is_shipped(janitor, order)):
            await orders.erase(janitor, order)


async def sweep(odoo: Odoo, _options: Wanted, order: SweepOrder) -> Swept:
    """Undo the orders that killed runs left."""
    return await orders.sweep_orders(odoo, order)


async def check(odoo: Odoo, options: Wanted) -> AsyncIterator[str]:
    """Rights, partner and product, as the runs will need them, and what their orders would set off."""
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
    async for finding in risks_of(odoo, options):
        yield finding


async def _record_findings(odoo: Odoo, model: str, reference_field: str, reference: int | str) -> AsyncIterator[str]:
    """What is wrong with a record that the configuration names."""
    try:
        record = await resolve(odoo, model, reference_field, reference)
    except ConfigError as error:
        yield str(error)
        return
    if not await odoo.call(model, "search_count", [("id", "=", record)]):
        yield f"{model} {record}: the probe's user sees no such active record; make it, or name another"
    elif model == "res.partner":
        async for finding in reachable_contact(odoo, record):
            yield finding
