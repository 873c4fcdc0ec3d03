"""Every flow over RPC on Odoo 14 and 19, as the least-privileged user that the docs name."""

from __future__ import annotations

from typing import Any

import pytest

from probes import label_print, login, portal_lookup, shipment_confirm
from quaywatch.contract import Odoo as Contract
from quaywatch.contract import Outcome, Probe, Reason, Swept
from quaywatch.drivers.odoo import OdooServer
from quaywatch.secret import Secret
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.seed import PARTNER, PLACE, PRODUCT
from sandbox.world import World
from tests.integration.probes.flows import SHIPMENT, labels
from tests.integration.probes.support import address, marked, run_once, sweep_now

PARTS = ("odoo14", "odoo19")
INSTALLATION = "test-flows"
SHIPPED = "test-flows-shipped"
ON_EACH = pytest.mark.parametrize("case", [(14, "xmlrpc"), (19, "json2")], indirect=True, ids=["14", "19"])


async def green(
    driver: OdooServer, server: Odoo, probe: Probe[Contract, Any], options: Any, installation: str = INSTALLATION
) -> None:
    """A run in which every step succeeds, and every undoing."""
    assert probe.check is None or [finding async for finding in probe.check(driver, options)] == []
    record = await run_once(driver, server, options, probe=probe, installation=installation)
    assert record.message == ""
    assert record.outcome is Outcome.SUCCESS
    assert [step.name for step in record.steps if not step.is_undo] == list(probe.steps)
    assert [step.name for step in record.steps if not step.ok] == []


async def test_labels_are_printed_and_read(driver: OdooServer, server: Odoo, world: World) -> None:
    """Slip and labels show what they must, in the number asked for; no record of the run stays."""
    await green(driver, server, label_print.PROBE, labels(server))
    assert marked(world.postgres, server.database, INSTALLATION) == 0


async def test_a_customer_sees_the_order(driver: OdooServer, server: Odoo, world: World) -> None:
    """The page shows order and delivery by its link alone, nobody is mailed, and no record of the run stays."""
    mails = sql(world.postgres, "select count(*) from mail_mail", server.database)
    options = portal_lookup.Options(partner=PARTNER, product=PRODUCT)
    await green(driver, server, portal_lookup.PROBE, options)
    assert marked(world.postgres, server.database, INSTALLATION) == 0
    assert sql(world.postgres, "select count(*) from mail_mail", server.database) == mails


async def test_the_user_logs_in(driver: OdooServer, server: Odoo) -> None:
    """Over RPC and on the web the probe's user is let in, as the same person."""
    await green(driver, server, login.PROBE, login.Options())


async def test_a_delivery_is_validated_for_ever(driver: OdooServer, server: Odoo, world: World) -> None:
    """The goods leave the probes' own place, nobody is told by mail, and what cannot be undone counts as permanent."""
    taken = f"select coalesce(sum(quantity), 0) from stock_quant where location_id = {server.place_id}"  # noqa: S608
    before = float(sql(world.postgres, taken, server.database))
    told = "select (select count(*) from mail_mail), (select count(*) from mail_activity)"
    people = sql(world.postgres, told, server.database)
    left = (await sweep_now(driver, SHIPPED, shipment_confirm.PROBE, SHIPMENT)).permanent
    await green(driver, server, shipment_confirm.PROBE, SHIPMENT, SHIPPED)
    assert float(sql(world.postgres, taken, server.database)) == before - 2
    assert await sweep_now(driver, SHIPPED, shipment_confirm.PROBE, SHIPMENT) == Swept(permanent=left + 2)
    assert sql(world.postgres, told, server.database) == people


@ON_EACH
async def test_nothing_is_shipped_from_elsewhere(driver: OdooServer, server: Odoo, world: World) -> None:
    """A delivery that would take goods from another place than the probes' is refused, and undone."""
    elsewhere = shipment_confirm.Options(partner=PARTNER, product=PRODUCT, location=PLACE)
    record = await run_once(driver, server, elsewhere, probe=shipment_confirm.PROBE, installation=INSTALLATION)
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.INVALID, Reason.CONFIG, "validate")
    assert marked(world.postgres, server.database, INSTALLATION) == 0


@ON_EACH
async def test_a_wrong_password_is_shown_once(server: Odoo) -> None:
    """Both ways of logging in end as our fault, and Odoo sees the wrong password only the first time."""
    driver = OdooServer(address(server, password=Secret("wrong")))
    for _ in range(2):
        record = await run_once(driver, server, login.Options(), probe=login.PROBE, installation=INSTALLATION)
        assert (record.outcome, record.reason) == (Outcome.INVALID, Reason.AUTH)
    with pytest.raises(Exception, match="refuses the login"):
        await driver.log_in_web()
    await driver.close()
