"""The crons of real Odoo databases, read by a role that holds the declared grants and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from exporters import odoo_rpc_crons
from exporters.odoo_cron import EXPORTER, Memory, Options
from sandbox.parts.postgres import sql
from sandbox.world import World
from tests.integration.exporters.narrow import Read, Reading, administrator, assert_same, visited

PARTS = ("odoo14", "odoo19")
_MARK = "exporter-test"
_YEARS = 4000 * 86_400
"""Seconds; later than any cron that others left late in the shared database."""
_PUT = """
set session_replication_role = replica;
insert into ir_cron (ir_actions_server_id, cron_name, user_id, active, interval_number, interval_type, priority,
                     nextcall, lastcall {columns})
values (0, '{mark} {name}', 1, {active}, 1, 'days', 5,
        (now() at time zone 'utc') - interval '{late} seconds',
        (now() at time zone 'utc') - interval '{idle} seconds' {values});
"""
_UNFINISHED = "update ir_module_module set state = '{state}' where name = 'website'"
_CLEAR_14 = f"delete from ir_cron where cron_name like '{_MARK}%'"  # noqa: S608 - constant
_CLEAR_19 = f"""
delete from ir_cron_trigger where cron_id in (select id from ir_cron where cron_name like '{_MARK}%');
delete from ir_cron_progress where cron_id in (select id from ir_cron where cron_name like '{_MARK}%');
{_CLEAR_14};
"""  # noqa: S608 - constant


@pytest.fixture(params=["odoo14", "odoo19"])
def database(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """Each Odoo's database, whose crons stand still while a test puts some there."""
    name = str(request.param)
    sql(world.postgres, _UNFINISHED.format(state="to install"), name)
    yield name
    sql(world.postgres, _CLEAR_19 if name == "odoo19" else _CLEAR_14, name)
    sql(world.postgres, _UNFINISHED.format(state="uninstalled"), name)


def put(world: World, database: str, name: str, *, active: bool = True, late: int = -60, idle: int = 60) -> None:
    """A cron, well or late."""
    columns, values = (", numbercall, doall", ", -1, false") if database == "odoo14" else ("", "")
    facts = {"active": active, "late": late, "idle": idle, "columns": columns, "values": values}
    sql(world.postgres, _PUT.format(mark=_MARK, name=name, **facts), database)


def fails(world: World, name: str, count: int, since: str) -> None:
    """A cron of Odoo 19 fails."""
    first = f"(now() at time zone 'utc') - interval '{since}'" if count else "null"
    facts = f"failure_count = {count}, first_failure_date = {first}"
    sql(world.postgres, f"update ir_cron set {facts} where cron_name = '{_MARK} {name}'", "odoo19")  # noqa: S608 - as above


async def reading(world: World, database: str, read: Read, *others: Any) -> Reading:
    """One reading."""
    return await visited(EXPORTER, world.postgres, database, read, *others)


async def test_overdue_crons_and_a_skipped_database(database: str, world: World, read: Read) -> None:
    """Row 31: on both versions the late are counted and named, times taken for UTC, and the skipping is said."""
    put(world, database, "late", late=_YEARS, idle=90_000)
    put(world, database, "soon")
    put(world, database, "off", active=False, late=_YEARS)
    found = await reading(world, database, read, Options(top=1, named=(f"{_MARK} late", "nobody")))
    late = found["odoo.cron.overdue",]
    assert late >= 1
    assert _YEARS <= found["odoo.cron.overdue.longest",] < _YEARS + 100
    assert _YEARS <= found["odoo.cron.overdue.age", f"{_MARK} late"] < _YEARS + 100
    assert 90_000 <= found["odoo.cron.run.age", f"{_MARK} late"] < 90_100
    assert found["odoo.cron.found", "nobody"] == 0
    assert found["odoo.cron.inactive",] >= 1
    assert 0 <= found["odoo.cron.last_run.age",] <= 70
    assert found["odoo.cron.skipped",] == 1
    assert (("odoo.cron.failing",) in found) == (database == "odoo19")


