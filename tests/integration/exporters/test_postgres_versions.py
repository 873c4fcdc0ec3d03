"""Every PostgreSQL exporter on every supported version of PostgreSQL, as the role that may only watch."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

import exporters
from exporters import (
    postgres_activity,
    postgres_checkpoints,
    postgres_horizon,
    postgres_replication,
    postgres_wraparound,
)
from quaywatch.contract import Exporter, Per
from quaywatch.drivers.postgres import PostgresCluster
from sandbox.parts import postgres_versions
from sandbox.parts.postgres import ODOO_ROLE, Postgres, session, sql
from sandbox.process import Services, until
from tests.integration.exporters.receivers import PUBLICATION, subscribing

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]
Connect = Callable[..., Awaitable[PostgresCluster]]

_WITH_STANDBY = (13, 17, 18)
"""Before the first of these a standby has what it has on the next one, and 15 has pairs of its own elsewhere."""
_FIXED = {"archive_mode": "on", "wal_level": "logical", "max_prepared_transactions": "5", "wal_keep_size": "0"}
_SETTINGS = """
alter system set archive_command = 'false';
alter system set max_slot_wal_keep_size = '1GB';
alter system set max_prepared_transactions = 5;
select pg_reload_conf();
"""
"""The last is for the standby, which needs as many as its primary has, and gets a copy of these."""
_CLEARED = """
select pg_drop_replication_slot(slot_name) from pg_replication_slots where database is null;
drop database if exists acme with (force);
drop table if exists heartbeat;
"""
_CLUSTER = f"""
create database acme owner {ODOO_ROLE} connection limit 50;
alter role {ODOO_ROLE} connection limit 60;
select pg_create_physical_replication_slot('unread', true);
select pg_switch_wal();
"""
_HEARTBEAT = """
create table heartbeat (ts timestamptz);
insert into heartbeat values (now());
grant select (ts) on heartbeat to quaywatch;
"""
_ARCHIVED_NEVER = """
alter system set archive_command = 'false';
select pg_reload_conf();
select pg_stat_reset_shared('archiver');
"""
_DOOMED = """
alter system set max_slot_wal_keep_size = '1GB';
select pg_reload_conf();
select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'doomed';
select pg_create_physical_replication_slot('doomed', true);
"""
_CAPTURE = "select pg_create_logical_replication_slot('capture', 'pgoutput')"
_UNREAD = """
select pg_create_physical_replication_slot('unread', true)
 where not exists (select from pg_replication_slots where slot_name = 'unread');
"""
_PUBLISHED = f"drop publication if exists {PUBLICATION}; create publication {PUBLICATION};"
_FEED = """
select pg_create_logical_replication_slot('feed', 'pgoutput')
 where not exists (select from pg_replication_slots where slot_name = 'feed');
