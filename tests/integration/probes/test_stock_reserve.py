"""stock_reserve on Odoo 14 and 19."""

from __future__ import annotations

import pytest

from probes.stock_reserve import PROBE, Options
from quaywatch.contract import Outcome, Reason, Swept
from quaywatch.drivers.odoo import OdooServer
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.seed import PARTNER, STOCK, STORABLE
from sandbox.world import World
from tests.integration.probes.support import marked, run_once, sweep_now

PARTS = ("odoo14", "odoo19")
INSTALLATION = "test-stock-reserve"
RESERVED = "select coalesce(sum(reserved_quantity), 0) from stock_quant where product_id = {0.storable_id}"


async def test_every_step_is_green(driver: OdooServer, server: Odoo, world: World) -> None:
    """The goods are let go of, reserved again, and free after the run; no record of it stays."""
    before = sql(world.postgres, RESERVED.format(server), server.database)
    options = Options(partner=PARTNER, product=STORABLE, quantity=3)
    record = await run_once(driver, server, options, probe=PROBE, installation=INSTALLATION)
    assert record.message == ""
    assert [(step.name, step.ok) for step in record.steps] == [
        ("create", True),
        ("confirm", True),
        ("release", True),
        ("reserve", True),
        ("cancel", True),
        ("freed", True),
        ("erase", True),
    ]
    assert marked(world.postgres, server.database, INSTALLATION) == 0
    assert sql(world.postgres, RESERVED.format(server), server.database) == before


@pytest.mark.parametrize(
    ("reference", "quantity", "said"),
    [("PROBE-PARCEL", 1.0, "no stock of it is kept"), (STORABLE, STOCK + 1.0, "bring in more")],
    ids=["of no stock", "too much"],
)
@pytest.mark.parametrize("case", [(14, "xmlrpc"), (19, "json2")], indirect=True, ids=["14", "19"])
async def test_a_product_that_cannot_be_reserved_is_our_fault(
    driver: OdooServer, server: Odoo, world: World, reference: str, quantity: float, said: str
) -> None:
    """Goods without stock, and more than there is: the configuration is wrong, not Odoo; nothing of it stays."""
    options = Options(partner=PARTNER, product=reference, quantity=quantity)
    assert [said in finding async for finding in PROBE.check(driver, options)] == [True]  # type: ignore[misc]
    record = await run_once(driver, server, options, probe=PROBE, installation=INSTALLATION)
    assert (record.outcome, record.reason) == (Outcome.INVALID, Reason.CONFIG)
    assert said in record.message
    assert marked(world.postgres, server.database, INSTALLATION) == 0


async def test_a_sound_configuration_has_no_findings(driver: OdooServer) -> None:
    """The sandbox's user, partner and product give nothing to complain about."""
    options = Options(partner=PARTNER, product=STORABLE)
    assert [finding async for finding in PROBE.check(driver, options)] == []  # type: ignore[misc]


@pytest.mark.parametrize("case", [(14, "xmlrpc"), (19, "json2")], indirect=True, ids=["14", "19"])
async def test_what_a_killed_run_reserved_is_free_after_the_sweep(
    driver: OdooServer, server: Odoo, world: World
) -> None:
    """An order that nobody undid lets go of the goods when it is swept."""
    before = sql(world.postgres, RESERVED.format(server), server.database)
    line = (0, 0, {"product_id": server.storable_id, "product_uom_qty": 2})
    mark = f"quaywatch/{INSTALLATION}/stock_reserve/killed"
    values = {"partner_id": server.partner_id, "client_order_ref": mark, "order_line": [line]}
    order = await driver.call("sale.order", "create", values)
    await driver.call("sale.order", "action_confirm", [order])
    assert sql(world.postgres, RESERVED.format(server), server.database) != before
    assert await sweep_now(driver, INSTALLATION, PROBE) == Swept(undone=1, erased=2)
    assert sql(world.postgres, RESERVED.format(server), server.database) == before
