"""An Odoo in memory: sales orders and their deliveries as the versions differ, and failures where they are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from quaywatch.contract import Answer, Browser
from quaywatch.errors import ConfigError, FaultError, PermissionDeniedError, TargetError

NOW = datetime(2026, 3, 1, 12, 0, 0)  # noqa: DTZ001 - Odoo's times are naive UTC
TIME = "%Y-%m-%d %H:%M:%S"
PARTNER, PRODUCT, SERVICE = 7, 11, 12

Record = dict[str, Any]


@dataclass
class Trouble:
    """What goes wrong: the call with this number, before or after its work is done, or every call from it on."""

    at: int
    error: Callable[[], TargetError]
    done_first: bool = False
    lasting: bool = False

    def hits(self, number: int) -> bool:
        """Whether this call is concerned."""
        return number == self.at or (self.lasting and number > self.at)


@dataclass
class Database:
    """The records, and what the version does with them."""

    version: int = 19
    tables: dict[str, dict[int, Record]] = field(
        default_factory=lambda: {
            "sale.order": {},
            "stock.picking": {},
            "res.partner": {PARTNER: {"ref": "PROBE"}},
            "product.product": {PRODUCT: {"default_code": "PROBE"}, SERVICE: {"default_code": "SERVICE"}},
        }
    )
    has_stock: bool = True
    locks_on_confirm: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    trouble: Trouble | None = None
    created: int = 0
    undeletable: set[int] = field(default_factory=set)
    forgets_questions: bool = False
    clock: Any = NOW

    @property
    def orders(self) -> dict[int, Record]:
        """All sales orders by id."""
        return self.tables["sale.order"]

    @property
    def pickings(self) -> dict[int, Record]:
        """All deliveries by id."""
        return self.tables["stock.picking"]

    def order(self, mark: str, *, age: float = 0, state: str = "draft", picking: str = "", **more: Any) -> int:
        """An order that somebody left, with a delivery in the state ``picking``."""
        self.created += 1
        number = self.created
        born = (self.clock - timedelta(seconds=age)).strftime(TIME)
        self.orders[number] = {"client_order_ref": mark, "state": state, "locked": False, "create_date": born, **more}
        if picking:
            self.pickings[1000 + number] = {"sale_id": number, "state": picking}
        return number


class FakeOdoo:
    """Implements `quaywatch.contract.Odoo`."""

    def __init__(self, database: Database, *, has_janitor: bool = True, may_delete: bool = False) -> None:
        self.db = database
        self._janitor = FakeOdoo(database, has_janitor=False, may_delete=True) if has_janitor else None
        self._may_delete = may_delete

    @property
    def database(self) -> str:
        """The tenant database."""
        return "acme"

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing is open."""

    async def version(self) -> int:
        """The major version."""
        return self.db.version

    async def fields(self, model: str) -> frozenset[str]:
        """What differs between versions and modules."""
        assert model == "sale.order"
        names = {"client_order_ref", "state", "create_date"}
        names |= {"locked"} if self.db.version >= 18 else set()
        return frozenset(names | ({"picking_ids"} if self.db.has_stock else set()))

    async def get(self, path: str) -> Answer:
        """No probe over RPC visits a page."""
        raise AssertionError(path)

    async def log_in(self) -> int:
        """Nobody asks for it."""
        raise NotImplementedError

    async def log_in_web(self) -> int:
        """Nobody asks for it."""
        raise NotImplementedError

    async def report(self, name: str, records: Sequence[int] = (), *, form: str = "pdf", options: Any = None) -> bytes:
        """Nobody asks for it."""
        raise NotImplementedError

    def browser(self) -> Browser:
        """There is none."""
        raise ConfigError("no browser")

    def janitor(self) -> FakeOdoo | None:
        """The same database as the user who may delete."""
        return self._janitor

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Do the work, unless told to fail."""
        self.db.calls.append((model, method))
        trouble = self.db.trouble
        hit = trouble is not None and trouble.hits(len(self.db.calls) - 1)
        if trouble is not None and hit and not trouble.done_first:
            raise trouble.error()
        answer = self._work(model, method, *arguments, **keywords)
        if trouble is not None and hit:
            raise trouble.error()
        return answer

    def _work(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        if method.startswith("search"):
            found = self._found(model, arguments[0])[: keywords.get("limit")]
            return len(found) if method == "search_count" else self._read(model, found, keywords["fields"])
        if method == "default_get":
            return {"date_order": self.db.clock.strftime(TIME)}
        if method == "create":
            return self._create(arguments[0])
        if method == "unlink":
            return self._unlink(model, arguments[0])
        if model == "stock.picking":
            return self._cancel_pickings(arguments[0])
        (order_id,) = arguments[0]
        return getattr(self, f"_{method}")(self.db.orders[order_id], order_id, keywords.get("context", {}))

    # --- reading

    def _found(self, model: str, domain: Sequence[tuple[str, str, Any]]) -> list[int]:
        table = self.db.tables[model]
        asked = () if self.db.forgets_questions else domain
        matching = [key for key in table if all(self._fits(model, key, *leaf) for leaf in asked)]
        return sorted(matching, reverse=True)

    def _fits(self, model: str, key: int, name: str, operator: str, value: Any) -> bool:
        record = self.db.tables[model][key]
        if name.startswith("sale_id."):
            sale = record["sale_id"]
            return sale in self.db.orders and self._fits("sale.order", sale, name[8:], operator, value)
        own = key if name == "id" else record[name]
        if operator == "=like":
            return fnmatchcase(str(own or ""), _glob(value))
        return bool(_OPERATORS[operator](own, value))

    def _read(self, model: str, keys: Sequence[int], fields: Sequence[str]) -> list[Record]:
        return [{"id": key, **{name: self._value(model, key, name) for name in fields}} for key in keys]

    def _value(self, model: str, key: int, name: str) -> Any:
        if name == "id":
            return key
        if name == "picking_ids":
            return [number for number, picking in self.db.pickings.items() if picking["sale_id"] == key]
        value = self.db.tables[model][key][name]
        return [value, "S0001"] if name == "sale_id" else value

    # --- writing

    def _create(self, values: Record) -> int:
        (_, _, line) = values["order_line"][0]
        if values["partner_id"] not in self.db.tables["res.partner"] or line["product_id"] not in (PRODUCT, SERVICE):
            raise FaultError("Record does not exist or has been deleted.", code="2")
        return self.db.order(values["client_order_ref"], product=line["product_id"])

    def _action_confirm(self, order: Record, key: int, _context: Record) -> bool:
        if order["state"] != "draft" and self.db.version >= 18:
            raise FaultError("Some orders are not in a state requiring confirmation.", code="2")
        order["state"] = "sale"
        if self.db.locks_on_confirm:
            order.update({"locked": True} if self.db.version >= 18 else {"state": "done"})
        if self.db.has_stock and order["product"] == PRODUCT:
            self.db.pickings[1000 + key] = {"sale_id": key, "state": "assigned"}
        return True

    def _action_cancel(self, order: Record, key: int, context: Record) -> bool | Record:
        if order["locked"]:
            raise FaultError("You cannot cancel a locked order. Please unlock it first.", code="2")
        if self.db.version in (16, 18) and not context.get("disable_cancel_warning") and order["state"] != "draft":
            return {"type": "ir.actions.act_window", "res_model": "sale.order.cancel"}
        order["state"] = "cancel"
        self._cancel_pickings([number for number, picking in self.db.pickings.items() if picking["sale_id"] == key])
        return True

    def _action_unlock(self, order: Record, _key: int, _context: Record) -> None:
        order["locked"] = False

    def _cancel_pickings(self, keys: Sequence[int]) -> None:
        for key in keys:
            if self.db.pickings[key]["state"] != "done":
                self.db.pickings[key]["state"] = "cancel"

    def _unlink(self, model: str, keys: Sequence[int]) -> bool:
        table = self.db.tables[model]
        if not self._may_delete:
            raise PermissionDeniedError("You are not allowed to delete", code="4")
        if self.db.undeletable & set(keys) or any(table[key]["state"] not in ("draft", "cancel") for key in keys):
            raise FaultError("You can not delete a confirmed sales order.", code="2")
        for key in keys:
            del table[key]
        return True


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda own, value: own == value,
    "!=": lambda own, value: own != value,
    "<": lambda own, value: own < value,
    "in": lambda own, value: own in value,
    "not in": lambda own, value: own not in value,
}


def _glob(pattern: str) -> str:
    """An SQL pattern as a glob; a backslash takes the next character's meaning away."""
    glob, rest = "", iter(pattern)
    for character in rest:
        glob += next(rest) if character == "\\" else {"%": "*", "_": "?"}.get(character, character)
    return glob
