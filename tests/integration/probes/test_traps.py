"""The traps that Odoo's RPC lays for a probe, each on a server that has it: what it does, and that the probes see it.

Traps are numbered by how much harm they do. Those of 16 and 18 alone are played back in the unit tests, an answer that
comes too late is in test_late_commit, and failing crons are the exporters' matter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from probes import odoo_orders as orders
from probes import odoo_pickings as pickings
from probes.odoo_checks import reachable_contact
from quaywatch.drivers.http import HttpAddress, HttpServer
from quaywatch.drivers.odoo import OdooServer
from quaywatch.errors import FaultError, WrongResultError
from sandbox.parts.odoo import Odoo
from tests.integration.probes.support import address, marked

PARTS = ("odoo14", "odoo19")
MARK = "quaywatch/test-traps/order_create/trap"
BOTH = pytest.mark.parametrize("case", [(14, "xmlrpc"), (19, "xmlrpc")], indirect=True, ids=["14", "19"])
ON_14 = pytest.mark.parametrize("case", [(14, "xmlrpc")], indirect=True, ids=["14"])
ON_19 = pytest.mark.parametrize("case", [(19, "json2")], indirect=True, ids=["19"])


async def confirmed(driver: OdooServer, server: Odoo, partner: int | None = None) -> orders.Order:
    """A confirmed order of two pallets, with its goods reserved."""
    line = (0, 0, {"product_id": server.storable_id, "product_uom_qty": 2})
    values = {"partner_id": partner or server.partner_id, orders.MARK: MARK, "order_line": [line]}
    number = await driver.call(orders.ORDER, "create", values)
    await driver.call(orders.ORDER, "action_confirm", [number])
    (order,) = await orders.marked(driver, MARK)
    return order


@pytest_asyncio.fixture
async def order(driver: OdooServer, server: Odoo) -> AsyncIterator[orders.Order]:
    """A confirmed order, gone after the test."""
    yield await confirmed(driver, server)
    await erase(driver)


async def erase(driver: OdooServer) -> None:
    """Cancel and erase what a test made."""
    janitor = driver.janitor()
    assert janitor is not None
    for found in await orders.marked(janitor, MARK):
        await orders.cancel(janitor, found)
        await orders.erase(janitor, found)


@ON_14
async def test_true_is_not_done(driver: OdooServer, order: orders.Order) -> None:
    """Trap 1: told not to ask, and with nothing written as moved, the validation answers True and validates nothing."""
    picking = await pickings.of_order(driver, order)
    skips = {"skip_immediate": True, "skip_backorder": True}
    answer = await driver.call("stock.picking", "button_validate", [picking.id], context=skips)
    assert answer is True
    assert (await pickings.of_order(driver, order)).state == "assigned"


@BOTH
async def test_reserving_what_is_not_there_is_true(driver: OdooServer, server: Odoo) -> None:
    """Trap 1: asked to reserve more than there is, Odoo answers True, and the probes see that it is not reserved."""
    line = (0, 0, {"product_id": server.storable_id, "product_uom_qty": 10_000_000})
    values = {"partner_id": server.partner_id, orders.MARK: MARK, "order_line": [line]}
    number = await driver.call(orders.ORDER, "create", values)
    await driver.call(orders.ORDER, "action_confirm", [number])
    (order,) = await orders.marked(driver, MARK)
    assert await driver.call("stock.picking", "action_assign", list(order.pickings)) is True
    with pytest.raises(WrongResultError, match="reserved after action_assign"):
        await pickings.reserve(driver, order)
    await pickings.release(driver, order)
    await erase(driver)


@ON_14
async def test_an_empty_label_downloads_with_success(driver: OdooServer, order: orders.Order) -> None:
    """Trap 3: labels of a delivery of which nothing is moved yet are white space, with status 200."""
    with pytest.raises(WrongResultError, match="is empty"):
        await driver.report("stock.label_transfer_template_view_zpl", order.pickings, form="text")


@BOTH
async def test_a_session_that_was_forgotten_is_opened_again(server: Odoo) -> None:
    """Trap 4: without a session a report is a redirect to the page for logging in; the driver logs in once more."""
    http = HttpServer(HttpAddress(url=server.url, cookies=True))
    driver = OdooServer(address(server), http=http)
    label = {"name": "stock.label_picking_type_view", "records": [2], "form": "text"}
    first = await driver.report(**label)  # type: ignore[arg-type]
    await http.post("/web/session/destroy", b"{}", {"Content-Type": "application/json"})
    assert (await http.get("/report/text/stock.label_picking_type_view/2")).status in (302, 303)
    assert await driver.report(**label) == first  # type: ignore[arg-type]
    await driver.close()


@BOTH
async def test_a_page_of_an_error_is_no_report(driver: OdooServer) -> None:
    """Trap 4: what cannot be printed is an error of Odoo's, by its status, and never a paper."""
    with pytest.raises(FaultError) as raised:
        await driver.report("stock.no_such_report", [1], form="text")
    assert raised.value.code == "500"


