"""An Odoo in memory that an administrator prepares: records of any model, with the fields that the versions have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quaywatch.contract import Answer, Browser, Odoo
from quaywatch.errors import ConfigError, FaultError, PermissionDeniedError, VersionError
from tests.unit.probes.versions import FACTS

GROUPS = {
    "base.group_user": 1,
    "sales_team.group_sale_salesman": 2,
    "stock.group_stock_user": 3,
    "sales_team.group_sale_manager": 4,
    "stock.group_stock_manager": 5,
}
RULES = "base.automation"
STOCK = 8
"""The place that the warehouse delivers from."""

Record = dict[str, Any]


class FakeAdmin:
    """Implements `quaywatch.contract.Odoo` as far as preparing goes.

    ``refuses`` are models of which Odoo refuses to make records, ``forbids`` those that the user may not touch.
    """

    def __init__(self, version: int, *, has_rules: bool = True) -> None:
        self.number = version
        self.facts = FACTS[version]
        self.has_rules = has_rules
        self.refuses: set[str] = set()
        self.forbids: set[str] = set()
        self.writes: list[tuple[str, str]] = []
        self.tables: dict[str, dict[int, Record]] = {
            "stock.warehouse": {1: {"lot_stock_id": [STOCK, "WH/Stock"]}},
            "ir.model": {1: {"model": RULES}, 2: {"model": "ir.actions.server"}},
            "ir.model.data": {
                number: {"module": name.partition(".")[0], "name": name.partition(".")[2], "res_id": number}
                | {"model": "res.groups"}
                for name, number in GROUPS.items()
            },
        }

    @property
    def groups_field(self) -> str:
        """What this version calls a user's groups."""
        return "group_ids" if self.number >= 19 else "groups_id"

    @property
    def database(self) -> str:
        """The tenant database."""
        return "acme"

    async def version(self) -> int:
        """The major version."""
        return self.number

    async def fields(self, model: str) -> frozenset[str]:
        """What differs between versions."""
        if model == RULES and not self.has_rules:
            raise VersionError(f"there is no model {model}", code="2")
        names = {
            RULES: {"active", "name", *(["action_server_id"] if self.number <= 16 else ["action_server_ids"])},
            "res.users": {self.groups_field, "email", *(["all_group_ids"] if self.number >= 19 else [])},
            "res.partner": {"ref", "phone", "email", *(["mobile"] if self.number <= 18 else [])},
            "product.product": {"type", self.facts.storable[0]},
            "stock.quant": {"quantity", *(["inventory_quantity_set"] if self.number >= 15 else [])},
        }
        return frozenset(names[model])

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Do the work."""
        if model in self.forbids:
            raise PermissionDeniedError("you are not allowed", code="4")
        if method in ("create", "write", "action_apply_inventory"):
            self.writes.append((model, method))
        return getattr(self, f"_{method}")(model, *arguments, **keywords)

    def _search(self, model: str, domain: Sequence[tuple[str, str, Any]], **keywords: Any) -> list[int]:
        archived = not keywords.get("context", {}).get("active_test", True)
        table = self.tables.get(model, {})
        found = [key for key, row in table.items() if all(_fits(key, row, *leaf) for leaf in domain)]
        return [key for key in found if archived or table[key].get("active", True)][: keywords.get("limit")]

    def _search_count(self, model: str, domain: Sequence[tuple[str, str, Any]], **_keywords: Any) -> int:
        return len(self._search(model, domain))

    def _search_read(self, model: str, domain: Sequence[tuple[str, str, Any]], **keywords: Any) -> list[Record]:
        return self._read(model, self._search(model, domain, limit=keywords.get("limit")), keywords["fields"])

    def _read(self, model: str, ids: Sequence[int], fields: Sequence[str]) -> list[Record]:
        return [{"id": key, **{name: self._value(model, key, name) for name in fields}} for key in ids]

    def _value(self, model: str, key: int, name: str) -> Any:
        row = self.tables[model][key]
        return row.get(self.groups_field if name == "all_group_ids" else name, False)

    def _create(self, model: str, values: Record, context: Record | None = None) -> int:
        if model in self.refuses:
            raise FaultError("Odoo does not want that", code="2")
        if model == "stock.quant":
            return self._count_in(values, context or {})
        table = self.tables.setdefault(model, {})
        number = max(table, default=10) + 1
        table[number] = {name: _plain(value) for name, value in values.items()}
        return number

    def _count_in(self, values: Record, context: Record) -> int:
        """14 takes a count at once, later versions when it is applied; and neither but in this mode."""
        assert context == {"inventory_mode": True}
        quants = self.tables.setdefault("stock.quant", {})
        same = [key for key, row in quants.items() if row["product_id"] == values["product_id"]]
        number = same[0] if same else len(quants) + 1
        quants.setdefault(number, {**values, "quantity": 0.0})["inventory_quantity"] = values["inventory_quantity"]
        if self.number <= 14:
            self._action_apply_inventory("stock.quant", [number])
        return number

    def _action_apply_inventory(self, model: str, ids: Sequence[int]) -> None:
        for key in ids:
            self.tables[model][key]["quantity"] = self.tables[model][key]["inventory_quantity"]

    def _write(self, model: str, ids: Sequence[int], values: Record) -> bool:
        for key in ids:
            for name, value in values.items():
                row = self.tables[model][key]
                row[name] = row[name] + _plain(value) if isinstance(value, list) else value
        return True

    # --- what preparing does not need

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing is open."""

    async def log_in(self) -> int:
        """The administrator's id."""
        return 2

    async def log_in_web(self) -> int:
        """The administrator's id."""
        return 2

    async def report(self, *_arguments: Any, **_keywords: Any) -> bytes:
        """There is none."""
        raise FaultError("no report")

    async def get(self, path: str) -> Answer:
        """There is none."""
        raise FaultError(f"no page {path}")

    def janitor(self) -> Odoo | None:
        """There is none."""
        return None

    def browser(self) -> Browser:
        """There is none."""
        raise ConfigError("no browser")


def _fits(key: int, row: Record, name: str, operator: str, value: Any) -> bool:
    models = {1: RULES, 2: "ir.actions.server"}
    own = key if name == "id" else models[row["model_id"]] if name == "model_id.model" else row.get(name, False)
    if isinstance(own, list):
        return value in own
    return bool(own == value) if operator in ("=", "child_of") else bool(own in value)


def _plain(value: Any) -> Any:
    """What commands on a field of many records leave there."""
    if not isinstance(value, list):
        return value
    return [number for command in value for number in (command[2] if command[0] == 6 else [command[1]])]
