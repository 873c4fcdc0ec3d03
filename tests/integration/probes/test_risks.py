"""What a probe's orders set off, put into real databases by the administrator: seen, refused, accepted by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from probes import order_create, shipment_confirm
from probes.odoo_names import RULE_LEADS_TO, STORABLE, storable_values
from probes.odoo_risks import findings, look
from probes.scripted import OdooOptions, probe_of
from quaywatch.config import load_text
from quaywatch.contract import Outcome, Reason
from quaywatch.drivers.odoo import OdooServer
from quaywatch.secret import Secret
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.world import World
from tests.integration.probes.support import address, marked, run_once

PARTS = ("odoo14", "odoo19")
INSTALLATION = "test-risks"
BOTH = pytest.mark.parametrize("case", [(14, "xmlrpc"), (19, "json2")], indirect=True, ids=["14", "19"])


DRAFT = """
environment: test
installation: test
targets: {erp: {kind: odoo, url: "http://erp", database: a, login: l, password: p, janitor: {login: j, password: p}}}
flows:
  draft:
    kind: odoo
    steps:
      - name: create
        call: {model: sale.order, method: create, args: [{partner_id: %d, client_order_ref: "${mark}"}]}
    sweep:
      - {model: sale.order, field: client_order_ref, methods: [unlink], user: janitor}
"""


@pytest.fixture
def orders(server: Odoo) -> order_create.Options:
    """What order_create orders."""
    return order_create.Options(partner=server.partner_id, product=server.product_id)


@pytest_asyncio.fixture
async def shipments(server: Odoo) -> AsyncIterator[shipment_confirm.Options]:
    """What shipment_confirm would ship to a customer of its own, whom this test may change."""
    admin = server.admin()
    partner = admin.ensure("res.partner", {"ref": "RISK-CUSTOMER"}, {"name": "Risk"})
    yield shipment_confirm.Options(partner=partner, product=server.storable_id, location=server.place_id)
    admin.call("res.partner", "unlink", [partner])


def make_rules(server: Odoo, trigger: str, *models: str) -> list[int]:
    """Automation rules that do nothing, one on each model; their ids."""
    admin = server.admin()
    apart = "action_server_ids" in admin.fields("base.automation")
    values = []
    for model in models:
        number = admin.call("ir.model", "search", [("model", "=", model)], limit=1)[0]
        action = {"name": "Risk", "model_id": number, "state": "code", "code": "pass"}
        rule = {"name": "Risk", "model_id": number, "action_server_ids": [(0, 0, action)]} if apart else action
        values.append({**rule, "trigger": trigger})
    made: list[int] = admin.call("base.automation", "create", values)
    return made


def make_rule(server: Odoo, trigger: str, model: str) -> int:
    """One of them."""
    (made,) = make_rules(server, trigger, model)
    return made


@BOTH
async def test_a_rule_on_orders_stops_the_flow_until_it_is_accepted(
    driver: OdooServer, server: Odoo, orders: order_create.Options, world: World
) -> None:
    """The run is invalid and has made nothing; accepted by its name, or gone, the rule stops nobody."""
    rule = make_rule(server, "on_create", "sale.order")
    try:
        record = await run_once(driver, server, orders, installation=INSTALLATION)
        assert (record.outcome, record.reason, record.failed_step) == (Outcome.INVALID, Reason.CONFIG, "create")
        assert f"accept_risks: [automation:{rule}]" in record.message
        assert marked(world.postgres, server.database, INSTALLATION) == 0
        assert f"automation:{rule}" in str([told async for told in findings(driver, orders)])
        accepting = replace(orders, accept_risks=(f"automation:{rule}",))
        assert (await run_once(driver, server, accepting, installation=INSTALLATION)).outcome is Outcome.SUCCESS
    finally:
        server.admin().call("base.automation", "unlink", [rule])
    assert (await run_once(driver, server, orders, installation=INSTALLATION)).outcome is Outcome.SUCCESS


@BOTH
async def test_a_flow_of_ones_own_is_kept_from_starting_as_well(
    driver: OdooServer, server: Odoo, orders: order_create.Options
) -> None:
    """A rule on order lines concerns a flow that creates orders, whatever the configuration calls it."""
    settings = load_text(DRAFT % orders.partner, "own.yaml", {}, {}, {}, probe_of)
    probe = settings.flows["draft"]
    rule = make_rule(server, "on_create", "sale.order.line")
    try:
        record = await run_once(driver, server, OdooOptions(), probe=probe, installation=INSTALLATION)
        assert (record.outcome, record.reason, record.failed_step) == (Outcome.INVALID, Reason.CONFIG, "create")
        assert f"accept_risks: [automation:{rule}]" in record.message
        accepting = OdooOptions((f"automation:{rule}",))
        record = await run_once(driver, server, accepting, probe=probe, installation=INSTALLATION)
        assert (record.outcome, record.message) == (Outcome.SUCCESS, "")
    finally:
        server.admin().call("base.automation", "unlink", [rule])


@BOTH
async def test_a_rule_on_what_odoo_writes_beside_is_a_risk(
    driver: OdooServer, server: Odoo, orders: order_create.Options
) -> None:
    """On stock, on the group of moves by its name in this version, on the history."""
    groups = "procurement.group" if server.database == "odoo14" else "stock.reference"
    rules = make_rules(server, "on_create", "stock.quant", groups, "mail.message")
    try:
        assert {risk.name for risk in (await look(driver, orders)).risks} == {f"automation:{rule}" for rule in rules}
    finally:
        server.admin().call("base.automation", "unlink", rules)


@BOTH
async def test_a_rule_elsewhere_is_no_risk(driver: OdooServer, server: Odoo, orders: order_create.Options) -> None:
    """A rule on customers does not concern orders."""
    rule = make_rule(server, "on_create", "res.partner")
    try:
        assert (await look(driver, orders)).risks == ()
    finally:
        server.admin().call("base.automation", "unlink", [rule])


@pytest.mark.parametrize("case", [(19, "xmlrpc")], indirect=True, ids=["19"])
async def test_the_secret_of_a_rule_with_a_webhook_stays_one(driver: OdooServer, server: Odoo) -> None:
    """Rules that others trigger by an address nobody may guess are not shown to the probe's user."""
    rule = make_rule(server, "on_webhook", "sale.order")
    try:
        assert await driver.call("base.automation", "search_count", [("id", "=", rule)]) == 0
    finally:
        server.admin().call("base.automation", "unlink", [rule])


