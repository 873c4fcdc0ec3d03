"""What an Odoo database of the sandbox holds, put there by its admin over XML-RPC; running it twice changes nothing.

What the probes need is prepared as an administrator would do it, by the code of `quaywatch setup odoo`; beside it
there is some ordinary business.
"""

import asyncio
import xmlrpc.client
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from probes import odoo_names as names
from probes import odoo_setup as setup
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.secret import Secret

ADMIN = ("admin", "admin")
PROBE = ("probe", "probe-password")
JANITOR = ("janitor", "janitor-password")
PORTAL = ("portal-customer", "portal-customer-password")
PARTNER = "PROBE-CUSTOMER"
PRODUCT = "PROBE-PARCEL"
STORABLE = "PROBE-PALLET"
PLACE = "PROBE-STOCK"
STOCK = 100_000
CUSTOMER = "Harbour Foods"


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """The ids of what was put there."""

    partner_id: int
    product_id: int
    storable_id: int
    place_id: int


@dataclass(frozen=True)
class Connection:
    """Somebody's RPC connection to one Odoo database."""

    url: str
    database: str
    login: str
    password: str

    @cached_property
    def uid(self) -> int:
        """The user's id; a `PermissionError` when Odoo refuses the login."""
        with xmlrpc.client.ServerProxy(f"{self.url}/xmlrpc/2/common", allow_none=True) as common:
            uid = common.authenticate(self.database, self.login, self.password, {})
        if not isinstance(uid, int) or not uid:
            raise PermissionError(f"{self.database} refuses {self.login}")
        return uid

    def call(self, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """What `method` of `model` answers. An answer of None, which XML-RPC cannot carry, comes as None."""
        server = xmlrpc.client.ServerProxy(f"{self.url}/xmlrpc/2/object", allow_none=True)
        try:
            with server:
                return server.execute_kw(self.database, self.uid, self.password, model, method, args, kwargs)
        except xmlrpc.client.Fault as fault:
            if "cannot marshal None" in fault.faultString:
                return None
            raise

    def fields(self, model: str) -> set[str]:
        """The names of the fields that this version's `model` has."""
        return set(self.call(model, "fields_get", [], attributes=["type"]))

    def ensure(self, model: str, key: Mapping[str, Any], values: Mapping[str, Any], **context: Any) -> int:
        """The id of the record which `key` names, made with `key` and `values` when there is none."""
        domain = [(name, "=", value) for name, value in key.items()]
        found: list[int] = self.call(model, "search", domain, limit=1, context={"active_test": False})
        made: int = found[0] if found else self.call(model, "create", {**key, **values}, context=context)
        return made

    def named(self, model: str, field: str, reference: str) -> int:
        """The id of the record that has this reference; a `LookupError` when there is none."""
        found: list[int] = self.call(model, "search", [(field, "=", reference)], limit=1)
        return found[0]

    def reference(self, name: str) -> int:
        """The id behind an external id such as `base.group_user`."""
        module, _, rest = name.partition(".")
        domain = [("module", "=", module), ("name", "=", rest)]
        rows = self.call("ir.model.data", "search_read", domain, fields=["res_id"], limit=1)
        res_id: int = rows[0]["res_id"]
        return res_id


def seed(admin: Connection) -> Seeded:
    """Put everything there, or find it there; `admin` must be Odoo's administrator."""
    # Reports get their pictures from there; Odoo learns it by itself only when its admin logs in by a browser.
    admin.call("ir.config_parameter", "set_param", "web.base.url", admin.url)
    prepare_for_probes(admin)
    _business(admin)
    return find(admin)


def find(admin: Connection) -> Seeded:
    """The ids of what was put there; a `LookupError` when it was not."""
    return Seeded(
        partner_id=admin.named("res.partner", "ref", PARTNER),
        product_id=admin.named("product.product", "default_code", PRODUCT),
        storable_id=admin.named("product.product", "default_code", STORABLE),
        place_id=admin.named("stock.location", "barcode", PLACE),
    )


def prepare_for_probes(admin: Connection) -> None:
    """Users and records for the probes; an `AssertionError` when Odoo does not take them."""
    groups = (setup.USER, setup.SALESMAN, setup.STOCK_USER)
    wanted = setup.Preparation(
        accounts=(
            setup.Account("probe", PROBE[0], Secret(PROBE[1]), groups, sees_rules=True),
            setup.Account("janitor", JANITOR[0], Secret(JANITOR[1]), setup.JANITOR),
        ),
        partners=(PARTNER,),
        goods=(setup.Goods(PRODUCT, storable=False, place=None), setup.Goods(STORABLE, storable=True, place=PLACE)),
        stock=STOCK,
    )
    # In a thread of its own: whoever wants a sandbox may have an event loop already.
    with ThreadPoolExecutor(1) as thread:
        told = thread.submit(asyncio.run, _prepared(admin, wanted)).result()
    left = [one for one in told if one.state not in (setup.State.THERE, setup.State.MADE)]
    if left:
        raise AssertionError(f"{admin.database} was not prepared: {left}")


async def _prepared(admin: Connection, wanted: setup.Preparation) -> list[setup.Prepared]:
    password = Secret(admin.password)
    address = OdooAddress(
        url=admin.url, database=admin.database, login=admin.login, password=password, answer_within=60
    )
    odoo, told = OdooServer(address), list[setup.Prepared]()
    try:
        await setup.prepare(odoo, wanted, told.append, apply=True)
    finally:
        await odoo.close()
    return told


def _visitor(admin: Connection, credentials: tuple[str, str], name: str, partner: int) -> None:
    """A customer's login to the portal."""
    login, password = credentials
    field = "group_ids" if "group_ids" in admin.fields("res.users") else "groups_id"
    groups = [(6, 0, [admin.reference("base.group_portal")])]
    made = {"name": name, "password": password, "email": f"{login}@example.com", "partner_id": partner, field: groups}
    # Without this key Odoo would send an invitation.
    admin.ensure("res.users", {"login": login}, made, no_reset_password=True)


def _product(admin: Connection, name: str, code: str) -> int:
    """Goods that are kept in stock."""
    field = names.STORABLE.among(admin.fields("product.product"))
    kept = names.storable_values(field or "", kept=True)
    values = {"name": name, "list_price": 2.0, "weight": 1.5, "barcode": code, "taxes_id": [(6, 0, [])]}
    return admin.ensure("product.product", {"default_code": code}, values | kept)


def _stock(admin: Connection) -> int:
    """The place that the warehouse delivers from, with all below it."""
    warehouse = admin.call("stock.warehouse", "search_read", [], fields=["lot_stock_id"], limit=1)[0]
    place: int = warehouse["lot_stock_id"][0]
    return place


def _stock_up(admin: Connection, product: int, location: int) -> None:
    place = {"product_id": product, "location_id": location}
    if admin.call("stock.quant", "search_count", [(key, "=", value) for key, value in place.items()]):
        return
    values = {**place, "inventory_quantity": STOCK}
    quant = admin.call("stock.quant", "create", values, context={"inventory_mode": True})
    if "inventory_quantity_set" in admin.fields("stock.quant"):
        admin.call("stock.quant", "action_apply_inventory", [quant])


def _business(admin: Connection) -> None:
    """A customer with a portal login, a delivery done, one under way and a quotation."""
    customer = admin.ensure("res.partner", {"name": CUSTOMER}, {"email": "goods@harbour-foods.example"})
    _visitor(admin, PORTAL, CUSTOMER, customer)
    if admin.call("sale.order", "search_count", [("partner_id", "=", customer)]):
        return
    ship(admin, trade(admin))
    trade(admin)
    _order(admin)


def trade(admin: Connection) -> int:
    """A confirmed order of an ordinary customer, of the day and of goods that are in stock; its id."""
    order = _order(admin)
    admin.call("sale.order", "action_confirm", [order])
    return order


def _order(admin: Connection) -> int:
    customer = admin.ensure("res.partner", {"name": CUSTOMER}, {})
    product = _product(admin, "Crate of Oranges", "ORANGES")
    _stock_up(admin, product, _stock(admin))
    line = (0, 0, {"product_id": product, "product_uom_qty": 3})
    order: int = admin.call("sale.order", "create", {"partner_id": customer, "order_line": [line]})
    return order


def ship(admin: Connection, order: int) -> None:
    """Deliver a confirmed order; an `AssertionError` when Odoo did not."""
    move = "move_ids" if "move_ids" in admin.fields("stock.picking") else "move_lines"
    pickings: list[int] = admin.call("stock.picking", "search", [("sale_id", "=", order)])
    rows = admin.call("stock.picking", "read", pickings, fields=[move])
    moves = [item for row in rows for item in row[move]]
    admin.call("stock.move", "write", moves, _done(admin.fields("stock.move"), 3))
    admin.call("stock.picking", "button_validate", pickings, context={"skip_sms": True, "skip_backorder": True})
    states = {row["state"] for row in admin.call("stock.picking", "read", pickings, fields=["state"])}
    if states != {"done"}:
        raise AssertionError(f"the delivery of order {order} is {states}")


def _done(fields: set[str], quantity: float) -> dict[str, Any]:
    """How this version is told what was moved."""
    if "quantity_done" in fields:
        return {"quantity_done": quantity}
    return {"quantity": quantity, "picked": True}
