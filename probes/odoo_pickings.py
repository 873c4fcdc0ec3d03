"""The deliveries of a probe's order: what of them is reserved and moved, and how that is changed.

Odoo's answers prove nothing here: it answers True to reserving what is not in stock, and to validating what nobody
picked. So each act is followed by reading. Only moves and lines of deliveries of the given order are ever touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from quaywatch.contract import Odoo
from quaywatch.errors import ConfigError, WrongResultError

from .odoo_names import DONE, PICKED, RESERVED, called, certainly_called
from .odoo_orders import PICKING, Order

MOVE: Final = "stock.move"
LINE: Final = "stock.move.line"
_WITHOUT_ASKING: Final = {"skip_sms": True, "skip_backorder": True, "skip_immediate": True}
"""Keys that keep the validation from answering with a wizard instead of doing it; harmless where unknown."""
TOLERANCE: Final = 0.0001
"""Quantities are floats, rounded by their unit."""


@dataclass(frozen=True, slots=True)
class Picking:
    """A delivery as it was just read.

    ``demand``, ``reserved`` and ``lines`` are summed over its moves that are not cancelled; ``lines`` counts the places
    that goods are taken from.
    """

    id: int
    name: str
    state: str
    demand: float
    reserved: float
    lines: int

    @property
    def is_reserved(self) -> bool:
        """Whether all that is wanted is reserved, by state, quantity and place."""
        return self.state == "assigned" and abs(self.reserved - self.demand) < TOLERANCE and self.lines > 0

    @property
    def is_free(self) -> bool:
        """Whether nothing is reserved."""
        return self.state != "assigned" and abs(self.reserved) < TOLERANCE and self.lines == 0


async def of_order(odoo: Odoo, order: Order) -> Picking:
    """The one delivery of an order.

    Raises:
        WrongResultError: when there is none, or several.
    """
    rows = await odoo.call(PICKING, "search_read", [("id", "in", list(order.pickings))], fields=["name", "state"])
    if len(rows) != 1:
        remedy = "a product that is kept in stock, shipped in one step, makes exactly one"
        raise WrongResultError(f"the confirmed order has {len(rows)} deliveries", remedy=remedy)
    (row,) = rows
    moves = await _moves(odoo, row["id"])
    reserved = await certainly_called(odoo, RESERVED)
    return Picking(
        id=row["id"],
        name=row["name"],
        state=row["state"],
        demand=sum(move["product_uom_qty"] for move in moves),
        reserved=sum(move[reserved] for move in moves),
        lines=await odoo.call(LINE, "search_count", [("picking_id", "=", row["id"]), ("state", "!=", "cancel")]),
    )


async def _moves(odoo: Odoo, picking: int) -> Any:
    fields = ["product_uom_qty", await certainly_called(odoo, RESERVED)]
    return await odoo.call(
        MOVE, "search_read", [("picking_id", "=", picking), ("state", "!=", "cancel")], fields=fields
    )


async def release(odoo: Odoo, order: Order) -> Picking:
    """Let go of what the order's delivery reserves.

    Raises:
        WrongResultError: when something is reserved afterwards.
    """
    before = await of_order(odoo, order)
    if not before.is_free:
        await odoo.call(PICKING, "do_unreserve", [before.id])
    after = await of_order(odoo, order)
    if not after.is_free:
        raise WrongResultError(f"the delivery is {after.state} and {after.reserved:g} reserved after do_unreserve")
    return after


async def reserve(odoo: Odoo, order: Order) -> Picking:
    """Reserve all that the order's delivery needs.

    Raises:
        WrongResultError: when not all of it is reserved afterwards.
    """
    before = await of_order(odoo, order)
    if not before.is_reserved:
        await odoo.call(PICKING, "action_assign", [before.id])
    after = await of_order(odoo, order)
    if not after.is_reserved:
        what = f"the delivery is {after.state} and {after.reserved:g} of {after.demand:g} reserved after action_assign"
        raise WrongResultError(what)
    return after


async def require_from(odoo: Odoo, picking: Picking, place: int) -> None:
    """Nothing, if a delivery takes its goods from this place, or from one inside it.

    Raises:
        ConfigError: when it takes some from elsewhere.
    """
    elsewhere = [("picking_id", "=", picking.id), "!", ("location_id", "child_of", place)]
    lines = await odoo.call(LINE, "search_count", elsewhere)
    if lines:
        raise ConfigError(
            f"{lines} of {picking.lines} lines of the delivery take goods from another place than {place}"
        )


async def ship(odoo: Odoo, picking: Picking) -> None:
    """Validate a delivery, all that is wanted of it moved.

    Raises:
        WrongResultError: when it is not done afterwards, or something else was moved.
    """
    done = await certainly_called(odoo, DONE)
    picked = {name: True for name in [await called(odoo, PICKED)] if name}
    for move in await _moves(odoo, picking.id):
        await odoo.call(MOVE, "write", [move["id"]], {done: move["product_uom_qty"], **picked})
    answer = await odoo.call(PICKING, "button_validate", [picking.id], context=_WITHOUT_ASKING)
    (row,) = await odoo.call(PICKING, "search_read", [("id", "=", picking.id)], fields=["state"])
    if row["state"] != "done":
        why = "a wizard asks back" if isinstance(answer, dict) else "the call reported no error"
        raise WrongResultError(f"the delivery is {row['state']} after button_validate: {why}")
    await _require_moved(odoo, picking, done)


async def _require_moved(odoo: Odoo, picking: Picking, done: str) -> None:
    domain = [("picking_id", "=", picking.id), ("state", "=", "done")]
    moved = sum(move[done] for move in await odoo.call(MOVE, "search_read", domain, fields=[done]))
    if abs(moved - picking.demand) > TOLERANCE:
        raise WrongResultError(f"{moved:g} of {picking.demand:g} were moved by a delivery that is done")


async def require_freed(odoo: Odoo, order: Order) -> None:
    """Nothing, if the cancelled order's deliveries hold no goods any more.

    Raises:
        WrongResultError: when they do.
    """
    if order.pickings and await odoo.call(LINE, "search_count", [("picking_id", "in", list(order.pickings))]):
        raise WrongResultError("the deliveries of the cancelled order still hold goods")
