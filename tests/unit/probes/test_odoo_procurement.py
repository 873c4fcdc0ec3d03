"""What an order would have bought, made or sent for is found by following rules back from the customer."""

from __future__ import annotations

from typing import Any

import pytest

from probes import order_create
from probes.odoo_hazards import RULE
from probes.odoo_procurement import ORDERPOINT, PLACE, PRODUCT, ROUTING, WAREHOUSE
from probes.odoo_risks import Look, look
from tests.unit.probes.fake_odoo import PARCEL, PARTNER, Database, FakeOdoo

ORDERS = order_create.Options(partner=PARTNER, product=PARCEL)
CUSTOMERS, SHELVES, GATE, VENDORS = 5, 8, 9, 4
DELIVERY, TO_ORDER, BUY, DROPSHIP, MAKE, TWO_STEPS, RECEIPT = range(1, 8)

Rule = tuple[int, str, str, int | bool, int]
"""Route, action, procurement method, source, destination."""
RULES: tuple[Rule, ...] = (
    (DELIVERY, "pull", "make_to_stock", SHELVES, CUSTOMERS),
    (TO_ORDER, "pull", "make_to_order", SHELVES, CUSTOMERS),
    (BUY, "buy", "make_to_stock", False, SHELVES),
    (DROPSHIP, "buy", "make_to_stock", VENDORS, CUSTOMERS),
    (MAKE, "manufacture", "make_to_order", False, SHELVES),
    (TWO_STEPS, "pull", "make_to_order", GATE, CUSTOMERS),
    (TWO_STEPS, "pull", "make_to_stock", SHELVES, GATE),
    (RECEIPT, "pull", "make_to_stock", VENDORS, SHELVES),
    (TWO_STEPS, "push", "make_to_order", CUSTOMERS, VENDORS),
)


def with_routes(
    own: tuple[int, ...] = (), of_category: tuple[int, ...] = (), of_warehouse: tuple[int, ...] = (DELIVERY,)
) -> Database:
    """A database whose product, its category and the warehouse have these routes."""
    database = Database()
    names = {"name", "default_code", "route_ids", "route_from_categ_ids", "service_tracking"}
    database.more_fields |= {RULE: {"active"}, PRODUCT: names, ROUTING: {"location_dest_id"}, ORDERPOINT: {"trigger"}}
    routes = {"route_ids": list(own), "route_from_categ_ids": list(of_category), "service_tracking": "no"}
    database.tables[PRODUCT][PARCEL] |= routes
    database.tables["res.partner"][PARTNER]["property_stock_customer"] = CUSTOMERS
    database.tables |= {RULE: {}, WAREHOUSE: {1: {"route_ids": list(of_warehouse)}}, ORDERPOINT: {}}
    usages = {CUSTOMERS: "customer", SHELVES: "internal", GATE: "internal", VENDORS: "supplier"}
    database.tables[PLACE] = {place: {"usage": usage} for place, usage in usages.items()}
    keys = ("route_id", "action", "procure_method", "location_src_id", "location_dest_id")
    database.tables[ROUTING] = {at: dict(zip(keys, rule, strict=True)) for at, rule in enumerate(RULES, 1)}
    return database


async def names(database: Database) -> list[str]:
    """What is found."""
    return [risk.name for risk in (await look(FakeOdoo(database), ORDERS)).risks]


@pytest.mark.parametrize(
    ("routes", "risks"),
    [
        ({}, []),
        ({"own": (BUY, MAKE)}, []),
        ({"own": (TO_ORDER, BUY)}, [f"route:{TO_ORDER}"]),
        ({"own": (TO_ORDER,), "of_warehouse": (DELIVERY, BUY)}, [f"route:{TO_ORDER}"]),
        ({"own": (TO_ORDER,), "of_warehouse": (DELIVERY, RECEIPT)}, [f"route:{TO_ORDER}"]),
        ({"own": (MAKE,), "of_category": (TO_ORDER,)}, [f"route:{TO_ORDER}"]),
        ({"of_warehouse": (DELIVERY, TO_ORDER, BUY)}, [f"route:{TO_ORDER}"]),
        ({"own": (DROPSHIP,)}, [f"route:{DROPSHIP}"]),
        ({"own": (TO_ORDER,)}, [f"route:{TO_ORDER}"]),
        ({"of_warehouse": (TWO_STEPS, BUY, RECEIPT)}, []),
    ],
    ids=[
        "stock",
        "buy to stock",
        "to order",
        "of warehouse",
        "receipt",
        "of category",
        "all",
        "dropship",
        "dead end",
        "two steps",
    ],
)
async def test_what_is_not_taken_from_stock_is_a_risk(routes: dict[str, tuple[int, ...]], risks: list[str]) -> None:
    """The route is named that does not take from stock; buying for the stock alone concerns no order."""
    assert await names(with_routes(**routes)) == risks


async def test_a_route_is_told_in_words() -> None:
    """What it does, and that nobody takes it back."""
    (risk,) = (await look(FakeOdoo(with_routes(own=(DROPSHIP,))), ORDERS)).risks
    assert str(risk).startswith(f"route:{DROPSHIP}: the route 'its name' has goods bought or made (buy)")


async def test_a_reordering_rule_that_acts_by_itself_is_a_risk() -> None:
    """One that waits for a person is none, nor one of another product."""
    database = with_routes()
    rules: list[dict[str, Any]] = [
        {"product_id": PARCEL, "trigger": "auto"},
        {"product_id": PARCEL, "trigger": "manual"},
        {"product_id": PARCEL + 1, "trigger": "auto"},
    ]
    database.tables[ORDERPOINT] = {at: {"name": f"OP/{at}", **rule} for at, rule in enumerate(rules, 1)}
    assert await names(database) == ["orderpoint:1"]


async def test_a_service_that_becomes_more_than_an_order_is_a_risk() -> None:
    """Tasks and projects of a service stay when its order is cancelled."""
    database = with_routes()
    database.tables[PRODUCT][PARCEL]["service_tracking"] = "task_in_project"
    assert await names(database) == [f"service:{PARCEL}"]


async def test_a_look_is_cheap() -> None:
    """Automation rules, product, warehouses, customer, rules of routes, places, reordering rules: a question each."""
    database = with_routes()
    await names(database)
    assert len(database.calls) == 7


async def test_a_product_that_is_not_there_is_for_the_flow_to_tell() -> None:
    """Neither a number nor a reference that leads nowhere makes the look fail."""
    odoo = FakeOdoo(with_routes(own=(DROPSHIP,)))
    for product in (4711, "NOWHERE"):
        assert await look(odoo, order_create.Options(partner=PARTNER, product=product)) == Look(())
