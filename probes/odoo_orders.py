"""Sales orders that bear a mark: how the probes find, cancel and erase them, the same on Odoo 14 to 19.

What differs between the versions is read from the fields a model has: ``locked`` (18 on; before, a locked order is in
the state ``done``) and ``picking_ids`` (where the module ``sale_stock`` is installed). What an action did is always
read back: Odoo answers yes without doing it (16 and 18 cancel an order only when told not to ask), and does it without
saying so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from quaywatch.contract import Odoo, Row, SweepOrder, Swept
from quaywatch.errors import FaultError, ParseError, VersionError, WrongResultError

from .odoo_names import LINE_DONE, called

ORDER = "sale.order"
PICKING = "stock.picking"
MARK = "client_order_ref"
CONFIRMED = frozenset({"sale", "done"})
"""States of a confirmed order; ``done`` is a confirmed and locked one before Odoo 18."""

_QUIETLY = {"disable_cancel_warning": True, "mail_activity_automation_skip": True}
"""Cancel without asking back (16 to 18), and without telling people by mail that goods were shipped already (14)."""
_FIELDS_OF_SOME_VERSIONS = frozenset({"locked", "picking_ids"})
_TIME = "%Y-%m-%d %H:%M:%S"
_LOTS = 10
"""How many lots of orders a sweep looks at, where Odoo refuses to undo all of the ones before."""

Domain = list[Any]


@dataclass(frozen=True, slots=True)
class Order:
    """A sales order as it was just read. ``pickings`` are the ids of its deliveries."""

    id: int
    mark: str
    state: str
    locked: bool
    pickings: tuple[int, ...]


def _order(row: Row) -> Order:
    pickings = tuple(row.get("picking_ids", ()))
    return Order(row["id"], row[MARK] or "", row["state"], bool(row.get("locked", False)), pickings)


async def find(odoo: Odoo, domain: Domain, *, limit: int = 100) -> list[Order]:
    """Orders that match a domain and this user may see, newest first."""
    known = await odoo.fields(ORDER)
    fields = [MARK, "state", *sorted(_FIELDS_OF_SOME_VERSIONS & known)]
    rows = await odoo.call(ORDER, "search_read", domain, fields=fields, limit=limit, order="id desc")
    return [_order(row) for row in rows]


async def marked(odoo: Odoo, mark: str) -> list[Order]:
    """All orders with exactly this mark, cancelled ones too.

    Looked at once more here: JSON-2 swallows a domain that it does not understand and answers with everybody's orders.
    """
    return [order for order in await find(odoo, [(MARK, "=", mark)]) if order.mark == mark]


async def act(odoo: Odoo, order: Order, method: str, into: frozenset[str], **context: Any) -> Order:
    """Call a method of an order and read the order back.

    Raises:
        WrongResultError: when it is in none of the states ``into`` afterwards, whatever the method answered.
    """
    answer = await odoo.call(ORDER, method, [order.id], context=context)
    found = await find(odoo, [("id", "=", order.id)])
    state = found[0].state if found else "gone"
    if state not in into:
        why = "a wizard asks back" if isinstance(answer, dict) else "the call reported no error"
        raise WrongResultError(f"the order is {state} after {method} instead of {' or '.join(sorted(into))}: {why}")
    return found[0]


async def cancel(odoo: Odoo, order: Order) -> None:
    """Cancel an order with its deliveries; unlock it first where a locked order refuses."""
    if order.state == "cancel":
        return
    if order.locked:
        await odoo.call(ORDER, "action_unlock", [order.id])
    await _forget_moved(odoo, order)
    await act(odoo, order, "action_cancel", frozenset({"cancel"}), **_QUIETLY)


async def _forget_moved(odoo: Odoo, order: Order) -> None:
    """Take back what was written as moved and is not: up to 16 a delivery cancelled with it could never be erased."""
    name = await called(odoo, LINE_DONE) if order.pickings else None
    if name is None:
        return
    open_lines = [("picking_id", "in", list(order.pickings)), ("state", "not in", ["done", "cancel"]), (name, "!=", 0)]
    rows = await odoo.call(LINE_DONE.model, "search_read", open_lines, fields=["id"])
    if rows:
        await odoo.call(LINE_DONE.model, "write", [row["id"] for row in rows], {name: 0})


async def erase(janitor: Odoo, order: Order) -> int:
    """Delete a cancelled order and, before it, its deliveries; answers how many records that were.

    Raises:
        WrongResultError: when a delivery was validated or a record is still there afterwards.
    """
    pickings = await _cancelled_pickings(janitor, order)
    await _delete(janitor, PICKING, pickings)
    await _delete(janitor, ORDER, [order.id])
    return len(pickings) + 1


async def is_shipped(odoo: Odoo, order: Order) -> bool:
    """Whether a delivery of an order was validated, so that Odoo keeps both for ever."""
    return "done" in await pickings(odoo, order)


async def _cancelled_pickings(janitor: Odoo, order: Order) -> list[int]:
    """The order's deliveries, made sure to be cancelled."""
    if not order.pickings:
        return []
    rows = await janitor.call(PICKING, "search_read", [("id", "in", list(order.pickings))], fields=["state"])
    if any(row["state"] == "done" for row in rows):
        raise WrongResultError("a delivery of the probe's order was validated: Odoo cannot erase it")
    alive = [row["id"] for row in rows if row["state"] != "cancel"]
    if alive:
        await janitor.call(PICKING, "action_cancel", alive)
    return [row["id"] for row in rows]