@pytest_asyncio.fixture
async def blind(server: Odoo) -> AsyncIterator[OdooServer]:
    """A salesman with a janitor, made by hand: without the right to see automation rules."""
    admin, password = server.admin(), "blind-password"
    groups = [admin.reference(name) for name in ("base.group_user", "sales_team.group_sale_salesman")]
    field = "group_ids" if "group_ids" in admin.fields("res.users") else "groups_id"
    values = {"name": "Blind", "password": password, "email": "blind@quaywatch.invalid", field: [(6, 0, groups)]}
    admin.ensure("res.users", {"login": "blind"}, values, no_reset_password=True)
    driver = OdooServer(address(server, login="blind", password=Secret(password)))
    yield driver
    await driver.close()


@BOTH
async def test_a_flow_does_not_start_blind(
    blind: OdooServer, server: Odoo, orders: order_create.Options, world: World
) -> None:
    """Where nobody may read the rules, the run is invalid, says so and has made nothing; accepted by name, it runs."""
    record = await run_once(blind, server, orders, installation=INSTALLATION)
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.INVALID, Reason.CONFIG, "create")
    assert "may read base.automation" in record.message
    assert marked(world.postgres, server.database, INSTALLATION) == 0
    accepting = replace(orders, accept_risks=("unseen:base.automation",))
    assert (await run_once(blind, server, accepting, installation=INSTALLATION)).outcome is Outcome.SUCCESS


@BOTH
async def test_the_user_that_setup_makes_sees_all_that_is_looked_at(
    server: Odoo, orders: order_create.Options, shipments: shipment_confirm.Options
) -> None:
    """It needs no janitor for it, and what is not installed counts as seen."""
    driver = OdooServer(address(server, janitor_login=""))
    try:
        assert [(await look(driver, wanted)).unseen for wanted in (orders, shipments)] == [(), ()]
    finally:
        await driver.close()


@BOTH
async def test_a_carrier_that_is_paid_stops_who_ships(
    driver: OdooServer, server: Odoo, shipments: shipment_confirm.Options, world: World
) -> None:
    """A customer's carrier is a risk as soon as it has a connector: here one in name, since none is installed."""
    admin = server.admin()
    values = {"name": "Swift", "product_id": server.product_id, "delivery_type": "fixed"}
    carrier = admin.call("delivery.carrier", "create", values)
    admin.call("res.partner", "write", [shipments.partner], {"property_delivery_carrier_id": carrier})
    try:
        assert (await look(driver, shipments)).risks == ()
        connect = f"update delivery_carrier set delivery_type = 'dhl' where id = {carrier}"  # noqa: S608 - own number
        sql(world.postgres, connect, server.database)
        record = await run_once(driver, server, shipments, installation=INSTALLATION, probe=shipment_confirm.PROBE)
        assert (record.outcome, record.reason) == (Outcome.INVALID, Reason.CONFIG)
        assert f"accept_risks: [carrier:{carrier}]" in record.message
    finally:
        admin.call("res.partner", "write", [shipments.partner], {"property_delivery_carrier_id": False})
        sql(world.postgres, f"delete from delivery_carrier where id = {carrier}", server.database)  # noqa: S608


@pytest.fixture
def product(server: Odoo) -> int:
    """A product of its own, which this test may change."""
    admin = server.admin()
    name = STORABLE.among(admin.fields("product.product")) or ""
    values = {"name": "Risk", **storable_values(name, kept=True)}
    return admin.ensure("product.product", {"default_code": "RISK-PRODUCT"}, values)


def routes(server: Odoo) -> str:
    """The model of routes."""
    return "stock.location.route" if server.database == "odoo14" else "stock.route"


