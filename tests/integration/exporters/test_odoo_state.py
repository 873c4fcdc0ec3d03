"""Modules, sessions and channels of real Odoo databases, read by roles with the declared grants alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from exporters import odoo_modules, odoo_queue_channels, odoo_sessions
from sandbox import jobs
from sandbox.parts.postgres import sql
from sandbox.world import World
from tests.integration.exporters.narrow import Read, visited

PARTS = ("odoo14", "odoo19")
_MARK = "exporter-test"
_STATE = "update ir_module_module set state = '{state}' where name = 'website'"
_NOW = "(now() at time zone 'utc')"
_DONE = f"""
set session_replication_role = replica;
update queue_job
   set state = 'done', date_started = {_NOW} - interval '70 seconds', date_done = {_NOW} - interval '60 seconds',
       exec_time = 10
 where uuid like '{_MARK}-%';
"""  # noqa: S608 - constants
_TUNED = """
create table queue_job (
    channel varchar, date_done timestamp, date_started timestamp, date_created timestamp, eta timestamp,
    exec_time float8);
create table queue_job_channel (complete_name varchar, paused bool, capacity int);
insert into queue_job_channel values ('root', null, null), ('root.labels', true, 4);
"""
_HERE = "insert into {table} (user_id, last_poll, status) values (:user, {now} - interval '{ago} seconds', 'online')"
_DEVICES = f"""
set session_replication_role = replica;
insert into res_device_log (session_identifier, user_id, last_activity, revoked)
values ('{_MARK}-1', 999001, {_NOW}, null), ('{_MARK}-2', 999001, {_NOW}, false),
       ('{_MARK}-3', 999002, {_NOW} - interval '3 hours', null), ('{_MARK}-4', 999003, {_NOW}, true);
"""  # noqa: S608 - constants


@pytest.fixture(params=["odoo14", "odoo19"])
def database(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """Each Odoo's database, cleared of the jobs that a test put there."""
    name = str(request.param)
    yield name
    jobs.remove(world.postgres, name, mark=_MARK)


async def test_versions_and_modules_that_wait(database: str, world: World, read: Read) -> None:
    """The version is the database's own, and a module that waits shows while it does."""
    found = await visited(odoo_modules.EXPORTER, world.postgres, database, read)
    sql(world.postgres, _STATE.format(state="to install"), database)
    try:
        waiting = await visited(odoo_modules.EXPORTER, world.postgres, database, read)
    finally:
        sql(world.postgres, _STATE.format(state="uninstalled"), database)
    (version,) = [key[1] for key in found if key[0] == "odoo.version.info"]
    assert version.startswith(f"{database.removeprefix('odoo')}.0.")
    assert found["odoo.modules.installed",] > 20
    assert (found["odoo.modules.waiting", "to_install"], waiting["odoo.modules.waiting", "to_install"]) == (0, 1)


async def test_who_is_online(database: str, world: World, read: Read) -> None:
    """A browser that asked a minute ago is there, one of five minutes ago is not; an excluded login is not counted."""
    table = "bus_presence" if database == "odoo14" else "mail_presence"
    users = "select id from res_users where login in ('probe', 'janitor')"
    gone = f"delete from {table} where user_id in ({users})"  # noqa: S608 - constants
    sql(world.postgres, gone, database)  # a browser of another test's may have been there
    before = await visited(odoo_sessions.EXPORTER, world.postgres, database, read)
    for login, ago in (("probe", 60), ("janitor", 300)):
        user = f"(select id from res_users where login = '{login}')"  # noqa: S608 - constants
        sql(world.postgres, _HERE.format(table=table, now=_NOW, ago=ago).replace(":user", user), database)
    try:
        found = await visited(odoo_sessions.EXPORTER, world.postgres, database, read)
        without = odoo_sessions.Options(exclude_users=("probe",))
        excluded = await visited(odoo_sessions.EXPORTER, world.postgres, database, read, without)
    finally:
        sql(world.postgres, gone, database)
    online = ("odoo.users.online",)
    assert (found[online], excluded[online]) == (before[online] + 1, before[online])


async def test_sessions_in_use(world: World, read: Read) -> None:
    """On Odoo 19 two sessions of one user count; an old and a revoked one do not. Odoo 14 knows none."""
    before = await visited(odoo_sessions.EXPORTER, world.postgres, "odoo19", read)
    sql(world.postgres, _DEVICES, "odoo19")
    try:
        found = await visited(odoo_sessions.EXPORTER, world.postgres, "odoo19", read)
    finally:
        sql(world.postgres, f"delete from res_device_log where session_identifier like '{_MARK}-%'", "odoo19")  # noqa: S608 - constants
    assert found["odoo.sessions.recent",] == before["odoo.sessions.recent",] + 2
    assert found["odoo.sessions.users.recent",] == before["odoo.sessions.users.recent",] + 1
    assert ("odoo.sessions.recent",) not in await visited(odoo_sessions.EXPORTER, world.postgres, "odoo14", read)


async def test_channels_tell_their_pace(database: str, world: World, read: Read) -> None:
    """Row 29: jobs done a minute ago, which waited and ran for as long as they did."""
    before = await visited(odoo_queue_channels.EXPORTER, world.postgres, database, read)
    jobs.put_pending(world.postgres, database, mark=_MARK, count=3, age=100)
    sql(world.postgres, _DONE, database)
    found = await visited(odoo_queue_channels.EXPORTER, world.postgres, database, read)
    assert found["odoo.queue.done.recent", "root"] == before["odoo.queue.done.recent", "root"] + 3
    assert 25 <= found["odoo.queue.delay.longest", "root"] <= 90
    assert found["odoo.queue.execution.longest", "root"] == 10
    assert ("odoo.queue.channel.paused", "root") not in found


async def test_paused_channels_show_where_they_can_be_paused(world: World, read: Read) -> None:
    """Row 29: on tables as version 18 has them, a channel without a capacity of its own has none."""
    sql(world.postgres, "drop database if exists channels_18 with (force)")
    sql(world.postgres, "create database channels_18")
    sql(world.postgres, _TUNED, "channels_18")
    found = await visited(odoo_queue_channels.EXPORTER, world.postgres, "channels_18", read)
    sql(world.postgres, "drop database channels_18 with (force)")
    assert found == {
        ("odoo.queue.done.recent", "root"): 0,
        ("odoo.queue.channel.paused", "root"): 0,
        ("odoo.queue.done.recent", "root.labels"): 0,
        ("odoo.queue.channel.paused", "root.labels"): 1,
        ("odoo.queue.channel.capacity", "root.labels"): 4,
    }


@pytest.mark.parametrize(
    "exporter",
    [odoo_modules.EXPORTER, odoo_sessions.EXPORTER, odoo_queue_channels.EXPORTER],
    ids=lambda exporter: exporter.name,
)
async def test_a_database_without_odoo_says_nothing(exporter: Any, world: World, read: Read) -> None:
    """The maintenance database has none of it: no sample and no error."""
    assert await visited(exporter, world.postgres, "postgres", read) == {}