async def _delete(janitor: Odoo, model: str, ids: Sequence[int]) -> None:
    if not ids:
        return
    await janitor.call(model, "unlink", list(ids))
    left = await janitor.call(model, "search_count", [("id", "in", list(ids))])
    if left:
        raise WrongResultError(f"{left} of {len(ids)} records of {model} are still there after unlink")


async def pickings(odoo: Odoo, order: Order) -> list[str]:
    """The states of an order's deliveries.

    Raises:
        VersionError: when Odoo makes no deliveries from orders at all.
    """
    if "picking_ids" not in await odoo.fields(ORDER):
        raise VersionError(
            "orders have no deliveries here: the module sale_stock is not installed",
            remedy="install it, or set the probe's option expect_picking to false",
        )
    rows = await odoo.call(PICKING, "search_read", [("id", "in", list(order.pickings))], fields=["state"])
    return [row["state"] for row in rows]


# --- the sweep --------------------------------------------------------------------------------------------------------


async def server_time(odoo: Odoo) -> datetime:
    """The time of day (UTC, naive) at the Odoo server, whose clock dates the records: the default of an order's date.

    Raises:
        ParseError: when Odoo gives no such default.
    """
    answer = await odoo.call(ORDER, "default_get", ["date_order"])
    try:
        return datetime.strptime(answer["date_order"], _TIME)  # noqa: DTZ007 - Odoo's times are naive UTC
    except (KeyError, TypeError, ValueError) as error:
        raise ParseError("Odoo gave no usable default for an order's date") from error


@dataclass(frozen=True, slots=True)
class _Undoing:
    """A way to undo an order: ``go`` answers how many records that were, ``records`` how many it would be."""

    go: Callable[[Odoo, Order], Awaitable[int]]
    records: Callable[[Order], int]


async def sweep_orders(odoo: Odoo, order: SweepOrder) -> Swept:
    """Cancel what killed runs left and, as the janitor, erase it; then count what is still there.

    A record that Odoo refuses to undo is left and counted; any other trouble ends the sweep.
    """
    janitor = odoo.janitor()
    cutoff = await server_time(odoo) - timedelta(seconds=order.older_than)
    old: Domain = [(MARK, "=like", _escaped(order.prefix) + "%"), ("create_date", "<", cutoff.strftime(_TIME))]
    undone = await _sweep_each(odoo, [*old, ("state", "!=", "cancel")], order, _Undoing(_cancelled, lambda _: 1))
    user = janitor or odoo
    lasting = await _lasting(user, old)
    erased = 0
    if janitor is not None:
        erasing = _Undoing(_cancelled_and_erased, lambda found: len(found.pickings) + 1)
        erased = await _sweep_each(janitor, [*old, ("id", "not in", lasting)], order, erasing)
    residue, permanent = await _left(user, old, len(lasting))
    return Swept(undone=undone, erased=erased, residue=residue, permanent=permanent)


def _escaped(prefix: str) -> str:
    """A prefix for ``=like``, its own wildcards taken literally."""
    return prefix.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")


async def _cancelled(odoo: Odoo, found: Order) -> int:
    await cancel(odoo, found)
    return 1


async def _cancelled_and_erased(janitor: Odoo, found: Order) -> int:
    await cancel(janitor, found)
    return await erase(janitor, found)


async def _sweep_each(odoo: Odoo, domain: Domain, order: SweepOrder, undoing: _Undoing) -> int:
    """Undo each order found, and answer how many records that were; a dry run only counts them.

    Newest first, ``cap`` at a time. Where a whole such lot is refused the one before it has its turn: what Odoo refuses
    stays, is counted as residue, and hides nothing.
    """
    seen: list[int] = []
    while len(seen) < _LOTS * order.cap:
        lot = await find(odoo, [*domain, ("id", "not in", seen)], limit=order.cap)
        ours = [found for found in lot if found.mark.startswith(order.prefix)]
        if order.dry_run:
            return sum(undoing.records(found) for found in ours)
        done = sum([await _undone(odoo, found, undoing) for found in ours])
        if done or len(lot) < order.cap:
            return done
        seen += [found.id for found in lot]
    return 0


async def _undone(odoo: Odoo, found: Order, undoing: _Undoing) -> int:
    try:
        return await undoing.go(odoo, found)
    except (FaultError, WrongResultError):
        return 0  # this one stays; the others must not wait for it


async def _lasting(odoo: Odoo, old: Domain) -> list[int]:
    """The old orders of which a delivery was validated. Ids alone: they grow in number for ever."""
    if "picking_ids" not in await odoo.fields(ORDER):
        return []
    ids: list[int] = await odoo.call(ORDER, "search", [*old, ("picking_ids.state", "=", "done")])
    return ids


async def _left(odoo: Odoo, old: Domain, lasting: int) -> tuple[int, int]:
    """How many old records are there that could be erased, and how many that cannot: so many orders, and deliveries."""
    there = await odoo.call(ORDER, "search_count", old)
    if "picking_ids" not in await odoo.fields(ORDER):
        return there, 0
    there += await odoo.call(PICKING, "search_count", _through_order(old))
    validated = [*_through_order(old), ("state", "=", "done")]
    permanent = lasting + await odoo.call(PICKING, "search_count", validated)
    return there - permanent, permanent


def _through_order(domain: Domain) -> Domain:
    """A domain on orders as one on their deliveries."""
    return [(f"sale_id.{field}", operator, value) for field, operator, value in domain]
