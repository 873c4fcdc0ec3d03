"""The PostgreSQL driver on a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from quaywatch.contract import Cluster
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster, PostgresSession
from quaywatch.errors import (
    AuthError,
    ConnectError,
    DeadlineError,
    FaultError,
    InternalError,
    LockTimeoutError,
    PermissionDeniedError,
    VersionError,
)
from quaywatch.secret import Secret
from sandbox.parts.postgres import Postgres, session, sql

PARTS = ("postgres",)
OURS = "select count(*) from pg_stat_activity where (usename, application_name) = ('quaywatch', 'quaywatch')"


async def until(condition: Callable[[], bool], within: float = 30.0) -> bool:
    """Whether a condition came true in time."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


async def backend(cluster: PostgresCluster) -> int:
    """The server process that serves the kept session."""
    (row,) = await cluster.fetch("select pg_backend_pid() as pid")
    return int(row["pid"])


async def test_a_ping_learns_the_version(cluster: PostgresCluster) -> None:
    """After an answer the version is the server's own number; the driver is a Cluster of the contract."""
    watched: Cluster = cluster
    await watched.ping()
    (row,) = await watched.fetch("select current_setting('server_version_num')::int as number")
    assert watched.version == row["number"]


async def test_a_session_bounds_itself_and_says_who_it_is(cluster: PostgresCluster) -> None:
    """Name, limits and read-only are set on the server, and the SQL bears a tag."""
    names = ("application_name", "statement_timeout", "lock_timeout", "transaction_read_only")
    rows = await cluster.fetch("select name, setting from pg_settings where name = any($1)", list(names))
    assert {row["name"]: row["setting"] for row in rows} == {
        "application_name": "quaywatch",
        "statement_timeout": "4500",
        "lock_timeout": "100",
        "transaction_read_only": "on",
    }
    (row,) = await cluster.fetch("select query from pg_stat_activity where pid = pg_backend_pid()")
    assert row["query"].startswith("/* quaywatch */ select query")


async def test_nothing_can_be_written(postgres_address: PostgresAddress, postgres_server: Postgres) -> None:
    """Even a role that may write does not."""
    mighty = PostgresCluster(
        replace(postgres_address, user=postgres_server.superuser, password=Secret(postgres_server.superuser_password))
    )
    with pytest.raises(FaultError) as caught:
        await mighty.fetch("create table mine (id int)")
    assert caught.value.code == "25006"
    await mighty.close()


async def test_a_slow_statement_ends_and_the_session_lives_on(postgres_address: PostgresAddress) -> None:
    """The server's own time-out comes first, so nothing has to be connected anew."""
    cluster = PostgresCluster(replace(postgres_address, answer_within=3.0))
    before = await backend(cluster)
    with pytest.raises(DeadlineError) as caught:
        await cluster.fetch("select pg_sleep(10)")
    assert caught.value.code == "57014"
    assert await backend(cluster) == before
    await cluster.close()


async def test_a_read_behind_a_lock_gives_up(postgres_address: PostgresAddress, postgres_server: Postgres) -> None:
    """Row 17: a read does not queue behind somebody's exclusive lock."""
    postgres = replace(postgres_address, user="postgres", password=Secret(postgres_server.superuser_password))
    cluster = PostgresCluster(replace(postgres, database="drivers_tenant"))
    with session(postgres_server, "begin; lock table ledger;", "drivers_tenant", "blocker"):
        held = "select 1 from pg_locks where mode = 'AccessExclusiveLock' and granted"
        assert await until(lambda: bool(sql(postgres_server, held, "drivers_tenant")))
        with pytest.raises(LockTimeoutError):
            await cluster.fetch("select * from ledger")
    await cluster.close()


async def test_databases_that_accept_connections_are_listed(cluster: PostgresCluster) -> None:
    """Templates and databases that are shut are left out; one whose door is closed to this role is named."""
    names = await cluster.databases()
    assert names == sorted(names)
    assert {"drivers_tenant", "drivers_private", "postgres"} <= set(names)
    assert not {"template0", "template1", "drivers_shut"} & set(names)


async def test_a_visit_is_a_session_in_that_database_and_ends(
    cluster: PostgresCluster, postgres_server: Postgres
) -> None:
    """After a visit nothing of it is left on the server but the kept session."""
    await cluster.ping()
    async with cluster.visit("drivers_tenant") as tenant:
        assert tenant.database == "drivers_tenant"
        assert tenant.version == cluster.version
        (row,) = await tenant.fetch("select current_database() as name")
        assert row["name"] == "drivers_tenant"
        assert await until(lambda: sql(postgres_server, OURS) == "2")
    assert await until(lambda: sql(postgres_server, OURS) == "1")


async def test_visits_and_reads_leave_no_complaint_in_the_log(
    cluster: PostgresCluster, postgres_log: Callable[[], str]
) -> None:
    """A session that ends well is not noise for the database's owner."""
    before = len(postgres_log())
    for _ in range(3):
        async with cluster.visit("drivers_tenant") as tenant:
            await tenant.fetch("select 1")
    assert "could not receive" not in postgres_log()[before:]


