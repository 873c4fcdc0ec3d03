"""Locks on a real server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from exporters.postgres_locks import EXPORTER
from quaywatch.contract import Cluster, Row
from sandbox.parts.postgres import Postgres, session, sql

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

_TAKE = "begin; update orders set state = 1 where id = {row};"
_WANT = "update orders set state = 2 where id = {row};"


class PostgreSQL13:
    """A server that claims to be older, so that the older statement is asked."""

    version = 130022
    database = "postgres"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Row]:
        """What the real server answers."""
        return await self._cluster.fetch(statement, *arguments)


@pytest.fixture(params=["today", "as PostgreSQL 13"])
async def driver(request: pytest.FixtureRequest, primary: Postgres, connect: Any) -> Any:
    """The server, by both statements. The watching role holds pg_monitor and nothing else."""
    cluster = await connect(primary)
    return cluster if request.param == "today" else PostgreSQL13(cluster)


async def test_a_quiet_server_has_no_waiters(driver: Any, read: Read) -> None:
    """Zero is measured, and Quaywatch's own locks are not shown."""
    assert await read(EXPORTER, driver) == {("postgresql.lock.waiting",): 0}


async def test_row_lock_waits_lead_to_who_is_idle_in_transaction(
    driver: Any, primary: Postgres, read: Read, eventually: Read
) -> None:
    """From the database postgres, waits in acme are seen with their database, length, chain and root blocker."""
    with ExitStack() as stack:
        stack.enter_context(session(primary, _TAKE.format(row=1), "acme", "import"))
        holder = await _pid_of(primary, "idle in transaction", eventually)
        for _ in range(3):
            stack.enter_context(session(primary, _WANT.format(row=1), "acme", "import"))
        held_up = ("postgresql.lock.root_blocker.held_up", "acme", holder, "idle in transaction", "import")
        found = await eventually(partial(read, EXPORTER, driver), lambda reading: reading.get(held_up) == 3)
    assert found["postgresql.lock.waiting",] == 3
    assert found["postgresql.lock.waiters", "acme", "transactionid", "ShareLock"] == 1
    assert found["postgresql.lock.waiters", "acme", "tuple", "ExclusiveLock"] == 2
    assert found["postgresql.lock.root_blockers", "acme", "idle in transaction"] == 1
    age = found["postgresql.lock.root_blocker.age", "acme", holder, "idle in transaction", "import"]
    assert 0 < found["postgresql.lock.wait.longest", "acme"] < age < 60
    assert found["postgresql.locks", "acme", "ShareLock", "false"] == 1


async def test_when_the_blocker_is_gone_nobody_waits(
    driver: Any, primary: Postgres, read: Read, eventually: Read
) -> None:
    """What has vanished is absent in the next reading."""
    with ExitStack() as stack:
        stack.enter_context(session(primary, _TAKE.format(row=2), "acme", "import"))
        holder = await _pid_of(primary, "idle in transaction", eventually)
        stack.enter_context(session(primary, _WANT.format(row=2), "acme", "import"))
        await eventually(partial(read, EXPORTER, driver), lambda reading: reading["postgresql.lock.waiting",] == 1)
        sql(primary, f"select pg_terminate_backend({holder})")
        await eventually(partial(read, EXPORTER, driver), lambda reading: reading["postgresql.lock.waiting",] == 0)
    quiet = {("postgresql.lock.waiting",): 0}
    await eventually(partial(read, EXPORTER, driver), lambda reading: reading == quiet)


async def test_an_advisory_lock_outside_a_transaction_blocks_without_an_age(
    driver: Any, primary: Postgres, read: Read, eventually: Read
) -> None:
    """Its holder is idle, in no transaction."""
    with ExitStack() as stack:
        stack.enter_context(session(primary, "select pg_advisory_lock(7);", "acme", "import"))
        await eventually(partial(read, EXPORTER, driver), lambda reading: _advisory(reading) == 1)
        stack.enter_context(session(primary, "select pg_advisory_lock(7);", "acme", "import"))
        roots = ("postgresql.lock.root_blockers", "acme", "idle")
        found = await eventually(partial(read, EXPORTER, driver), lambda reading: roots in reading)
    assert not [key for key in found if key[0] == "postgresql.lock.root_blocker.age"]


def _advisory(reading: dict[tuple[str, ...], Any]) -> Any:
    return reading.get(("postgresql.locks", "acme", "ExclusiveLock", "true"))


async def _pid_of(primary: Postgres, state: str, eventually: Read) -> str:
    """The process of acme that is in this state."""

    async def pids() -> dict[tuple[str, ...], Any]:
        query = "select pid from pg_stat_activity where datname = 'acme' and backend_xid is not null and state = "
        return {(pid,): 1 for pid in sql(primary, f"{query} '{state}'").split()}

    found = await eventually(pids, lambda reading: len(reading) == 1)
    return next(iter(found))[0]
