"""What happens in a real cluster shows in the exporters that read it as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from exporters import (
    EXPORTERS,
    postgres_activity,
    postgres_archive_backlog,
    postgres_archiver,
    postgres_checkpoints,
    postgres_databases,
    postgres_horizon,
    postgres_indexes,
    postgres_locks,
    postgres_statements,
    postgres_temp,
    postgres_vacuum,
    postgres_wal,
    postgres_wraparound,
)
from quaywatch.contract import Per, TargetKind
from quaywatch.errors import PermissionDeniedError
from sandbox.parts import postgres
from sandbox.parts.postgres import Postgres, session, sql
from sandbox.process import Services, until

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

_SETTINGS = {"archive_mode": "on", "max_prepared_transactions": "5", "autovacuum": "off"}
_ORDERS = """
create table orders as select id, 0 as state from generate_series(1, 200000) id;
create index on orders (id);
"""

_LOCKS_IN_TURN = (
    "begin; select pg_advisory_lock({}); select pg_advisory_lock_shared(3); select pg_advisory_lock({}); rollback;"
)
"""One lock and then another, and between them whoever holds the third is waited for."""
_MANY_STATEMENTS = r"""
set pg_stat_statements.track = 'all';
do $$
begin
    for number in 0..2047 loop
        execute 'select 1' || regexp_replace(translate(number::bit(11)::text, '01', '+-'), '(.)', '\11', 'g');
    end loop;
end $$;
"""
"""Sums of twelve ones, some of them added and some taken away: no two of them are one statement."""
_TEXT_OF = "select distinct query from pg_stat_statements where queryid = {}"
_TEXTS = "select count(s.query) from {}"
_WRITTEN_BY_READING = """
select sum(s.calls) >= 2, sum(s.temp_blks_written)
  from pg_stat_statements s join pg_roles r on r.oid = s.userid
 where r.rolname = 'quaywatch' and s.query like '%pg_stat_statements(%'
