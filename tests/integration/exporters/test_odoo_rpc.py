"""Odoo 14 and 19 over their RPC and their pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from exporters import (
    odoo_rpc_business,
    odoo_rpc_crons,
    odoo_rpc_messages,
    odoo_rpc_modules,
    odoo_rpc_queue,
    odoo_web,
)
from quaywatch.drivers.odoo import OdooServer
from quaywatch.errors import PermissionDeniedError
from quaywatch.secret import Secret
from sandbox import faults, jobs, seed
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.world import World
from tests.integration.exporters.narrow import Read, Reading
from tests.integration.probes.support import address

PARTS = ("odoo14", "odoo19")
_MARK = "exporter-test"
_YEARS = 4000 * 86_400
_IN_TROUBLE = f"""
set session_replication_role = replica;
update queue_job set state = 'started', date_started = (now() at time zone 'utc') - interval '4000 days'
 where uuid = '{_MARK}-1';
update queue_job set state = 'failed', date_started = (now() at time zone 'utc') - interval '10 minutes'
 where uuid = '{_MARK}-2';
update queue_job set retry = 2 where uuid = '{_MARK}-3';
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Case:
    """A running Odoo."""

    name: str
    server: Odoo
    sessions: Path


@pytest.fixture(params=["odoo14", "odoo19"])
def case(request: pytest.FixtureRequest, world: World) -> Iterator[Case]:
    """Each Odoo, cleared of the jobs that a test put there."""
    name = str(request.param)
    yield Case(name, getattr(world, name), world.state / name / "data" / "sessions")
    jobs.remove(world.postgres, name, mark=_MARK)


@pytest_asyncio.fixture
async def admin(case: Case) -> AsyncIterator[OdooServer]:
    """A user who sees everything."""
    login = {"login": case.server.admin_login, "password": Secret(case.server.admin_password)}
    opened = OdooServer(address(case.server, **login))
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def salesman(case: Case) -> AsyncIterator[OdooServer]:
    """The probe's user, over JSON-2 where there is that."""
    key = Secret(case.server.api_key) if case.name == "odoo19" else None
    opened = OdooServer(address(case.server, api_key=key))
    yield opened
    await opened.close()


async def test_the_queue_is_counted(case: Case, admin: OdooServer, world: World, read: Read, eventually: Read) -> None:
    """Row 29: the counts and the oldest due job are those of the database.

    A runner that only just started may take a job between the two looks; then there is another look.
    """
    jobs.put_pending(world.postgres, case.name, mark=_MARK, count=3, age=1000)
    live = "select count(*) from queue_job where state not in ('done', 'cancelled')"
    pending = "select count(*) from queue_job where state = 'pending'"

    def agrees(found: Reading) -> bool:
        told = (found["odoo.rpc.queue.live",], found["odoo.rpc.queue.jobs", "root", "pending"])
        return told == tuple(int(sql(world.postgres, counts, case.name)) for counts in (live, pending))

    found = await eventually(lambda: read(odoo_rpc_queue.EXPORTER, admin), agrees)
    assert 1000 <= found["odoo.rpc.queue.oldest.age",] < 1100


async def test_a_planned_job_is_due_from_its_time_on(case: Case, admin: OdooServer, world: World, read: Read) -> None:
    """Row 29: one that was due a minute ago is a minute late, however long ago it was made."""
    jobs.put_pending(world.postgres, case.name, mark=_MARK, count=1, age=1000, ahead=-60)
    assert 60 <= (await read(odoo_rpc_queue.EXPORTER, admin))["odoo.rpc.queue.oldest.age",] < 160


async def test_jobs_in_trouble_show(case: Case, admin: OdooServer, world: World, read: Read) -> None:
    """Row 29: one that was started years ago and does not end, one that failed just now, one that is tried again."""
    before = await read(odoo_rpc_queue.EXPORTER, admin)
    jobs.put_pending(world.postgres, case.name, mark=_MARK, count=3, ahead=3600)
    sql(world.postgres, _IN_TROUBLE, case.name)
    found = await read(odoo_rpc_queue.EXPORTER, admin)
    assert found["odoo.rpc.queue.stuck.age", "started"] == pytest.approx(_YEARS, abs=100)
    for metric in ("odoo.rpc.queue.failed.recent", "odoo.rpc.queue.retrying"):
        assert found[metric,] == before[metric,] + 1


@pytest.mark.parametrize("module", [odoo_rpc_queue, odoo_rpc_crons, odoo_rpc_messages])
async def test_who_may_not_see_it_gets_an_error(module: Any, salesman: OdooServer, read: Read) -> None:
    """What may not be read is not empty."""
    with pytest.raises(PermissionDeniedError):
        await read(module.EXPORTER, salesman)


async def test_who_sees_only_his_own_orders_gets_an_error(salesman: OdooServer, read: Read) -> None:
    """A part is not taken for the whole, over both transports."""
    with pytest.raises(PermissionDeniedError, match="All Documents"):
        await read(odoo_rpc_business.EXPORTER, salesman)