async def test_all_callers_share_one_session(cluster: PostgresCluster) -> None:
    """Row 16: however many readers there are, the cluster sees one connection."""
    assert len(set(await asyncio.gather(*(backend(cluster) for _ in range(20))))) == 1


async def test_a_lost_session_is_made_again(cluster: PostgresCluster, postgres_server: Postgres) -> None:
    """A connection that the server ended is noticed at the next call."""
    before = await backend(cluster)
    sql(postgres_server, f"select pg_terminate_backend({before}, 5000)")
    after = None
    for _ in range(2):
        try:
            after = await backend(cluster)
        except ConnectError:
            continue
    assert after not in (None, before)


async def test_a_session_knows_that_it_was_cut(postgres_address: PostgresAddress, postgres_server: Postgres) -> None:
    """Who keeps a session for its locks sees that it is gone without asking the server."""
    kept = PostgresSession(postgres_address)
    assert kept.closed
    await kept.connect()
    (row,) = await kept.fetch("select pg_backend_pid() as pid, pg_try_advisory_lock(42) as held")
    assert row["held"]
    assert not kept.closed
    sql(postgres_server, f"select pg_terminate_backend({row['pid']})")
    assert await until(lambda: kept.closed)
    with pytest.raises(ConnectError):
        await kept.fetch("select 1")
    await kept.close()


@pytest.mark.parametrize("change", [{"password": Secret("wr0ng")}, {"user": "nobody-knows"}])
async def test_a_refused_login_is_an_auth_error(postgres_address: PostgresAddress, change: dict[str, object]) -> None:
    """The error names the role, never the password."""
    cluster = PostgresCluster(replace(postgres_address, **change))  # type: ignore[arg-type] # by the table above
    with pytest.raises(AuthError) as caught:
        await cluster.ping()
    assert "wr0ng" not in str(caught.value)
    assert caught.value.remedy


async def test_a_database_that_is_not_there_is_a_connect_error(cluster: PostgresCluster) -> None:
    """The name is said."""
    with pytest.raises(ConnectError, match="nowhere"):
        async with cluster.visit("nowhere"):
            pass


async def test_a_closed_database_tells_the_grant(cluster: PostgresCluster, postgres_server: Postgres) -> None:
    """The SQL in the remedy opens the door."""
    with pytest.raises(PermissionDeniedError) as caught:
        async with cluster.visit("drivers_private"):
            pass
    sql(postgres_server, caught.value.remedy.removeprefix("run: "))
    async with cluster.visit("drivers_private") as tenant:
        await tenant.fetch("select 1")
    sql(postgres_server, "revoke connect on database drivers_private from quaywatch")


async def test_a_table_that_may_not_be_read_tells_the_way_to_the_grants(
    cluster: PostgresCluster, postgres_server: Postgres
) -> None:
    """Nobody is told to grant a whole table, and the visit goes on after the refusal."""
    async with cluster.visit("drivers_tenant") as tenant:
        with pytest.raises(PermissionDeniedError) as caught:
            await tenant.fetch("select * from ledger")
        assert "quaywatch check --sql" in caught.value.remedy
        sql(postgres_server, "grant select (id) on ledger to quaywatch", "drivers_tenant")
        assert await tenant.fetch("select id from ledger") == [{"id": 1}]
    sql(postgres_server, "revoke select (id) on ledger from quaywatch", "drivers_tenant")


async def test_what_is_not_installed_is_a_version_error(cluster: PostgresCluster) -> None:
    """Unknown tables, columns and functions are told from faults."""
    for statement in ("select * from nothing", "select nothing from pg_class", "select nothing()"):
        with pytest.raises(VersionError):
            await cluster.fetch(statement)


async def test_an_argument_of_the_wrong_type_is_a_defect_of_ours(cluster: PostgresCluster) -> None:
    """It is not blamed on the server, and the next call works."""
    with pytest.raises(InternalError):
        await cluster.fetch("select $1::int", "no number")
    await cluster.ping()


async def test_a_rotated_password_is_picked_up(
    postgres_address: PostgresAddress, postgres_server: Postgres, tmp_path: Path
) -> None:
    """Row 24: a new password in the file is used at the next connect, without a restart."""
    path = tmp_path / "password"
    path.write_text("first")
    sql(postgres_server, "drop role if exists rotating; create role rotating login password 'first'")
    address = replace(postgres_address, user="rotating", password=Secret.of_file(path))
    await _reached(address)
    sql(postgres_server, "alter role rotating password 'second'")
    path.write_text("second")
    await _reached(address)
    sql(postgres_server, "drop role rotating")


async def _reached(address: PostgresAddress) -> None:
    cluster = PostgresCluster(address)
    await cluster.ping()
    await cluster.close()
