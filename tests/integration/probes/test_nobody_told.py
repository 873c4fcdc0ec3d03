"""Nobody hears of a probe's orders: neither the customer's salesperson nor who follows the sales team."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio

from probes import browser_order_create, order_create, portal_lookup, shipment_confirm
from probes.odoo_risks import look, require_untold
from quaywatch.contract import Odoo as Driver
from quaywatch.contract import Outcome, Probe
from quaywatch.drivers.odoo import OdooServer
from quaywatch.errors import ConfigError
from quaywatch.secret import Secret
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import Postgres, sql
from sandbox.seed import Connection
from sandbox.world import World
from tests.integration.probes.support import address, run_once, sweep_now

PARTS = ("odoo14", "odoo19")
INSTALLATION = "test-nobody-told"
BY_HAND = f"quaywatch/{INSTALLATION}/order_create/by-hand"
BOTH = pytest.mark.parametrize("case", [(14, "xmlrpc"), (19, "json2")], indirect=True, ids=["14", "19"])
PASSWORD = "told-password"


@dataclass(frozen=True)
class Sales:
    """A customer whose salesperson is Jane, and a salesman whose team she follows."""

    customer: int
    jane: int
    janes_partner: int
    salesman: str
    chosen: dict[str, int]
    """Whom the web client fills in for an order of the salesman's."""


@pytest.fixture
def sales(server: Odoo) -> Iterator[Sales]:
    """Both, and Jane gets mail."""
    admin = server.admin()
    jane, salesman = _user(admin, "told-jane", "email"), _user(admin, "told-salesman", "inbox")
    (row,) = admin.call("res.users", "read", [jane], fields=["partner_id"])
    partner = row["partner_id"][0]
    team = admin.ensure("crm.team", {"name": "Told"}, {"member_ids": [(6, 0, [salesman])]})
    admin.call("crm.team", "message_subscribe", [team], partner_ids=[partner])
    customer = admin.ensure("res.partner", {"ref": "TOLD-CUSTOMER"}, {"name": "Told", "user_id": jane})
    yield Sales(customer, jane, partner, "told-salesman", {"user_id": salesman, "team_id": team})
    admin.call("crm.team", "message_unsubscribe", [team], partner_ids=[partner])


def _user(admin: Connection, login: str, notified: str) -> int:
    groups = [admin.reference(name) for name in ("base.group_user", "sales_team.group_sale_salesman")]
    field = "group_ids" if "group_ids" in admin.fields("res.users") else "groups_id"
    values = {"name": login, "password": PASSWORD, "email": f"{login}@quaywatch.invalid", "notification_type": notified}
    return admin.ensure("res.users", {"login": login}, {**values, field: [(6, 0, groups)]}, no_reset_password=True)


@pytest_asyncio.fixture
async def salesman(server: Odoo, sales: Sales) -> AsyncIterator[OdooServer]:
    """A driver as the salesman, without a janitor: what was told stays to be counted, and is swept in the end."""
    login = address(server, login=sales.salesman, password=Secret(PASSWORD))
    driver, sweeper = OdooServer(replace(login, janitor_login="")), OdooServer(login)
    yield driver
    await driver.close()
    for probe in (order_create.PROBE, portal_lookup.PROBE, shipment_confirm.PROBE):
        await sweep_now(sweeper, INSTALLATION, probe)
    await sweeper.close()


def flows(server: Odoo, sales: Sales) -> list[tuple[Probe[Driver, Any], Any]]:
    """What runs, for Jane's customer; its user may not read the rules, since setup did not make it."""
    at = {"partner": sales.customer, "product": server.product_id, "accept_risks": ("unseen:base.automation",)}
    shipped = {**at, "product": server.storable_id, "location": server.place_id}
    options: dict[Probe[Driver, Any], dict[str, Any]] = {
        order_create.PROBE: at,
        portal_lookup.PROBE: at,
        shipment_confirm.PROBE: shipped,
    }
    return [(probe, probe.options(**values)) for probe, values in options.items()]


OURS = """
with orders as (select id from sale_order where client_order_ref like 'quaywatch/test-nobody-told/%'),
     ours as (select 'sale.order' as model, id from orders
              union select 'stock.picking', id from stock_picking where sale_id in (select id from orders)),
     messages as (select m.id from mail_message m join ours on ours.model = m.model and ours.id = m.res_id)
"""
NOTICES = "select count(*) from TABLE where res_partner_id = JANE and mail_message_id in (select id from messages)"
MAILS = "select count(*) from mail_mail where mail_message_id in (select id from messages)"


def told(postgres: Postgres, database: str, sales: Sales) -> tuple[int, int]:
    """How often Jane was told of this test's orders and their deliveries, and how many mails there are about these."""
    older = "mail_message_res_partner_needaction_rel"
    table = older if sql(postgres, f"select to_regclass('{older}')", database) else "mail_notification"
    notices = NOTICES.replace("TABLE", table).replace("JANE", str(sales.janes_partner))
    return int(sql(postgres, OURS + notices, database)), int(sql(postgres, OURS + MAILS, database))


@BOTH
async def test_nobody_is_told_of_a_probes_order(server: Odoo, sales: Sales, salesman: OdooServer, world: World) -> None:
    """The runs of three flows tell nobody; an order of the same customer as the web client makes it tells Jane."""
    for probe, options in flows(server, sales):
        record = await run_once(salesman, server, options, installation=INSTALLATION, probe=probe)
        assert (record.outcome, record.message) == (Outcome.SUCCESS, "")
    assert told(world.postgres, server.database, sales) == (0, 0)
    lines = [(0, 0, {"product_id": server.product_id, "product_uom_qty": 1})]
    values = {"partner_id": sales.customer, "client_order_ref": BY_HAND, "order_line": lines, **sales.chosen}
    order = await salesman.call("sale.order", "create", values)
    await salesman.call("sale.order", "action_confirm", [order])
    notices, mails = told(world.postgres, server.database, sales)
    assert notices >= 1
    assert mails >= 1


@BOTH
async def test_who_would_be_told_by_the_web_client_is_a_risk(server: Odoo, sales: Sales, salesman: OdooServer) -> None:
    """Odoo chooses there: the customer's salesperson is named at once, a team's follower before the order goes on."""
    options = browser_order_create.Options(partner=sales.customer, product=server.product_id)
    assert [risk.name for risk in (await look(salesman, options)).risks] == [f"salesperson:{sales.jane}"]
    values = {"partner_id": sales.customer, "client_order_ref": BY_HAND, **sales.chosen}
    order = await salesman.call("sale.order", "create", values)
    with pytest.raises(ConfigError, match=rf"accept_risks: \[follower:{sales.janes_partner}\]"):
        await require_untold(salesman, order, options)
