"""The real business beside the probes: customers, goods and orders that nobody but their owners may change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sandbox import seed
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import Postgres, sql

CODE: Final = "REAL-"
_STOCK: Final = 500
_ACTIVE: Final = "select coalesce(string_agg(id::text, ','), '0') from ir_cron where active"


def trade(server: Odoo, goods: int) -> None:
    """So many products with stock and three orders of each: a quotation, a confirmed one and a delivered one."""
    admin = server.admin()
    warehouse = admin.call("stock.warehouse", "search_read", [], fields=["lot_stock_id"], limit=1)[0]
    for number in range(goods):
        product = _product(admin, number)
        _stock_up(admin, product, warehouse["lot_stock_id"][0])
        customer = admin.ensure("res.partner", {"ref": f"{CODE}{number}"}, {"name": f"Customer {number}"})
        line = (0, 0, {"product_id": product, "product_uom_qty": 3})
        orders = [admin.call("sale.order", "create", {"partner_id": customer, "order_line": [line]}) for _ in range(3)]
        admin.call("sale.order", "action_confirm", orders[1:])
        seed.ship(admin, orders[2])


def _product(admin: seed.Connection, number: int) -> int:
    """A copy of the sandbox's own goods, which are kept in stock on every version."""
    code = f"{CODE}{number}"
    (oranges,) = admin.call("product.product", "search", [("default_code", "=", "ORANGES")])
    admin.call("product.product", "copy", [oranges], {"name": f"Goods {number}", "default_code": code, "barcode": code})
    found: list[int] = admin.call("product.product", "search", [("default_code", "=", code)])
    return found[0]


def _stock_up(admin: seed.Connection, product: int, place: int) -> None:
    values: dict[str, Any] = {"product_id": product, "location_id": place, "inventory_quantity": _STOCK}
    quant = admin.call("stock.quant", "create", values, context={"inventory_mode": True})
    if "inventory_quantity_set" in admin.fields("stock.quant"):
        admin.call("stock.quant", "action_apply_inventory", [quant])


@contextmanager
def clock_stopped(postgres: Postgres, server: Odoo) -> Iterator[None]:
    """No scheduled work of Odoo's own for the length of the block: whatever changes was changed by the probes."""
    active = sql(postgres, _ACTIVE, server.database)
    sql(postgres, "update ir_cron set active = false", server.database)
    try:
        yield
    finally:
        sql(postgres, f"update ir_cron set active = true where id in ({active})", server.database)