"""
_GATE = "select count(*) from pg_locks where locktype = 'advisory' and objid = 3 and "
_END = "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'acme'"
_OURS = "select count(*) from pg_stat_activity where application_name = 'quaywatch'"
_COMMITS = "postgresql.transaction.commits"


@pytest.fixture(scope="module")
def server(services: Services) -> Postgres:
    """A primary that archives (to nowhere), allows prepared transactions, and has a tenant ``acme``."""
    primary = postgres.start_primary(services, postgres.PRIMARY, postgres.INSTALLED, _SETTINGS)
    sql(primary, "alter system set archive_command = 'false'; select pg_reload_conf()")
    sql(primary, "drop database if exists acme with (force)")
    sql(primary, f"create database acme owner {postgres.ODOO_ROLE}")
    sql(primary, _ORDERS, "acme")
    sql(primary, f"alter table orders owner to {postgres.ODOO_ROLE}", "acme")
    return primary


async def test_an_open_transaction_shows_by_state_and_holds_the_horizon(
    server: Postgres, connect: Any, read: Read, eventually: Read
) -> None:
    """Rows 7, 8: idle in transaction has an age by tenant, and is named as what vacuum waits for; then it ends."""
    cluster = await connect(server)
    statements = "begin isolation level repeatable read; update orders set state = 1 where id = 1;"
    oldest = ("postgresql.transaction.oldest.age", "acme", "idle in transaction")
    with session(server, statements, "acme", "odoo-7"):
        await eventually(partial(read, postgres_activity.EXPORTER, cluster), lambda found: oldest in found)
        sql(server, "create temporary table t (); drop table t")
        found = await read(postgres_horizon.EXPORTER, cluster)
        assert found["postgresql.horizon.age", "session", "acme"] >= 1
        assert 0 <= found["postgresql.horizon.held", "session", "acme"] < 60
        assert [key for key in found if key[:3] == ("postgresql.horizon.holder.age", "session", "acme")]
    await eventually(partial(read, postgres_activity.EXPORTER, cluster), lambda found: oldest not in found)


async def test_the_agents_own_session_counts_against_the_limit_only(server: Postgres, connect: Any, read: Read) -> None:
    """Row 9: it takes a connection, and is no session of the business."""
    found = await read(postgres_activity.EXPORTER, await connect(server))
    assert found["postgresql.connection.used",] >= 1
    assert found["postgresql.connection.usable",] == 197
    assert [key for key in found if key[0] == "postgresql.session.open"] == []


async def test_limits_of_a_tenant_and_a_role_show(server: Postgres, connect: Any, read: Read, eventually: Read) -> None:
    """Row 9: their own limits and how much of them is used."""
    cluster = await connect(server)
    sql(server, f"alter database acme connection limit 9; alter role {postgres.ODOO_ROLE} connection limit 8")
    try:
        with session(server, "select 1;", "acme", "odoo-7"):
            used = ("postgresql.database.connection.used", "acme")
            found = await eventually(partial(read, postgres_activity.EXPORTER, cluster), lambda found: found[used] == 1)
    finally:
        sql(server, f"alter database acme connection limit -1; alter role {postgres.ODOO_ROLE} connection limit -1")
    assert found["postgresql.database.connection.limit", "acme"] == 9
    assert found["postgresql.role.connection.limit", postgres.ODOO_ROLE] == 8
    assert found["postgresql.role.connection.used", postgres.ODOO_ROLE] == 1


async def test_a_prepared_transaction_holds_the_horizon(server: Postgres, connect: Any, read: Read) -> None:
    """Row 8: what no session holds any more is named too."""
    cluster = await connect(server)
    sql(server, "begin; update orders set state = 2 where id = 2; prepare transaction 'left'", "acme")
    try:
        found = await read(postgres_horizon.EXPORTER, cluster)
    finally:
        sql(server, "rollback prepared 'left'", "acme")
    assert found["postgresql.horizon.age", "prepared", "acme"] >= 1
    assert 0 <= found["postgresql.horizon.held", "prepared", "acme"] < 60


async def test_a_deadlock_counts_for_its_tenant(server: Postgres, connect: Any, read: Read, eventually: Read) -> None:
    """Row 10: by database, and with commits and rollbacks beside it."""
    cluster = await connect(server)
    reading = partial(read, postgres_databases.EXPORTER, cluster)
    deadlocks = ("postgresql.deadlocks", "acme")
    before = await reading()
    with ExitStack() as stack:
        with session(server, "begin; select pg_advisory_lock(3);", "acme", "gate"):
            assert until(lambda: sql(server, f"{_GATE} granted") == "1", within=60)
            for order in ((1, 2), (2, 1)):
                stack.enter_context(session(server, _LOCKS_IN_TURN.format(*order), "acme", "odoo-7"))
            assert until(lambda: sql(server, f"{_GATE} not granted") == "2", within=60)
        after = await eventually(reading, lambda found: found[deadlocks] > before[deadlocks])
    assert after["postgresql.transaction.rollbacks", "acme"] > before["postgresql.transaction.rollbacks", "acme"]
    assert ("postgresql.deadlocks", "template1") not in after


async def test_an_archiver_that_fails_says_so_with_its_backlog(
    server: Postgres, connect: Any, read: Read, eventually: Read
) -> None:
    """Row 12: failing now, files waiting; mended, both are over, and the failures stay counted."""
    cluster = await connect(server)
    sql(server, "alter system set archive_command = 'false'; select pg_reload_conf()")
    sql(server, "create table if not exists filler (); select pg_switch_wal()")
    state, backlog = postgres_archiver.EXPORTER, postgres_archive_backlog.EXPORTER
    failing = ("postgresql.archiver.failing",)
    found = await eventually(partial(read, state, cluster), lambda found: found[failing] == 1)
    assert found["postgresql.archiver.failures",] >= 1
    assert (await read(backlog, cluster))["postgresql.archiver.backlog",] >= 1
    sql(server, "alter system set archive_command = 'true'; select pg_reload_conf()")
    sql(server, "drop table filler; select pg_switch_wal()")
    mended = await eventually(partial(read, state, cluster), lambda found: found[failing] == 0)
    assert mended["postgresql.archiver.failures",] >= 1
    empty = {("postgresql.archiver.backlog",): 0}
    await eventually(partial(read, backlog, cluster), lambda found: found == empty)


async def test_a_query_that_fills_the_disk_shows_while_it_runs(
    server: Postgres, connect: Any, read: Read, eventually: Read
) -> None:
    """Wanted 13: files of a tenant in flight; nothing is left when it ends."""
    cluster = await connect(server)
    reading = partial(read, postgres_temp.EXPORTER, cluster)
    sorting = """
    set work_mem = '64kB';
    begin;
    declare sorted cursor for select id from orders order by md5(id::text);
    fetch 1 from sorted;
    """
    with session(server, sorting, "acme", "odoo-7"):
        size = ("postgresql.temp.current.size", "acme")
        found = await eventually(reading, lambda found: found.get(size, 0) > 100_000)
        assert found["postgresql.temp.current",] == found[size]
        assert found["postgresql.temp.current.files", "acme"] >= 1
    await eventually(reading, lambda found: found == {("postgresql.temp.current",): 0})


async def test_log_and_checkpoints_count_on(server: Postgres, connect: Any, read: Read, eventually: Read) -> None:
    """Row 13: what is written and flushed shows on a default server."""
    cluster = await connect(server)
    wal, checkpoints = postgres_wal.EXPORTER, postgres_checkpoints.EXPORTER
    requested = ("postgresql.checkpoint.count", "requested")
    before, flushed_before = await read(wal, cluster), await read(checkpoints, cluster)
    sql(server, "update orders set state = 5; checkpoint", "acme")
    after = await read(wal, cluster)
    assert after["postgresql.wal.generated",] - before["postgresql.wal.generated",] > 1_000_000
    # The command may end a moment before it is counted.
    once_more = flushed_before[requested] + 1
    flushed = await eventually(partial(read, checkpoints, cluster), lambda found: found[requested] >= once_more)
    assert flushed[requested] == once_more
    assert flushed["postgresql.checkpoint.last.age",] < 60


async def test_ids_in_use_are_a_small_share_of_a_fresh_cluster(server: Postgres, connect: Any, read: Read) -> None:
    """Row 11: of every database, those that nobody may enter included."""
    found = await read(postgres_wraparound.EXPORTER, await connect(server))
    assert 0 < found["postgresql.wraparound.utilization", "template0", "transaction"] < 0.001
    assert found["postgresql.wraparound.transaction.age", "acme"] > 0


async def test_everything_is_read_over_one_connection(server: Postgres, connect: Any, read: Read) -> None:
    """Row 16: whatever is read of the cluster as a whole, and however many tenants it has."""
    cluster = await connect(server)
    whole = [one for one in EXPORTERS if one.reads is TargetKind.POSTGRES and one.per is Per.TARGET and one.on]
    assert len(whole) > 10
    before = int(sql(server, _OURS))
    for exporter in whole:
        await read(exporter, cluster)
    assert int(sql(server, _OURS)) == before == 1


async def test_counters_start_where_statistics_were_reset(server: Postgres, connect: Any) -> None:
    """Row 23: of the tenant whose statistics were reset, at the moment that PostgreSQL says, and of no other."""
    cluster, exporter = await connect(server), postgres_databases.EXPORTER

    async def starts() -> dict[str, float | None]:
        samples = exporter.collect(cluster, exporter.options(), exporter.state())
        return {sample.attributes[0]: sample.start async for sample in samples if sample.metric.name == _COMMITS}

    before = await starts()
    sql(server, "select pg_stat_reset()", "acme")
    after = await starts()
    moment = sql(server, "select extract(epoch from stats_reset) from pg_stat_database where datname = 'acme'")
    assert after["acme"] == pytest.approx(float(moment), abs=0.001)
    assert before["acme"] != after["acme"]
    assert before["postgres"] == after["postgres"]


async def test_a_vacuum_shows_while_it_runs(server: Postgres, connect: Any, read: Read, eventually: Read) -> None:
    """By hand, of one table, and how far it is; it is no holder of the horizon."""
    cluster = await connect(server)
    # A vacuum goes on for a while when whoever began it is gone.
    assert until(lambda: not sql(server, _END), within=60)
    sql(server, "update orders set state = 6", "acme")
    slowly = "set vacuum_cost_delay = 20; set vacuum_cost_limit = 20; vacuum orders;"
    with session(server, slowly, "acme", "odoo-7"):
        scanned = ("postgresql.vacuum.scanned", "acme", sql(server, "select 'orders'::regclass::oid", "acme"))
        found = await eventually(partial(read, postgres_vacuum.EXPORTER, cluster), lambda found: scanned in found)
        assert found["postgresql.vacuum.running", "acme", "manual"] == 1
        assert 0 <= found[scanned] <= 1
        held = await read(postgres_horizon.EXPORTER, cluster)
        assert ("postgresql.horizon.age", "session", "acme") not in held


async def test_statements_are_counted_without_their_text(server: Postgres, connect: Any, read: Read) -> None:
    """Row 14: one that runs between two readings is there with its tenant and role, and the rest is one series.

    It is known by the number that the server knows its text by, the same on the next reading.
    """
    cluster, memory = await connect(server), postgres_statements.Memory()
    exporter, options = postgres_statements.EXPORTER, postgres_statements.Options(top=3)
    await read(exporter, cluster, options, memory)
    for _ in range(3):
        sql(server, "select count(*) from orders, generate_series(1, 5)", "acme")
    found = await read(exporter, cluster, options, memory)
    calls = {key[1:]: value for key, value in found.items() if key[0] == "postgresql.statement.calls"}
    (ours,) = [key for key, value in calls.items() if key[:2] == ("acme", "postgres") and value == 3]
    text = sql(server, _TEXT_OF.format(ours[2]))
    assert text == "select count(*) from orders, generate_series($1, $2)"
    again = await read(exporter, cluster, options, memory)
    assert again["postgresql.statement.calls", *ours] == 3
    assert calls["", "", "other"] > 0
    assert len(calls) == 4


async def test_many_statements_are_read_without_texts_and_temporary_files(
    server: Postgres, connect: Any, read: Read
) -> None:
    """Row 14: no text is loaded, none comes over the wire, and a small work_mem makes no temporary files."""
    sql(server, _MANY_STATEMENTS, "acme")
    sql(server, "alter role quaywatch set work_mem = '64kB'")
    try:
        cluster = await connect(server)
        assert (await cluster.fetch("show work_mem"))[0]["work_mem"] == "64kB"
        await read(postgres_statements.EXPORTER, cluster, None, postgres_statements.Memory())
        rows = await cluster.fetch(postgres_statements.STATEMENTS.format(schema="public"))
    finally:
        sql(server, "alter role quaywatch reset work_mem")
    assert len(rows) > 2000
    assert not [text for row in rows for text in row.values() if "select" in str(text).lower()]
    source = postgres_statements.STATEMENTS.format(schema="public").partition("  from ")[2]
    assert sql(server, _TEXTS.format(source)) == "0"
    assert sql(server, _WRITTEN_BY_READING) == "t|0"


_NEED_SIGHT = (postgres_activity, postgres_archive_backlog, postgres_indexes, postgres_locks, postgres_vacuum)


@pytest.mark.parametrize("exporter", [module.EXPORTER for module in _NEED_SIGHT])
async def test_a_role_that_may_not_look_gets_an_error(
    exporter: Any, server: Postgres, connect: Any, read: Read
) -> None:
    """Row 20: without pg_monitor nothing is said, although nobody waits, vacuums or builds an index just now."""
    sql(server, "drop role if exists stranger; create role stranger login password 'stranger'")
    stranger = await connect(server, "stranger", "stranger")
    async with stranger.visit("acme") as visit:
        with pytest.raises(PermissionDeniedError):
            await read(exporter, visit if exporter.per is Per.DATABASE else stranger)