def make_route(server: Odoo, procure_method: str) -> int:
    """A route with one rule, which moves goods from the first warehouse to customers; its id."""
    admin = server.admin()
    made: int = admin.call(routes(server), "create", {"name": "Risk", "product_categ_selectable": True})
    warehouse = admin.call("stock.warehouse", "search_read", [], fields=["out_type_id", "lot_stock_id"], limit=1)[0]
    rule = {"name": "Risk", "route_id": made, "action": "pull", "procure_method": procure_method}
    rule |= {"location_src_id": warehouse["lot_stock_id"][0], "picking_type_id": warehouse["out_type_id"][0]}
    leads_to = RULE_LEADS_TO.among(admin.fields("stock.rule")) or ""
    admin.call("stock.rule", "create", rule | {leads_to: admin.reference("stock.stock_location_customers")})
    return made


@BOTH
async def test_a_route_that_does_not_take_from_stock_stops_the_flow(
    driver: OdooServer, server: Odoo, orders: order_create.Options, product: int, world: World
) -> None:
    """On the product or its category; the run is invalid and has made nothing. One that takes from stock is none."""
    admin, ordering = server.admin(), replace(orders, product=product)
    route = make_route(server, "make_to_order")
    assert (await look(driver, ordering)).risks == ()
    admin.call("product.product", "write", [product], {"route_ids": [(6, 0, [route])]})
    record = await run_once(driver, server, ordering, installation=INSTALLATION)
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.INVALID, Reason.CONFIG, "create")
    assert f"accept_risks: [route:{route}]" in record.message
    assert marked(world.postgres, server.database, INSTALLATION) == 0
    admin.call("product.product", "write", [product], {"route_ids": [(6, 0, [])]})
    parent = admin.call("product.category", "create", {"name": "Risk", "route_ids": [(6, 0, [route])]})
    category = admin.call("product.category", "create", {"name": "Risk below", "parent_id": parent})
    before = admin.call("product.product", "read", [product], fields=["categ_id"])[0]["categ_id"]
    admin.call("product.product", "write", [product], {"categ_id": category})
    assert [risk.name for risk in (await look(driver, ordering)).risks] == [f"route:{route}"]
    admin.call("product.product", "write", [product], {"categ_id": before and before[0]})
    from_stock = make_route(server, "make_to_stock")
    admin.call("product.product", "write", [product], {"route_ids": [(6, 0, [from_stock])]})
    assert (await look(driver, ordering)).risks == ()
    admin.call("product.product", "write", [product], {"route_ids": [(6, 0, [])]})


@BOTH
async def test_odoos_own_route_to_order_is_a_risk(
    driver: OdooServer, server: Odoo, orders: order_create.Options, product: int
) -> None:
    """As an administrator uses it: the route that comes with Odoo, archived until somebody wants it."""
    admin = server.admin()
    route = admin.reference("stock.route_warehouse0_mto")
    admin.call(routes(server), "action_unarchive", [route])
    admin.call("product.product", "write", [product], {"route_ids": [(6, 0, [route])]})
    try:
        risks = (await look(driver, replace(orders, product=product))).risks
        assert [risk.name for risk in risks] == [f"route:{route}"]
        assert (await look(driver, orders)).risks == ()
    finally:
        admin.call("product.product", "write", [product], {"route_ids": [(6, 0, [])]})
        admin.call(routes(server), "action_archive", [route])


@BOTH
async def test_a_reordering_rule_stops_the_flow(
    driver: OdooServer, server: Odoo, orders: order_create.Options, product: int
) -> None:
    """One that acts by itself does; switched to a person's hand, it is none."""
    admin, ordering = server.admin(), replace(orders, product=product)
    values = {"product_id": product, "product_min_qty": 5, "product_max_qty": 9, "trigger": "auto"}
    rule = admin.call("stock.warehouse.orderpoint", "create", values)
    try:
        record = await run_once(driver, server, ordering, installation=INSTALLATION)
        assert (record.outcome, record.reason) == (Outcome.INVALID, Reason.CONFIG)
        assert f"accept_risks: [orderpoint:{rule}]" in record.message
        admin.call("stock.warehouse.orderpoint", "write", [rule], {"trigger": "manual"})
        assert (await look(driver, ordering)).risks == ()
    finally:
        admin.call("stock.warehouse.orderpoint", "unlink", [rule])


@BOTH
async def test_mail_about_each_shipment_is_a_risk_to_who_ships(
    driver: OdooServer, server: Odoo, orders: order_create.Options, shipments: shipment_confirm.Options
) -> None:
    """A company that mails a confirmation of each shipment is named to the flow that ships, and to no other."""
    admin = server.admin()
    company: Any = admin.call("res.company", "search", [], limit=1)
    admin.call("res.company", "write", company, {"stock_move_email_validation": True})
    try:
        assert [risk.name for risk in (await look(driver, shipments)).risks] == [f"mail:{company[0]}"]
        assert (await look(driver, orders)).risks == ()
    finally:
        admin.call("res.company", "write", company, {"stock_move_email_validation": False})