async def test_business_without_the_probes(
    case: Case, admin: OdooServer, salesman: OdooServer, world: World, read: Read
) -> None:
    """Row 38: a customer's order counts; a marked one does not, and an excluded customer's neither."""
    excluded = odoo_rpc_business.Options(exclude_partners=(seed.PARTNER, 999_999_999))
    before = await read(odoo_rpc_business.EXPORTER, admin, excluded)
    order = seed.trade(case.server.admin())
    own = [await _own(salesman, case.server, mark) for mark in (f"quaywatch/{_MARK}/order_create/1", "")]
    everything = await read(odoo_rpc_business.EXPORTER, admin)
    found = await read(odoo_rpc_business.EXPORTER, admin, excluded)
    for one in own:
        await salesman.call("sale.order", "action_cancel", [one])
    recent, ready = ("odoo.rpc.orders.confirmed.recent",), ("odoo.rpc.pickings.open", "ready")
    assert (found[recent], everything[recent]) == (before[recent] + 1, before[recent] + 2)
    assert (found[ready], everything[ready]) == (before[ready] + 1, before[ready] + 2)
    assert 0 <= found["odoo.rpc.orders.last.age",] < 600
    plan = "update stock_picking set scheduled_date = (now() at time zone 'utc') - interval '5 hours' where sale_id ="
    sql(world.postgres, f"{plan} {order}", case.name)
    late = ("odoo.rpc.pickings.late", "ready")
    assert (await read(odoo_rpc_business.EXPORTER, admin, excluded))[late] == before[late] + 1
    case.server.admin().call("sale.order", "action_cancel", [order])


async def _own(salesman: OdooServer, server: Odoo, mark: str) -> int:
    """A confirmed order of the probe's customer."""
    line = (0, 0, {"product_id": server.product_id, "product_uom_qty": 1})
    values = {"partner_id": server.partner_id, "client_order_ref": mark, "order_line": [line]}
    order: int = await salesman.call("sale.order", "create", values)
    await salesman.call("sale.order", "action_confirm", [order])
    return order


async def test_a_database_of_another_version_shows(case: Case, admin: OdooServer, world: World, read: Read) -> None:
    """Row 31: as Odoo ships them code and database agree; a base that differs shows, which keeps crons from running.

    So does a module that waits, which keeps them from it, too.
    """
    version = "update ir_module_module set latest_version = '{}' where name = 'base'"
    state = "update ir_module_module set state = '{}' where name = 'website'"
    assert await read(odoo_rpc_modules.EXPORTER, admin) == _modules(skewed=0, waiting=0)
    now = "select latest_version from ir_module_module where name = 'base'"
    as_it_was = sql(world.postgres, now, case.name).strip()
    sql(world.postgres, version.format("1.0") + ";" + state.format("to upgrade"), case.name)
    try:
        found = await read(odoo_rpc_modules.EXPORTER, admin)
    finally:
        sql(world.postgres, version.format(as_it_was) + ";" + state.format("uninstalled"), case.name)
    assert found == _modules(skewed=1, waiting=1)


def _modules(*, skewed: int, waiting: int) -> Reading:
    """What there is to say of modules, with the base alone skewed, and upgrades alone waiting."""
    return {
        ("odoo.rpc.modules.skewed",): skewed,
        ("odoo.rpc.base.skewed",): skewed,
        ("odoo.rpc.modules.waiting", "to_install"): 0,
        ("odoo.rpc.modules.waiting", "to_upgrade"): waiting,
        ("odoo.rpc.modules.waiting", "to_remove"): 0,
    }


async def test_a_web_server_that_is_well(case: Case, salesman: OdooServer, read: Read) -> None:
    """Up, fast, and without a trail of sessions; Odoo 19 also says that it reaches its database server."""
    before = _sessions(case)
    memory = odoo_web.Memory()
    readings = [await read(odoo_web.EXPORTER, salesman, None, memory) for _ in range(3)]
    assert {found["odoo.web.up",] for found in readings} == {1}
    assert all(0 < found["odoo.web.duration",] < 60 for found in readings)
    assert [found.get(("odoo.web.database.up",)) for found in readings] == [1 if case.name == "odoo19" else None] * 3
    assert memory.page == (odoo_web.HEALTH if case.name == "odoo19" else odoo_web.LOGIN)
    assert _sessions(case) <= before + 1


def _sessions(case: Case) -> int:
    return len(list(case.sessions.rglob("*.sess")))


async def test_a_web_server_that_stands_still(case: Case, salesman: OdooServer, world: World, read: Read) -> None:
    """Wanted 15: frozen or stopped it is a 0, in time and without an error, and a 1 again afterwards."""
    quick: Any = odoo_web.Options(within=1.0)
    with faults.freeze(world, case.name):
        assert await read(odoo_web.EXPORTER, salesman, quick) == {("odoo.web.up",): 0}
    assert (await read(odoo_web.EXPORTER, salesman))["odoo.web.up",] == 1
    with faults.stop_odoo(world, case.name):
        assert await read(odoo_web.EXPORTER, salesman) == {("odoo.web.up",): 0}
