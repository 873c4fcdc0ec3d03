"""order_create on Odoo 14 and 19."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from probes.order_create import Options
from quaywatch.contract import Outcome, Reason, Swept
from quaywatch.drivers.odoo import OdooServer
from quaywatch.runtime.probing.marks import mark
from quaywatch.secret import Secret
from sandbox.faults import stop_odoo
from sandbox.parts.odoo import Odoo
from sandbox.seed import PARTNER, PRODUCT
from sandbox.world import World
from tests.integration.probes.support import address, marked, run_once, sweep_now

PARTS = ("odoo14", "odoo19")
INSTALLATION = "test-order-create"
SHIPPED = "test-order-shipped"


async def test_every_step_is_green(driver: OdooServer, server: Odoo, world: World) -> None:
    """A run goes through all its steps, undoes them, and no record of it stays."""
    record = await run_once(driver, server, installation=INSTALLATION)
    assert record.message == ""
    assert [(step.name, step.ok) for step in record.steps] == [
        ("create", True),
        ("confirm", True),
        ("picking", True),
        ("cancel", True),
        ("erase", True),
    ]
    assert marked(world.postgres, server.database, INSTALLATION) == 0


async def test_references_are_found_by_name(driver: OdooServer, server: Odoo) -> None:
    """Partner and product may be given by their references, which the salesman may look up."""
    record = await run_once(driver, server, Options(partner=PARTNER, product=PRODUCT), installation=INSTALLATION)
    assert record.outcome is Outcome.SUCCESS


async def test_a_wrong_password_is_our_fault(server: Odoo) -> None:
    """A refused login makes the run invalid: it never counts against the watched system."""
    driver = OdooServer(address(server, password=Secret("wrong")))
    record = await run_once(driver, server, installation=INSTALLATION)
    await driver.close()
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.INVALID, Reason.AUTH, "create")


async def test_a_wrong_janitor_costs_only_the_erasing(server: Odoo, driver: OdooServer, world: World) -> None:
    """With a wrong janitor every step is green, the order stays cancelled, and the sweep with a right one erases it."""
    wrong = OdooServer(address(server, janitor_password=Secret("wrong")))
    record = await run_once(wrong, server, installation=INSTALLATION)
    await wrong.close()
    assert record.outcome is Outcome.CLEANUP_FAILED
    assert [(step.name, step.ok) for step in record.steps][-2:] == [("cancel", True), ("erase", False)]
    assert await sweep_now(driver, INSTALLATION) == Swept(erased=2)
    assert marked(world.postgres, server.database, INSTALLATION) == 0


async def test_a_missing_partner_is_our_fault(driver: OdooServer, server: Odoo) -> None:
    """A configured id that is not there is a matter of the configuration."""
    nobody = Options(partner=99_999_999, product=server.product_id)
    record = await run_once(driver, server, nobody, installation=INSTALLATION)
    assert (record.outcome, record.reason) == (Outcome.INVALID, Reason.CONFIG)


async def test_the_same_tick_takes_over(driver: OdooServer, server: Odoo, world: World) -> None:
    """An order that an attempt of this tick left is taken over and undone, not doubled."""
    tick = 1_700_000_000.0
    first = await run_once(driver, server, installation=INSTALLATION, tick=tick)
    left = await driver.call("sale.order", "create", _left(server, first.run_id))
    record = await run_once(driver, server, installation=INSTALLATION, tick=tick)
    assert record.outcome is Outcome.SUCCESS
    assert await driver.call("sale.order", "search_count", [("id", ">", left)]) == 0
    assert marked(world.postgres, server.database, INSTALLATION) == 0


async def test_two_agents_at_one_tick_leave_each_other_alone(server: Odoo, driver: OdooServer, world: World) -> None:
    """While leases overlap both run the tick at the same moment: both pass, and each undoes its own order alone."""
    other = OdooServer(address(server))
    tick = 1_700_000_300.0
    runs = [
        run_once(agent, server, installation=INSTALLATION, tick=tick, process=name)
        for agent, name in ((driver, "anna"), (other, "bert"))
    ]
    records = await asyncio.gather(*runs)
    await other.close()
    assert [(record.outcome, record.message) for record in records] == [(Outcome.SUCCESS, "")] * 2
    assert records[0].run_id == records[1].run_id
    assert marked(world.postgres, server.database, INSTALLATION) == 0


async def test_without_a_janitor_the_sweep_counts_what_stays(server: Odoo, driver: OdooServer) -> None:
    """Order and delivery stay cancelled and are residue, nothing permanent; a janitor's sweep erases them."""
    alone = OdooServer(address(server, janitor_login="", janitor_password=None))
    record = await run_once(alone, server, installation=INSTALLATION)
    assert record.outcome is Outcome.SUCCESS
    assert await sweep_now(alone, INSTALLATION) == Swept(residue=2)
    await alone.close()
    assert await sweep_now(driver, INSTALLATION) == Swept(erased=2)


