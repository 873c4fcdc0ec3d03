"""The stock of the Odoo in memory: deliveries, their moves and lines, and what lies where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quaywatch.errors import FaultError
from tests.unit.probes.versions import Facts

PLACE, ELSEWHERE = 50, 51

Record = dict[str, Any]
Tables = dict[str, dict[int, Record]]


class Stock:
    """What deliveries do, in the tables of the database and by the facts of its version."""

    def __init__(self, tables: Tables, facts: Facts) -> None:
        self._tables = tables
        self._facts = facts
        self.reserves_nothing = False
        """Answers True to reserving and reserves nothing, as Odoo does where nothing is in stock."""
        self.asks_back = False
        """Answers the validation with a wizard."""
        self.keeps_what_is_cancelled = False
        """A cancelled delivery holds its goods."""

    def deliver(self, picking: int, order: int, product: int, quantity: float, *, kept: bool) -> None:
        """A delivery for an order, reserved as far as there is stock."""
        self._tables["stock.picking"][picking] = {"sale_id": order, "state": "confirmed", "name": f"WH/OUT/{picking}"}
        self._tables["stock.move"][picking] = {
            "picking_id": picking,
            "product_id": product,
            "product_uom_qty": quantity,
            "state": "confirmed",
            "kept": kept,
            "reserved": 0.0,
            "done": 0.0,
        }
        self.action_assign([picking], {})

    def action_assign(self, pickings: Sequence[int], _context: Mapping[str, Any]) -> bool:
        """Reserve what is there; True whatever that is."""
        for picking, move in self._of(pickings):
            quant = self._quant(move["product_id"])
            free = quant["quantity"] - quant["reserved_quantity"] if move["kept"] else move["product_uom_qty"]
            if self.reserves_nothing or move["reserved"] or free < move["product_uom_qty"]:
                continue
            move["reserved"] = move["product_uom_qty"]
            quant["reserved_quantity"] += move["reserved"]
            line = {"picking_id": picking, "product_id": move["product_id"], "location_id": quant["location_id"]}
            self._tables["stock.move.line"][picking] = {**line, "state": "assigned", "qty_done": 0.0}
            self._become(picking, move, "assigned")
        return True

    def do_unreserve(self, pickings: Sequence[int], _context: Mapping[str, Any]) -> None:
        """Let go of everything."""
        for picking, move in self._of(pickings):
            self._let_go(picking, move)
            self._become(picking, move, "confirmed")

    def action_cancel(self, pickings: Sequence[int], _context: Mapping[str, Any]) -> bool:
        """Cancel what is not done."""
        for picking in pickings:
            record = self._tables["stock.picking"][picking]
            if record["state"] != "done":
                record["state"] = "cancel"
                move = self._tables["stock.move"].get(picking)
                if move and not self.keeps_what_is_cancelled:
                    self._let_go(picking, move)
        return True

    def button_validate(self, pickings: Sequence[int], context: Mapping[str, Any]) -> bool | Record:
        """Ship what was written as moved; since 17 what is reserved, where nothing was written."""
        for picking, move in self._of(pickings):
            moved = move["done"] or (move["reserved"] if self._facts.picked else 0)
            if self.asks_back or not (moved or context.get("skip_immediate")):
                return {"type": "ir.actions.act_window", "res_model": "stock.immediate.transfer"}
            if not moved and self._facts.picked:
                raise FaultError("You cannot validate a transfer if no quantities are reserved.", code="2")
            if moved:
                self._ship(picking, move, moved)
        return True

    def write(self, moves: Sequence[int], values: Mapping[str, Any]) -> bool:
        """What a person writes on a move."""
        for number in moves:
            self._tables["stock.move"][number]["done"] = values[self._facts.done]
            assert ("picked" in values) == self._facts.picked
            for line in self._lines(number):
                line["qty_done"] = values[self._facts.done]
        return True

    def write_lines(self, lines: Sequence[int], values: Mapping[str, Any]) -> bool:
        """What a person writes on a line."""
        for number in lines:
            self._tables["stock.move.line"][number].update(values)
            self._tables["stock.move"][number]["done"] = values["qty_done"]
        return True

    def refuse_to_delete(self, picking: int) -> None:
        """Up to 16 lines of which something was moved are neither let go of nor deleted."""
        if any(not self._facts.picked and line["qty_done"] for line in self._lines(picking)):
            raise FaultError("You can not delete product moves if the picking is done.", code="2")

    def _lines(self, picking: int) -> list[Record]:
        line = self._tables["stock.move.line"].get(picking)
        return [line] if line else []

    def value(self, move: Record, field: str) -> Any:
        """A field of a move, by its name in this version."""
        if field == self._facts.done and (not self._facts.picked or move["state"] == "done"):
            return move["done"]
        return move["reserved"] if field == self._facts.reserved else move[field]

    def _ship(self, picking: int, move: Record, moved: float) -> None:
        quant = self._quant(move["product_id"])
        quant["quantity"] -= moved
        quant["reserved_quantity"] -= move["reserved"]
        move.update(done=moved, reserved=0.0)
        self._become(picking, move, "done")

    def _let_go(self, picking: int, move: Record) -> None:
        self._quant(move["product_id"])["reserved_quantity"] -= move["reserved"]
        move["reserved"] = 0.0
        if self._facts.picked or not move["done"]:
            self._tables["stock.move.line"].pop(picking, None)

    def _become(self, picking: int, move: Record, state: str) -> None:
        move["state"] = state
        for line in self._lines(picking):
            line["state"] = state
        self._tables["stock.picking"][picking]["state"] = state

    def _of(self, pickings: Sequence[int]) -> Iterator[tuple[int, Record]]:
        return ((picking, self._tables["stock.move"][picking]) for picking in pickings)

    def _quant(self, product: int) -> Record:
        return next(quant for quant in self._tables["stock.quant"].values() if quant["product_id"] == product)
