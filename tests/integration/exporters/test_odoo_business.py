"""Orders and transfers of real Odoo databases, with real probes at work beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from exporters import odoo_orders, odoo_pickings
from quaywatch.contract import Outcome
from quaywatch.drivers.odoo import OdooServer
from sandbox import seed
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.world import World
from tests.integration.exporters.narrow import Read, Reading, visited
from tests.integration.probes.support import address, run_once

PARTS = ("odoo14", "odoo19")
INSTALLATION = "test-business"
_CONFIRMED_OF_PROBE = f"""
select count(*) from sale_order where client_order_ref like 'quaywatch/{INSTALLATION}/%' and state = 'sale'
"""  # noqa: S608 - constants
_CARRIER = (
    "set session_replication_role = replica; insert into delivery_carrier ({fields}) values ({values}) returning id"
)
_CLEAR = """
update stock_picking set carrier_id = null, carrier_tracking_ref = null where carrier_id = {carrier};
delete from delivery_carrier where id = {carrier};
"""
_TRACKED = """
update stock_picking set carrier_tracking_ref = 'T1', date_done = date_done - interval '20 minutes'
 where carrier_id = {carrier}
"""
_SHIFT = """
update sale_order set date_order = date_order {0} interval '1 day', create_date = create_date {0} interval '1 day'
 where id <= {1}
"""
_AGE = ("odoo.orders.last.age",)
_RECENT = ("odoo.orders.confirmed.recent",)
_READY = ("odoo.pickings.open", "outgoing", "ready")


@pytest.fixture(params=["odoo14", "odoo19"])
def server(request: pytest.FixtureRequest, world: World) -> Odoo:
    """Each Odoo."""
    odoo: Odoo = getattr(world, str(request.param))
    return odoo


@pytest.fixture
def yesterday(server: Odoo, world: World) -> Iterator[None]:
    """All orders there are were made and confirmed a day earlier, for the length of a test."""
    newest = sql(world.postgres, "select max(id) from sale_order", server.database)
    sql(world.postgres, _SHIFT.format("-", newest), server.database)
    yield
    sql(world.postgres, _SHIFT.format("+", newest), server.database)


@pytest_asyncio.fixture
async def driver(server: Odoo) -> AsyncIterator[OdooServer]:
    """The probe's user."""
    opened = OdooServer(address(server))
    yield opened
    await opened.close()


class Watched:
    """The probe's driver, and what the exporters read the moment after an order was confirmed."""

    def __init__(self, driver: OdooServer, server: Odoo, world: World, read: Read) -> None:
        self._driver = driver
        self._server = server
        self._world = world
        self._read = read
        self.readings: list[Reading] = []
        self.confirmed: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """The driver's own, then a look."""
        answer = await self._driver.call(model, method, *arguments, **keywords)
        if method == "action_confirm":
            database = self._server.database
            self.confirmed.append(int(sql(self._world.postgres, _CONFIRMED_OF_PROBE, database)))
            self.readings.append(await business(self._world, self._server, self._read))
        return answer


async def business(world: World, server: Odoo, read: Read, *partners: int | str) -> Reading:
    """One reading of orders and transfers, each by its own role."""
    orders = odoo_orders.Options(exclude_partners=partners, grace=0)
    pickings = odoo_pickings.Options(exclude_partners=partners)
    found = await visited(odoo_orders.EXPORTER, world.postgres, server.database, read, orders)
    return found | await visited(odoo_pickings.EXPORTER, world.postgres, server.database, read, pickings)


async def test_probes_alone_are_no_business(
    server: Odoo, world: World, driver: OdooServer, read: Read, yesterday: None
) -> None:
    """Row 38: with probes running and no other order, the last one is over 600 s old and there is none an hour.

    The readings are made while the probe's confirmed order and its delivery are there.
    """
    _ = yesterday
    before = await business(world, server, read)
    probe: Any = Watched(driver, server, world, read)
    for _run in range(2):
        record = await run_once(probe, server, installation=INSTALLATION)
        assert record.outcome is Outcome.SUCCESS
    assert probe.confirmed == [1, 1]
    ages = [reading[_AGE] for reading in (before, *probe.readings)]
    assert ages == sorted(set(ages))
    assert all(age > 600 for age in ages)
    assert {reading[_RECENT] for reading in (before, *probe.readings)} == {0}
    for reading in probe.readings:
        assert {key: value for key, value in reading.items() if key[0] == "odoo.pickings.open"} == {
            key: value for key, value in before.items() if key[0] == "odoo.pickings.open"
        }


