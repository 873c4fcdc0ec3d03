"""The job queue of real Odoo databases, read by a role that holds the declared grants and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from exporters.odoo_queue import EXPORTER, GRANTS
from quaywatch.drivers.postgres import PostgresCluster
from quaywatch.errors import PermissionDeniedError
from sandbox import jobs
from sandbox.parts import odoo, postgres
from sandbox.process import Services
from sandbox.progress import Progress

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

_MARK = "exporter-test"
_NARROW = "narrow"
_EDITIONS = (odoo.ODOO14, odoo.ODOO19)
_NEARER = "update queue_job set eta = (now() at time zone 'utc') + interval '1 day' where state = 'pending'"
"""A runner cannot wait for a job that is planned more than 24 days ahead: it fails, and starts over."""
_PUT_INTO = """
set session_replication_role = replica;
update queue_job set state = '{state}', date_started = (now() at time zone 'utc') - interval '{ago} minutes'
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


@dataclass(frozen=True)
class World:
    """The server and the running editions of Odoo."""

    postgres: postgres.Postgres
    services: Services


@pytest.fixture(scope="module")
def world(services: Services) -> Iterator[World]:
    """Both Odoos on one server, with a role made from the exporter's declaration."""
    server = postgres.start(services, None, None)
    world = World(server, services)
    postgres.sql(server, f"create role {_NARROW} login password '{_NARROW}'")
    for edition in _EDITIONS:
        odoo.prepare(edition, Progress())
        odoo.start(edition, services, world, None)
        postgres.sql(server, _NEARER, edition.name)
        for grant in GRANTS:
            columns = ", ".join(grant.columns)
            postgres.sql(server, f"grant select ({columns}) on {grant.table} to {_NARROW}", edition.name)
    yield world
    for edition in _EDITIONS:
        services.stop(edition.name)


@pytest.fixture(params=[edition.name for edition in _EDITIONS])
def database(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """Each Odoo's database in turn, cleared of what a test put there."""
    name = str(request.param)
    yield name
    jobs.remove(world.postgres, name, mark=_MARK)


@pytest.fixture
async def cluster(world: World, connect: Callable[..., Awaitable[PostgresCluster]]) -> PostgresCluster:
    """The server, as the narrow role."""
    return await connect(world.postgres, _NARROW, _NARROW)


async def reading_of(database: str, cluster: PostgresCluster, read: Read) -> dict[tuple[str, ...], Any]:
    """One visit, one reading."""
    async with cluster.visit(database) as visit:
        return await read(EXPORTER, visit)


async def test_a_database_without_the_module_says_nothing(cluster: PostgresCluster, read: Read) -> None:
    """The maintenance database has no queue: no sample and no error."""
    assert await reading_of("postgres", cluster, read) == {}


async def test_only_live_jobs_are_counted(database: str, world: World, cluster: PostgresCluster, read: Read) -> None:
    """Row 29: failed and planned jobs are, done ones are not; planned ones are not due."""
    found = await reading_of(database, cluster, read)
    live = postgres.sql(
        world.postgres, "select count(*) from queue_job where state not in ('done', 'cancelled')", database
    )
    assert int(postgres.sql(world.postgres, "select count(*) from queue_job where state = 'done'", database)) > 0
    assert found["odoo.queue.live",] == int(live) == sum(value for key, value in found.items() if len(key) == 3)
    assert found["odoo.queue.jobs", "root", "pending"] == 2
    assert ("odoo.queue.oldest.age", "root") not in found


async def test_the_oldest_due_job_tells_its_age(
    database: str, world: World, cluster: PostgresCluster, read: Read
) -> None:
    """Row 29: times without a zone are taken for UTC, whatever the server's zone is."""
    postgres.sql(world.postgres, f"alter role {_NARROW} set timezone = 'Asia/Tokyo'")
    jobs.put_pending(world.postgres, database, mark=_MARK, count=3, age=1000)
    found = await reading_of(database, cluster, read)
    assert 1000 <= found["odoo.queue.oldest.age", "root"] < 1100
    assert found["odoo.queue.jobs", "root", "pending"] == 5


async def test_stuck_and_failed_jobs(database: str, world: World, cluster: PostgresCluster, read: Read) -> None:
    """Row 29: a job started an hour and a half ago is stuck for so long; only a recent failure is of the last hour."""
    before = (await reading_of(database, cluster, read)).get(("odoo.queue.failed.recent", "root"), 0)
    jobs.put_pending(world.postgres, database, mark=_MARK, count=3)
    for number, (state, ago) in enumerate([("started", 90), ("failed", 30), ("failed", 120)], start=1):
        postgres.sql(world.postgres, _PUT_INTO.format(state=state, ago=ago, uuid=f"{_MARK}-{number}"), database)
    found = await reading_of(database, cluster, read)
    assert 5400 <= found["odoo.queue.stuck.age", "root", "started"] < 5500
    assert found["odoo.queue.failed.recent", "root"] == before + 1


async def test_failed_jobs_are_told_apart_by_class(
    database: str, world: World, cluster: PostgresCluster, read: Read
) -> None:
    """Row 29: by the class of their exception; what does not look like one is not repeated."""
    before = await reading_of(database, cluster, read)
    jobs.put_pending(world.postgres, database, mark=_MARK, count=3)
    postgres.sql(world.postgres, _FAIL.format(mark=_MARK), database)
    found = await reading_of(database, cluster, read)
    assert found["odoo.queue.failures", "exporter_test.Refused"] == 1
    assert found["odoo.queue.failures", "unknown"] == before.get(("odoo.queue.failures", "unknown"), 0) + 2
    assert not [key for key in found if "secret" in " ".join(key)]


async def test_a_started_job_whose_worker_died_is_an_orphan(
    database: str, world: World, cluster: PostgresCluster, read: Read
) -> None:
    """Row 29: on Odoo 19 it is told from one whose worker lives; sessions of Odoo 14 do not say whose they are."""
    jobs.put_pending(world.postgres, database, mark=_MARK, count=2)
    postgres.sql(world.postgres, _WORKED_ON.format(mark=_MARK), database)
    found = await reading_of(database, cluster, read)
    assert found["odoo.queue.jobs", "root", "started"] == 2
    assert found.get(("odoo.queue.orphaned",)) == (1 if database == "odoo19" else None)


async def test_a_role_without_the_grants_gets_an_error(
    database: str, world: World, connect: Callable[..., Awaitable[PostgresCluster]], read: Read
) -> None:
    """A queue that may not be read is not an empty one."""
    postgres.sql(world.postgres, "drop role if exists nobody_at_all; create role nobody_at_all login password 'none'")
    stranger = await connect(world.postgres, "nobody_at_all", "none")
    with pytest.raises(PermissionDeniedError):
        await reading_of(database, stranger, read)


async def test_the_runner_is_alive_and_then_dead(
    world: World, cluster: PostgresCluster, read: Read, eventually: Read
) -> None:
    """Row 30: On Odoo 19 a stopped server shows as 0; Odoo 14 has no such sign. Runs last."""
    assert _RUNNER not in await reading_of("odoo14", cluster, read)
    reading = partial(reading_of, "odoo19", cluster, read)
    await eventually(reading, lambda found: found[_RUNNER] == 1)
    world.services.stop("odoo19")
    await eventually(reading, lambda found: found[_RUNNER] == 0)
