"""Every PostgreSQL exporter on every supported version of PostgreSQL, as the role that may only watch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

import exporters
from quaywatch.contract import Exporter, Per
from quaywatch.drivers.postgres import PostgresCluster
from sandbox.parts import postgres, postgres_versions
from sandbox.parts.postgres import ODOO_ROLE, Postgres, session, sql
from sandbox.process import Services, until

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]
Connect = Callable[..., Awaitable[PostgresCluster]]

_WITH_STANDBY = 17
_SETTINGS = """
alter system set archive_mode = on;
alter system set archive_command = 'false';
alter system set max_slot_wal_keep_size = '1GB';
"""
_CLUSTER = f"""
create database acme owner {ODOO_ROLE} connection limit 50;
alter role {ODOO_ROLE} connection limit 60;
select pg_create_physical_replication_slot('unread', true);
select pg_switch_wal();
"""
_OWN = f"set role {ODOO_ROLE};"
_TABLES = """
create table orders as select id, 0 as state from generate_series(1, 9) id;
create table bulk as select id from generate_series(1, 200000) id;
"""
_HOLDING = "begin; update orders set state = 1 where id = 1;"
_HELD = "select 1 from pg_locks where relation = 'orders'::regclass and mode = 'RowExclusiveLock'"
_BUSY = (
    "update orders set state = 2 where id = 1;",
    "set work_mem = '64kB'; begin; declare c cursor for select id from bulk order by md5(id::text); fetch 1 from c;",
    "set vacuum_cost_delay = 50; set vacuum_cost_limit = 1; vacuum (disable_page_skipping) bulk;",
)
"""One that waits for the row that is held, one that sorts on disk, and a slow vacuum."""

_SINCE = {
    "postgresql.sessions.established": 14,
    "postgresql.sessions.ended": 14,
    "postgresql.sessions.time": 14,
    "postgresql.wal.records": 14,
    "postgresql.wal.page_images": 14,
    "postgresql.wal.buffers_full": 14,
    "postgresql.replication.slot.inactive.age": 17,
    "postgresql.restartpoint.count": 17,
    "postgresql.checkpoint.done": 18,
    "postgresql.checksum.failures": 18,  # from which on clusters have checksums unless told otherwise
}
_OF_A_STANDBY = {
    "postgresql.recovery.conflicts",
    "postgresql.replication.receiver.connected",
    "postgresql.replication.receiver.last_message.age",
    "postgresql.replication.replay.backlog",
    "postgresql.replication.replay.paused",
}
# What needs a standby that follows, an expectation, a success of the archiver, or a standby that is cut off.
_NOT_HERE = {
    "postgresql.replication.standbys.expected",
    "postgresql.replication.standby.lag",
    "postgresql.replication.standby.delay",
    "postgresql.replication.standby.reply.age",
    "postgresql.replication.slot.xmin.age",
    "postgresql.replication.replay.age",
    "postgresql.archiver.last_archived.age",
}


def _exporters() -> list[Exporter[Any, Any, Any]]:
    names = [info.name for info in pkgutil.iter_modules(exporters.__path__) if info.name.startswith("postgres_")]
    return [importlib.import_module(f"exporters.{name}").EXPORTER for name in names]


EXPORTERS = _exporters()


@pytest.fixture(scope="module")
def servers(services: Services) -> Callable[[int], Postgres]:
    """Starts the primary of a version, with a tenant ``acme``; once."""
    started: dict[int, Postgres] = {}

    def server(major: int) -> Postgres:
        if major not in started:
            started[major] = _start(services, major)
        return started[major]

    postgres_versions.prepare(None)
    return server


def _start(services: Services, major: int) -> Postgres:
    server = postgres_versions.start(services, major)
    sql(server, _SETTINGS)
    services.stop(f"postgres-{major}")
    services.resume(f"postgres-{major}")
    assert until(lambda: postgres._answers(server), within=30)
    sql(server, _CLUSTER)
    sql(server, _OWN + _TABLES, "acme")
    sql(server, "vacuum analyze bulk", "acme")
    return server


async def _everything(cluster: PostgresCluster, read: Read) -> Reading:
    """What all exporters read, the per-database ones in ``acme``."""
    found: Reading = {}
    for one in EXPORTERS:
        if one.per is Per.TARGET:
            found |= await read(one, cluster)
    async with cluster.visit("acme") as visit:
        for one in EXPORTERS:
            if one.per is Per.DATABASE:
                found |= await read(one, visit)
    return found


def _names(found: Reading) -> set[str]:
    return {key[0] for key in found}


def _expected(major: int) -> set[str]:
    declared = {metric.name for one in EXPORTERS for metric in one.metrics}
    later = {name for name, since in _SINCE.items() if since > major}
    return declared - later - _OF_A_STANDBY - _NOT_HERE


@pytest.mark.parametrize("major", postgres_versions.MAJORS)
async def test_a_busy_primary_shows_everything_on_every_version(
    major: int, servers: Callable[[int], Postgres], connect: Connect, read: Read, eventually: Read
) -> None:
    """With pg_monitor and nothing else, every metric that the version can have is there, and no other."""
    server = servers(major)
    cluster = await connect(server)
    assert cluster.version // 10_000 == major
    expected = _expected(major)
    with ExitStack() as stack:
        stack.enter_context(session(server, _HOLDING, "acme", "odoo-7"))
        assert until(lambda: bool(sql(server, _HELD, "acme")), within=30)
        for statements in _BUSY:
            stack.enter_context(session(server, statements, "acme", "odoo-7"))
        found = await eventually(partial(_everything, cluster, read), lambda found: _names(found) >= expected)
    assert _names(found) == expected
    # With an archive that fails a server takes its time to stop.
    sql(server, "alter system set archive_command = 'true'; select pg_reload_conf()")


async def test_a_standby_answers_everything(
    services: Services, servers: Callable[[int], Postgres], connect: Connect, read: Read
) -> None:
    """What only a standby has is there; what only a primary has is absent, not 0."""
    primary = servers(_WITH_STANDBY)
    standby = postgres_versions.start_standby(services, _WITH_STANDBY, primary)
    found = await _everything(await connect(standby), read)
    assert found["postgresql.recovery",] == 1
    assert _names(found) >= _OF_A_STANDBY
    assert ("postgresql.wal.generated",) not in found
    assert "postgresql.archiver.backlog" not in _names(found)