"""
_FORGOTTEN = "begin; update orders set state = 3 where id = 3; prepare transaction 'forgotten'"
_END = "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'acme'"
_WRITTEN = "select pg_logical_emit_message(false, '', 'x'); select pg_switch_wal();"
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
_STREAMING = ("postgresql.replication.standbys", "streaming")
_LOGICAL = ("postgresql.replication.consumers", "logical")
_OF_A_PRIMARY = {
    "postgresql.wal.generated",
    "postgresql.archiver.backlog",
    "postgresql.index.invalid",
    "postgresql.table.rows.dead",
    "postgresql.table.vacuum.age",
}
_OF_A_STANDBY = {
    "postgresql.recovery.conflicts",
    "postgresql.replication.receiver.connected",
    "postgresql.replication.receiver.last_message.age",
    "postgresql.replication.replay.backlog",
    "postgresql.replication.replay.paused",
}
_CONFLICTS = {"tablespace", "lock", "snapshot", "bufferpin", "deadlock"}
_STANDBYS_HAVE_LOGICAL_SLOTS = 16
_OF_A_NEW_STANDBY = ("postgresql.restartpoint.count", "postgresql.replication.slot.inactive.age")
# What needs a standby that follows, an expectation, a success of the archiver, or a standby that is cut off.
_NOT_HERE = {
    "postgresql.replication.standbys.expected",
    "postgresql.replication.standby.lag",
    "postgresql.replication.standby.delay",
    "postgresql.replication.standby.reply.age",
    "postgresql.replication.standby.sync_state",
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
    server = postgres_versions.start(services, major, _FIXED)
    sql(server, _SETTINGS)
    sql(server, _CLEARED + _CLUSTER + _HEARTBEAT)
    sql(server, _CAPTURE, "acme")
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
    """Row 13: with pg_monitor, every metric that the version can have is there, and no other.

    Beyond that the role was granted the column of heartbeats, and nothing else.
    """
    server = servers(major)
    cluster = await connect(server)
    assert cluster.version // 10_000 == major
    expected = _expected(major)
    sql(server, _ARCHIVED_NEVER + _WRITTEN)
    with ExitStack() as stack:
        stack.enter_context(session(server, _HOLDING, "acme", "odoo-7"))
        assert until(lambda: bool(sql(server, _HELD, "acme")), within=30)
        for statements in _BUSY:
            stack.enter_context(session(server, statements, "acme", "odoo-7"))
        found = await eventually(partial(_everything, cluster, read), lambda found: _names(found) >= expected)
    assert _names(found) == expected
    sql(server, _END)
    # With an archive that fails a server takes its time to stop.
    sql(server, "alter system set archive_command = 'true'; select pg_reload_conf()")


@pytest.mark.parametrize("major", _WITH_STANDBY)
async def test_a_standby_answers_everything(
    major: int, services: Services, servers: Callable[[int], Postgres], connect: Connect, read: Read
) -> None:
    """What only a standby has is there, as far as its version has it; what only a primary has is absent, not 0."""
    standby = postgres_versions.start_standby(services, major, servers(major))
    sql(standby, _UNREAD)
    found = await _everything(await connect(standby), read)
    assert found["postgresql.recovery",] == 1
    assert _names(found) >= _OF_A_STANDBY
    assert {name: name in _names(found) for name in _OF_A_NEW_STANDBY} == {
        name: major >= _SINCE[name] for name in _OF_A_NEW_STANDBY
    }
    assert not _names(found) & _OF_A_PRIMARY
    reasons = {key[2] for key in found if key[0] == "postgresql.recovery.conflicts"}
    assert reasons == _CONFLICTS | ({"logical_slot"} if major >= _STANDBYS_HAVE_LOGICAL_SLOTS else set())


@pytest.mark.parametrize("major", _WITH_STANDBY)
async def test_a_subscriber_is_no_standby(
    major: int, services: Services, servers: Callable[[int], Postgres], connect: Connect, read: Read, eventually: Read
) -> None:
    """Row 4: with one standby and one reader of a logical slot, one standby streams; that one goes, and none does."""
    primary = servers(major)
    postgres_versions.start_standby(services, major, primary)
    sql(primary, _PUBLISHED + _FEED, "acme")
    reading = partial(read, postgres_replication.EXPORTER, await connect(primary))
    with subscribing(primary, "acme", "feed"):
        await eventually(reading, lambda found: (found[_STREAMING], found[_LOGICAL]) == (1, 1))
        services.stop(f"standby-{major}")
        await eventually(reading, lambda found: (found[_STREAMING], found[_LOGICAL]) == (0, 1))
    services.resume(f"standby-{major}")


@pytest.mark.parametrize("major", postgres_versions.MAJORS)
async def test_a_forgotten_transaction_and_a_slot_hold_the_horizon(
    major: int, servers: Callable[[int], Postgres], connect: Connect, read: Read
) -> None:
    """Rows 6, 8: each is named, as old as the server itself says; of the transaction it is known since when."""
    server = servers(major)
    sql(server, _FORGOTTEN, "acme")
    try:
        name, prepared = sql(server, "select transaction, age(transaction) from pg_prepared_xacts").split("|")
        catalog = sql(server, "select age(catalog_xmin) from pg_replication_slots where slot_name = 'capture'")
        found = await read(postgres_horizon.EXPORTER, await connect(server))
        slots = await read(postgres_replication.EXPORTER, await connect(server))
    finally:
        sql(server, "rollback prepared 'forgotten'", "acme")
    assert found["postgresql.horizon.holder.age", "prepared", "acme", name] == int(prepared) >= 1
    assert 0 <= found["postgresql.horizon.held", "prepared", "acme"] < 60
    assert found["postgresql.horizon.holder.age", "slot_catalog", "acme", "capture"] == int(catalog) >= 1
    assert slots["postgresql.replication.slot.xmin.age", "capture", "logical", "catalog"] == int(catalog)


@pytest.mark.parametrize("major", postgres_versions.MAJORS)
async def test_limits_and_ids_are_what_the_server_says(
    major: int, servers: Callable[[int], Postgres], connect: Connect, read: Read, eventually: Read
) -> None:
    """Rows 9, 11: a tenant's and a role's own limits with what is used of them, and the share of ids in use."""
    server = servers(major)
    cluster = await connect(server)
    reading = partial(read, postgres_activity.EXPORTER, cluster)
    with session(server, "select 1;", "acme", "odoo-7"):
        used = ("postgresql.database.connection.used", "acme")
        found = await eventually(reading, lambda reading: reading[used] == 1)
    assert found["postgresql.database.connection.limit", "acme"] == 50
    assert found["postgresql.role.connection.limit", ODOO_ROLE] == 60
    assert found["postgresql.role.connection.used", ODOO_ROLE] == 1
    ids = await read(postgres_wraparound.EXPORTER, cluster)
    age = int(sql(server, "select age(datfrozenxid) from pg_database where datname = 'acme'"))
    assert ids["postgresql.wraparound.transaction.age", "acme"] == age
    assert ids["postgresql.wraparound.utilization", "acme", "transaction"] == pytest.approx(age / 2**31, rel=0.01)


@pytest.mark.parametrize("major", postgres_versions.MAJORS)
async def test_a_checkpoint_counts(
    major: int, servers: Callable[[int], Postgres], connect: Connect, read: Read, eventually: Read
) -> None:
    """Row 13: wherever the version keeps the number, one that was asked for is one more, and is new."""
    server = servers(major)
    reading = partial(read, postgres_checkpoints.EXPORTER, await connect(server))
    requested = ("postgresql.checkpoint.count", "requested")
    before = (await reading())[requested]
    sql(server, "checkpoint")
    found = await eventually(reading, lambda reading: reading[requested] > before)
    assert found[requested] == before + 1
    assert found["postgresql.checkpoint.last.age",] < 60


@pytest.mark.parametrize("major", postgres_versions.MAJORS)
async def test_a_slot_that_nobody_reads_keeps_the_log_until_it_is_lost(
    major: int, servers: Callable[[int], Postgres], connect: Connect, read: Read
) -> None:
    """Row 6: first it is inactive and keeps what was written; beyond the limit it is lost and keeps nothing. Runs last.

    How long nobody has read it is known from 17 on.
    """
    server, began = servers(major), time.monotonic()
    cluster = await connect(server)
    sql(server, _DOOMED)
    sql(server, _WRITTEN * 3)
    found = await read(postgres_replication.EXPORTER, cluster)
    assert _slot(found, "active") == 0
    assert _slot(found, "retained") > 2 * 16 * 2**20
    assert 0 < _slot(found, "safe_size") < 2**30
    assert _slot(found, "wal_status", "reserved") == 1
    inactive = _slot(found, "inactive.age")
    assert inactive is None if major < _SINCE["postgresql.replication.slot.inactive.age"] else 0 <= inactive < 60
    assert inactive is None or inactive <= time.monotonic() - began
    sql(server, "alter system set max_slot_wal_keep_size = '1MB'; select pg_reload_conf()")
    sql(server, _WRITTEN * 2 + "checkpoint")
    found = await read(postgres_replication.EXPORTER, cluster)
    assert (_slot(found, "wal_status", "lost"), _slot(found, "wal_status", "reserved")) == (1, 0)
    assert (_slot(found, "retained"), _slot(found, "safe_size")) == (None, None)


def _slot(found: Reading, what: str, *status: str) -> Any:
    """What is said of the slot ``doomed``; None when nothing is."""
    return found.get((f"postgresql.replication.slot.{what}", "doomed", "physical", *status))