async def test_an_order_of_a_customer_is_business(server: Odoo, world: World, read: Read, yesterday: None) -> None:
    """Row 38: one real order, and the heart beats again; its delivery is ready; shipped, it was done lately."""
    _ = yesterday
    before = await business(world, server, read)
    order = seed.trade(server.admin())
    found = await business(world, server, read)
    assert (before[_RECENT], found[_RECENT]) == (0, 1)
    assert found[_AGE] < 600
    assert found[_READY] == before[_READY] + 1
    assert found["odoo.orders.without_delivery",] == before["odoo.orders.without_delivery",]
    seed.ship(server.admin(), order)
    shipped = await business(world, server, read)
    done = ("odoo.pickings.done.recent", "outgoing")
    assert (shipped[_READY], shipped[done]) == (before[_READY], before[done] + 1)
    assert shipped["odoo.pickings.last.age", "outgoing"] < 600


async def test_an_excluded_partner_is_no_business(
    server: Odoo, world: World, driver: OdooServer, read: Read, yesterday: None
) -> None:
    """An order without a mark is left out by its customer, named by reference or by id."""
    _ = yesterday
    before = await business(world, server, read)
    line = (0, 0, {"product_id": server.product_id, "product_uom_qty": 1})
    order = await driver.call("sale.order", "create", {"partner_id": server.partner_id, "order_line": [line]})
    await driver.call("sale.order", "action_confirm", [order])
    try:
        counted = await business(world, server, read)
        by_reference = await business(world, server, read, seed.PARTNER)
        by_id = await business(world, server, read, server.partner_id)
    finally:
        await driver.call("sale.order", "action_cancel", [order])
    assert (counted[_RECENT], by_reference[_RECENT], by_id[_RECENT]) == (1, 0, 0)
    assert (counted[_READY], by_reference[_READY], by_id[_READY]) == (
        before[_READY] + 1,
        before[_READY],
        before[_READY],
    )


async def test_orders_without_a_delivery_and_late_transfers_show(server: Odoo, world: World, read: Read) -> None:
    """Row 38: an order whose deliveries were all cancelled went nowhere; one planned for yesterday is late."""
    admin = server.admin()
    stranded, late = seed.trade(admin), seed.trade(admin)
    pickings = admin.call("stock.picking", "search", [("sale_id", "=", stranded)])
    before = await business(world, server, read)
    admin.call("stock.picking", "action_cancel", pickings)
    plan = "update stock_picking set scheduled_date = (now() at time zone 'utc') - interval '5 hours' where sale_id = "
    sql(world.postgres, f"{plan} {late}", server.database)
    found = await business(world, server, read)
    for order in (stranded, late):
        admin.call("sale.order", "action_cancel", [order])
    assert found["odoo.orders.without_delivery",] == before["odoo.orders.without_delivery",] + 1
    assert found["odoo.orders.without_delivery.oldest.age",] > 0
    assert found["odoo.pickings.late", "outgoing", "ready"] == before["odoo.pickings.late", "outgoing", "ready"] + 1
    assert found["odoo.pickings.late.longest", "outgoing", "ready"] >= 18_000


async def test_a_connectors_delivery_without_tracking_shows(server: Odoo, world: World, read: Read) -> None:
    """Row 38: nothing is said without a connector; with one, what lacks its number counts, and the last label ages."""
    before = await business(world, server, read)
    assert not [key for key in before if key[0] == "odoo.pickings.untracked"]
    fields = "product_id, name, delivery_type, integration_level, invoice_policy, active"
    name = "'Express'" if server.database == "odoo14" else """'{"en_US": "Express"}'"""
    values = f"{server.product_id}, {name}, 'express', 'rate_and_ship', 'estimated', true"
    carrier = sql(world.postgres, _CARRIER.format(fields=fields, values=values), server.database).strip()
    done = "(select min(id) from stock_picking where state = 'done')"
    attach = "update stock_picking set carrier_id = {}, date_done = now() at time zone 'utc' where id = {}"
    try:
        sql(world.postgres, attach.format(carrier, done), server.database)
        found = await business(world, server, read)
        sql(world.postgres, _TRACKED.format(carrier=carrier), server.database)
        tracked = await business(world, server, read)
    finally:
        sql(world.postgres, _CLEAR.format(carrier=carrier), server.database)
    assert found["odoo.pickings.untracked", "express"] == 1
    assert tracked["odoo.pickings.untracked", "express"] == 0
    assert ("odoo.pickings.label.last.age", "express") not in found
    assert 1200 <= tracked["odoo.pickings.label.last.age", "express"] < 1300


@pytest.mark.parametrize("exporter", [odoo_orders.EXPORTER, odoo_pickings.EXPORTER], ids=lambda e: e.name)
async def test_a_database_without_odoo_says_nothing(exporter: Any, world: World, read: Read) -> None:
    """The maintenance database has none of it: no sample and no error."""
    assert await visited(exporter, world.postgres, "postgres", read) == {}