async def test_rpc_tells_the_same_of_crons(database: str, world: World, read: Read) -> None:
    """Row 31: where there is no SQL the late, failing and switched off ones and the skipping are told all the same."""
    put(world, database, "late", late=_YEARS, idle=90_000)
    put(world, database, "off", active=False, late=_YEARS)
    if database == "odoo19":
        put(world, database, "broken")
        fails(world, "broken", 400, "4000 days")
    options = Options(top=1000, named=(f"{_MARK} late", "nobody"))
    async with administrator(world, database) as odoo:
        found = await read(odoo_rpc_crons.EXPORTER, odoo, options)
    assert found["odoo.cron.overdue.age", f"{_MARK} late"] > 0
    assert found["odoo.cron.skipped",] == 1
    assert_same(found, await reading(world, database, read, options), odoo_rpc_crons.EXPORTER)


async def test_without_waiting_modules_nothing_is_skipped(world: World, read: Read) -> None:
    """Row 31: a measured 0, on a database that is left alone."""
    for name in ("odoo14", "odoo19"):
        assert (await reading(world, name, read))["odoo.cron.skipped",] == 0


async def test_a_database_without_odoo_says_nothing(world: World, read: Read) -> None:
    """The maintenance database has no crons: no sample and no error."""
    assert await reading(world, "postgres", read) == {}


@pytest.mark.parametrize("database", ["odoo19"], indirect=True)
async def test_failing_crons_until_odoo_switches_them_off(database: str, world: World, read: Read) -> None:
    """Row 31: failures in a row, and the switch, which Odoo writes together with forgetting the failures."""
    memory, options = Memory(), Options(named=(f"{_MARK} broken",))
    before = await reading(world, database, read, options, memory)
    failing, off = (before[metric,] for metric in ("odoo.cron.failing", "odoo.cron.switched_off"))
    put(world, database, "broken")
    fails(world, "broken", 400, "4000 days")
    found = await reading(world, database, read, options, memory)
    assert found["odoo.cron.failing",] == failing + 1
    assert found["odoo.cron.failures", f"{_MARK} broken"] == 400
    assert found["odoo.cron.failing.longest",] == pytest.approx(_YEARS, abs=60)
    assert found["odoo.cron.success.age", f"{_MARK} broken"] == pytest.approx(_YEARS, abs=60)
    assert found["odoo.cron.switched_off",] == off
    sql(world.postgres, f"update ir_cron set active = false where cron_name = '{_MARK} broken'", database)  # noqa: S608 - as above
    fails(world, "broken", 0, "")
    found = await reading(world, database, read, options, memory)
    assert (found["odoo.cron.failing",], found["odoo.cron.switched_off",]) == (failing, off + 1)
    assert found["odoo.cron.found", f"{_MARK} broken"] == 0


@pytest.mark.parametrize("database", ["odoo19"], indirect=True)
async def test_late_triggers_and_time_outs(database: str, world: World, read: Read) -> None:
    """Row 31: an extra run that is late, and a run that was cut off."""
    before = await reading(world, database, read)
    put(world, database, "asked")
    cron = f"(select id from ir_cron where cron_name = '{_MARK} asked')"  # noqa: S608 - as above
    now = "now() at time zone 'utc'"
    sql(
        world.postgres,
        f"insert into ir_cron_trigger (cron_id, call_at) values ({cron}, ({now}) - interval '4000 days');"  # noqa: S608 - as above
        f"insert into ir_cron_progress (cron_id, timed_out_counter, create_date) values ({cron}, 2, {now});",
        database,
    )
    found = await reading(world, database, read)
    assert found["odoo.cron.triggers.late",] == before["odoo.cron.triggers.late",] + 1
    assert _YEARS <= found["odoo.cron.triggers.longest",] < _YEARS + 100
    assert found["odoo.cron.timed_out.recent",] == before["odoo.cron.timed_out.recent",] + 1
