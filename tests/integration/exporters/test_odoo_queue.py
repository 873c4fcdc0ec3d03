"""The job queue of real Odoo databases, read by a role that holds the declared grants and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest

from exporters.odoo_queue import EXPORTER
from quaywatch.drivers.postgres import PostgresCluster
from quaywatch.errors import PermissionDeniedError
from sandbox import faults, jobs
from sandbox.parts.postgres import session, sql
from sandbox.process import until
from sandbox.world import World
from tests.integration.exporters.narrow import Read, Reading, role_of, visited

PARTS = ("odoo14", "odoo19", "standby")
_MARK = "exporter-test"
_YEARS = 4000 * 86_400
"""Seconds; longer than any job that others left in the shared database waits or runs."""
_PUT_INTO = """
set session_replication_role = replica;
update queue_job set state = '{state}', date_started = (now() at time zone 'utc') - interval '{ago} seconds'
 where uuid = '{uuid}';
"""
_WORKED_ON = """
set session_replication_role = replica;
update queue_job
   set state = 'started', date_started = now() at time zone 'utc',
       worker_pid = case uuid when '{mark}-1' then 1999999999 else (
           select min(substr(application_name, 6)::int) from pg_stat_activity
            where datname = current_database() and application_name ~ '^odoo-[0-9]+$') end
 where uuid in ('{mark}-1', '{mark}-2');
"""
_FAIL = """
set session_replication_role = replica;
update queue_job
   set state = 'failed', exc_name = case uuid when '{mark}-1' then 'exporter_test.Refused' else 'secret: 7' end
 where uuid like '{mark}-%';
"""
_RUNNER = ("odoo.queue.runner.alive",)
_OLDEST = ("odoo.queue.oldest.age", "root")
_PENDING = ("odoo.queue.jobs", "root", "pending")
_STARTED = ("odoo.queue.jobs", "root", "started")
_ORPHANED = ("odoo.queue.orphaned",)


@pytest.fixture(params=["odoo14", "odoo19"])
def database(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """Each Odoo's database in turn, cleared of what a test put there."""
    name = str(request.param)
    yield name
    jobs.remove(world.postgres, name, mark=_MARK)


async def reading_of(world: World, database: str, read: Read) -> Reading:
    """One reading by the exporter's own role."""
    return await visited(EXPORTER, world.postgres, database, read)


async def test_a_database_without_the_module_says_nothing(world: World, read: Read) -> None:
    """The maintenance database has no queue: no sample and no error."""
    assert await reading_of(world, "postgres", read) == {}


async def test_only_live_jobs_are_counted(database: str, world: World, read: Read) -> None:
    """Row 29: failed and planned jobs are, done ones are not; planned ones are not due."""
    before = await reading_of(world, database, read)
    jobs.put_pending(world.postgres, database, mark=_MARK, count=2, ahead=3600)
    found = await reading_of(world, database, read)
    live = sql(world.postgres, "select count(*) from queue_job where state not in ('done', 'cancelled')", database)
    assert int(sql(world.postgres, "select count(*) from queue_job where state = 'done'", database)) > 0
    counted = [value for key, value in found.items() if key[0] == "odoo.queue.jobs"]
    assert found["odoo.queue.live",] == int(live) == sum(counted)
    assert found[_PENDING] == before.get(_PENDING, 0) + 2
    assert (_OLDEST in found) == (_OLDEST in before)


async def test_the_oldest_due_job_tells_its_age(database: str, world: World, read: Read) -> None:
    """Row 29: times without a zone are taken for UTC, whatever the server's zone is."""
    before = await reading_of(world, database, read)
    role = role_of(EXPORTER.name, EXPORTER.grants, world.postgres, database)
    jobs.put_pending(world.postgres, database, mark=_MARK, count=3, age=_YEARS)
    sql(world.postgres, f"alter role {role} set timezone = 'Asia/Tokyo'")
    found = await reading_of(world, database, read)
    sql(world.postgres, f"alter role {role} reset timezone")
    assert _YEARS <= found[_OLDEST] < _YEARS + 100
    assert found[_PENDING] == before.get(_PENDING, 0) + 3