@BOTH
async def test_an_answer_that_cannot_be_sent_means_done(driver: OdooServer, order: orders.Order) -> None:
    """Trap 5: Odoo cannot send the None of a method over XML-RPC, and has done the work and committed it."""
    assert await driver.call("stock.picking", "do_unreserve", list(order.pickings)) is None
    assert (await pickings.of_order(driver, order)).is_free


@pytest.mark.parametrize("case", [(14, "xmlrpc"), (19, "json2")], indirect=True, ids=["14", "19"])
async def test_a_phone_number_blocks_the_validation(driver: OdooServer, server: Odoo) -> None:
    """Traps 5 and 6: Odoo wants to ask about a text message and validates nothing; `check` names the phone number."""
    partner = server.admin().ensure("res.partner", {"ref": "TRAP-PHONE"}, {"name": "Trap", "phone": "+1 555 0100"})
    assert [finding async for finding in reachable_contact(driver, partner)]
    order = await confirmed(driver, server, partner)
    picking = await pickings.of_order(driver, order)
    done = "quantity_done" if server.database == "odoo14" else "quantity"
    moves = await driver.call("stock.move", "search_read", [("picking_id", "=", picking.id)], fields=["id"])
    await driver.call("stock.move", "write", [move["id"] for move in moves], {done: 2})
    await asked_back(driver, picking.id)
    assert (await pickings.of_order(driver, order)).state == "assigned"
    await erase(driver)


async def asked_back(driver: OdooServer, picking: int) -> None:
    """Validate without the key that keeps Odoo from asking: it does, though 14 cannot even send its question."""
    try:
        answer: Any = await driver.call("stock.picking", "button_validate", [picking])
    except FaultError as error:
        assert "frozendict" in str(error)  # noqa: PT017 - one way of two
    else:
        assert answer["res_model"] == "confirm.stock.sms"


@ON_19
async def test_a_cron_that_fails_on_demand_is_no_error(server: Odoo) -> None:
    """Trap 9: run by hand, a cron that fails answers with something to display, without any error."""
    admin = server.admin()
    values = {"name": "Trap", "model_id": admin.reference("base.model_res_partner"), "state": "code", "active": False}
    cron = admin.call("ir.cron", "create", {**values, "code": "raise UserError('trap')"})
    assert admin.call("ir.cron", "method_direct_trigger", [cron])["tag"] == "display_exception"
    admin.call("ir.cron", "unlink", [cron])


@BOTH
async def test_a_cancelled_delivery_leaves_its_order(
    driver: OdooServer, server: Odoo, order: orders.Order, world: Any
) -> None:
    """Trap 12: the order of a cancelled delivery stays a confirmed one, so the probes cancel the order itself."""
    await driver.call("stock.picking", "action_cancel", list(order.pickings))
    (found,) = await orders.marked(driver, MARK)
    assert found.state == "sale"
    await erase(driver)
    assert marked(world.postgres, server.database, "test-traps") == 0
