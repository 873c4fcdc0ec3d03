"""What an order of a product makes Odoo bring in: purchases, productions and transfers that no cancelling takes back.

Odoo looks for a rule by which goods get to the customer: among the product's routes, its category's, the warehouses'.
Such a rule takes them from stock, or orders them from the place before, where the same begins again, until they are
bought, made or sent for. Here every rule that it might find is followed, whichever it would choose. Beside that a
reordering rule brings goods in as soon as an order makes their forecast fall below a minimum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from quaywatch.contract import Odoo, Row

from .odoo_hazards import PARTNER, Risk
from .odoo_names import RULE_LEADS_TO, certainly_called

PRODUCT: Final = "product.product"
WAREHOUSE: Final = "stock.warehouse"
ROUTING: Final = "stock.rule"
PLACE: Final = "stock.location"
ORDERPOINT: Final = "stock.warehouse.orderpoint"
_OWN: Final = "route_ids"
_OF_CATEGORY: Final = "route_from_categ_ids"
"""The routes of a product's category and of all above it."""
_CUSTOMERS: Final = "property_stock_customer"
_MOVING: Final = frozenset({"pull", "pull_push"})
"""What a rule does that only moves goods; any other that leads to a place buys or makes them."""
_FROM_STOCK: Final = "make_to_stock"
_SERVICES: Final[Mapping[str, str]] = {"service_to_purchase": "a purchase", "service_tracking": "a task or a project"}
"""Fields of a service of which an order makes more than an order, and what."""
_UNUSED: Final = (False, "no")


async def supplies(odoo: Odoo, product: int, partner: int) -> list[Risk]:
    """The routes by which a confirmed order has something bought, made or ordered elsewhere, and services that are."""
    fields = await odoo.fields(PRODUCT)
    asked = [name for name in (_OWN, _OF_CATEGORY, *_SERVICES) if name in fields]
    (row,) = await _read(odoo, PRODUCT, product, asked) or ({},)
    used = [name for name in _SERVICES if row.get(name, False) not in _UNUSED]
    risks = [Risk(f"service:{product}", _of_service(name)) for name in used]
    return risks + await _routes(odoo, row, partner) if _OWN in row else risks


def _of_service(name: str) -> str:
    return f"Odoo makes {_SERVICES[name]} of a confirmed order of this service, and cancelling does not take it back"


async def _routes(odoo: Odoo, product: Row, partner: int) -> list[Risk]:
    warehouses = await odoo.call(WAREHOUSE, "search_read", [], fields=[_OWN])
    routes = {*product[_OWN], *product.get(_OF_CATEGORY, ()), *(route for row in warehouses for route in row[_OWN])}
    search = _Search(odoo, sorted(routes), await certainly_called(odoo, RULE_LEADS_TO))
    for row in await _read(odoo, PARTNER, partner, [_CUSTOMERS]):
        await search.follow(row[_CUSTOMERS][0])
    return list(search.found.values())


async def _read(odoo: Odoo, model: str, record: int, fields: list[str]) -> list[Row]:
    """A record, archived or not; none when there is none, of which the flow itself says so."""
    domain = [("id", "=", record)]
    rows: list[Row] = await odoo.call(model, "search_read", domain, fields=fields, context={"active_test": False})
    return rows


@dataclass(slots=True)
class _Search:
    """The way back from the customer, rule by rule; ``leads_to`` is the field that holds a rule's destination."""

    odoo: Odoo
    routes: list[int]
    leads_to: str
    found: dict[int, Risk] = field(default_factory=dict)
    _visited: set[int] = field(default_factory=set)

    async def follow(self, place: int, ordering: Row | None = None) -> None:
        """All by which goods may get to a place; ``ordering`` is the rule that wants them there, if one does."""
        self._visited.add(place)
        rules = await self._leading_to(place)
        stocks = await self._stocks(rules)
        for rule in rules:
            source = rule["location_src_id"] or (0, "")
            if rule["action"] not in _MOVING:
                self._tell(ordering or rule, f"has goods bought or made ({rule['action']})")
            elif source[0] not in stocks:
                self._tell(ordering or rule, f"sends for goods from {source[1]!r}")
            elif rule["procure_method"] != _FROM_STOCK and source[0] not in self._visited:
                await self.follow(source[0], rule)
        if ordering and not rules:
            self._tell(ordering, "orders goods that nothing brings in")

    async def _leading_to(self, place: int) -> list[Row]:
        domain = [("route_id", "in", self.routes), ("action", "!=", "push"), (self.leads_to, "parent_of", [place])]
        fields = ["action", "procure_method", "location_src_id", "route_id"]
        rules: list[Row] = await self.odoo.call(ROUTING, "search_read", domain, fields=fields)
        return rules

    async def _stocks(self, rules: list[Row]) -> set[int]:
        """The places that rules take goods from which lie there, and do not come from outside."""
        sources = [rule["location_src_id"][0] for rule in rules if rule["location_src_id"]]
        domain = [("id", "in", sources), ("usage", "in", ["internal", "transit"])]
        return {row["id"] for row in await self.odoo.call(PLACE, "search_read", domain, fields=["usage"])}

    def _tell(self, rule: Row, what: str) -> None:
        number, name = rule["route_id"]
        what = f"the route {name!r} {what} for a confirmed order, which no cancelling takes back"
        self.found[number] = Risk(f"route:{number}", what)


async def reordering(odoo: Odoo, product: int) -> list[Risk]:
    """The reordering rules of a product that act by themselves; others wait for a person."""
    await odoo.fields(ORDERPOINT)
    domain = [("product_id", "=", product), ("trigger", "=", "auto")]
    rows = await odoo.call(ORDERPOINT, "search_read", domain, fields=["name"])
    return [Risk(f"orderpoint:{row['id']}", _of_orderpoint(row)) for row in rows]


def _of_orderpoint(row: Row) -> str:
    return f"the reordering rule {row['name']!r} brings goods in when an order takes them, which nothing takes back"