async def test_stuck_and_failed_jobs(database: str, world: World, read: Read) -> None:
    """Row 29: a job started long ago is stuck for so long; of two failures only the recent one is of the last hour."""
    before = (await reading_of(world, database, read)).get(("odoo.queue.failed.recent", "root"), 0)
    jobs.put_pending(world.postgres, database, mark=_MARK, count=3)
    for number, (state, ago) in enumerate([("started", _YEARS), ("failed", 1800), ("failed", 7200)], start=1):
        sql(world.postgres, _PUT_INTO.format(state=state, ago=ago, uuid=f"{_MARK}-{number}"), database)
    found = await reading_of(world, database, read)
    assert _YEARS <= found["odoo.queue.stuck.age", "root", "started"] < _YEARS + 100
    assert found["odoo.queue.failed.recent", "root"] == before + 1


async def test_failed_jobs_are_told_apart_by_class(database: str, world: World, read: Read) -> None:
    """Row 29: by the class of their exception; what does not look like one is not repeated."""
    before = await reading_of(world, database, read)
    jobs.put_pending(world.postgres, database, mark=_MARK, count=3)
    sql(world.postgres, _FAIL.format(mark=_MARK), database)
    found = await reading_of(world, database, read)
    assert found["odoo.queue.failures", "exporter_test.Refused"] == 1
    assert found["odoo.queue.failures", "unknown"] == before.get(("odoo.queue.failures", "unknown"), 0) + 2
    assert not [key for key in found if "secret" in " ".join(key)]


async def test_a_started_job_whose_worker_died_is_an_orphan(database: str, world: World, read: Read) -> None:
    """Row 29: on Odoo 19 it is told from one whose worker lives; sessions of Odoo 14 do not say whose they are."""
    before = await reading_of(world, database, read)
    jobs.put_pending(world.postgres, database, mark=_MARK, count=2)
    sql(world.postgres, _WORKED_ON.format(mark=_MARK), database)
    found = await reading_of(world, database, read)
    assert found[_STARTED] == before.get(_STARTED, 0) + 2
    assert found.get(_ORPHANED) == (before[_ORPHANED] + 1 if database == "odoo19" else None)


async def test_a_role_without_the_grants_gets_an_error(
    database: str, world: World, connect: Callable[..., Awaitable[PostgresCluster]], read: Read
) -> None:
    """A queue that may not be read is not an empty one."""
    sql(world.postgres, "drop role if exists nobody_at_all; create role nobody_at_all login password 'none'")
    stranger = await connect(world.postgres, "nobody_at_all", "none")
    with pytest.raises(PermissionDeniedError):
        async with stranger.visit(database) as session:
            await read(EXPORTER, session)


async def test_a_standby_tells_of_jobs_and_not_of_who_works_on_them(
    world: World, connect: Callable[..., Awaitable[PostgresCluster]], read: Read, eventually: Read
) -> None:
    """Rows 29, 30: Odoo's jobs are there as on its primary; its workers' sessions and its lock are not, and not as a 0.

    A reader of the standby that bears a process id, as Odoo 18 and later have them, makes nobody an orphan.
    """
    found = await reading_of(world, "odoo19", read)
    assert {_RUNNER, _ORPHANED} <= set(found)
    role = role_of(EXPORTER.name, EXPORTER.grants, world.postgres, "odoo19")
    assert until(lambda: bool(sql(world.standby, f"select to_regrole('{role}')")), within=60)
    standby = await connect(world.standby, role, role)

    async def reading() -> Reading:
        async with standby.visit("odoo19") as visit:
            there: Reading = await read(EXPORTER, visit)
            return there

    with session(world.standby, "select 1;", "odoo19", "odoo-1999999999"):
        named = "select 1 from pg_stat_activity where application_name = 'odoo-1999999999'"
        assert until(lambda: bool(sql(world.standby, named)), within=60)
        there = await eventually(reading, lambda there: there.keys() == found.keys() - {_RUNNER, _ORPHANED})
    assert ("odoo.queue.live",) in there


async def test_the_runner_is_alive_and_then_dead(world: World, read: Read, eventually: Read) -> None:
    """Row 30: on Odoo 19 a stopped server shows as 0; Odoo 14 has no such sign."""
    assert _RUNNER not in await reading_of(world, "odoo14", read)
    reading = partial(reading_of, world, "odoo19", read)
    await eventually(reading, lambda found: found[_RUNNER] == 1)
    with faults.stop_odoo(world, "odoo19"):
        await eventually(reading, lambda found: found[_RUNNER] == 0)