async def test_a_confirmed_order_is_swept_by_who_may_only_cancel(server: Odoo, driver: OdooServer) -> None:
    """What a killed run confirmed is cancelled, so that it holds no stock, also without a janitor."""
    order = await driver.call("sale.order", "create", _left(server, "killed"))
    await driver.call("sale.order", "action_confirm", [order])
    alone = OdooServer(address(server, janitor_login="", janitor_password=None))
    assert await sweep_now(alone, INSTALLATION) == Swept(undone=1, residue=2)
    await alone.close()
    assert await sweep_now(driver, INSTALLATION) == Swept(erased=2)


async def test_what_was_shipped_is_permanent(server: Odoo, driver: OdooServer) -> None:
    """A delivery that somebody validated keeps its order: cancelled, counted as permanent, and tried no more."""
    order = await driver.call("sale.order", "create", _left(server, "shipped", installation=SHIPPED))
    await driver.call("sale.order", "action_confirm", [order])
    (picking,) = (await driver.call("sale.order", "read", [order], ["picking_ids"]))[0]["picking_ids"]
    await _validate(driver, picking)
    first = await sweep_now(driver, SHIPPED)
    assert (first.undone, first.erased, first.residue) == (1, 0, 0)
    again = await sweep_now(driver, SHIPPED)
    assert (again.undone, again.erased, again.residue) == (0, 0, 0)
    assert again.permanent == first.permanent >= 2


async def _validate(driver: OdooServer, picking: int) -> None:
    """Ship a delivery, as the versions want it."""
    known = await driver.fields("stock.move")
    moves = await driver.call("stock.move", "search_read", [("picking_id", "=", picking)], fields=["id"])
    done = {"quantity_done": 1} if "quantity_done" in known else {"quantity": 1, "picked": True}
    await driver.call("stock.move", "write", [move["id"] for move in moves], done)
    skips = {"skip_sms": True, "skip_backorder": True, "skip_immediate": True}
    await driver.call("stock.picking", "button_validate", [picking], context=skips)


def _left(server: Odoo, run_id: str, *, installation: str = INSTALLATION) -> dict[str, Any]:
    """The values of an order as a run makes it."""
    line = (0, 0, {"product_id": server.product_id, "product_uom_qty": 1})
    bears = mark(installation, "order_create", run_id)
    return {"partner_id": server.partner_id, "client_order_ref": bears, "order_line": [line]}


@pytest.mark.parametrize("case", [(14, "xmlrpc")], ids=["14"], indirect=True)
async def test_a_stopped_odoo_is_a_failure_and_recovers(driver: OdooServer, server: Odoo, world: World) -> None:
    """While Odoo is down the run fails by connect; when it is back the next one succeeds with the same driver."""
    await run_once(driver, server, installation=INSTALLATION)
    with stop_odoo(world, "odoo14"):
        record = await run_once(driver, server, installation=INSTALLATION)
        assert (record.outcome, record.reason, record.failed_step) == (Outcome.FAILURE, Reason.CONNECT, "create")
        assert [step.name for step in record.steps] == ["create"]
    record = await run_once(driver, server, installation=INSTALLATION)
    assert record.outcome is Outcome.SUCCESS
