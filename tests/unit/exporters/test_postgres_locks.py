"""Locks: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exporters import postgres_locks
from exporters.postgres_locks import COUNTS, EXPORTER, WAITS, WAITS_13, Options
from quaywatch.contract import Postgres, Row, Value
from quaywatch.errors import PermissionDeniedError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


def holder(pid: int, *, age: float | None = 74.0, state: str = "idle in transaction", database: str = "acme") -> Row:
    """A session that waits for nobody."""
    return _row(pid, database=database, state=state, transaction_age=age)


def waiter(pid: int, *blockers: int, waited: float = 1.0, lock: str = "transactionid", database: str = "acme") -> Row:
    """A session that waits for others."""
    return _row(
        pid, database=database, lock_type=lock, mode="ShareLock", waited=waited, blockers=list(blockers), state="active"
    )


def _row(pid: int, **others: Any) -> Row:
    empty = dict.fromkeys(("lock_type", "mode", "blockers", "prepared_age", "transaction_age"))
    return {"pid": pid, "application_name": "odoo-7", "waited": 0.0, **empty, **others}


async def test_an_idle_cluster_says_that_nobody_waits(postgres: Make, read: Read) -> None:
    """The total is there and 0; everything by database is absent."""
    assert await read(EXPORTER, postgres({WAITS: [], COUNTS: []})) == {("postgresql.lock.waiting",): 0}


async def test_a_row_lock_wait_names_its_database_and_its_root_blocker(postgres: Make, read: Read) -> None:
    """Who waits, how long, and behind whom, through a queue of two."""
    rows = [holder(10), waiter(11, 10, waited=4.0), waiter(12, 11, waited=9.0, lock="tuple")]
    assert await read(EXPORTER, postgres({WAITS: rows, COUNTS: []})) == {
        ("postgresql.lock.waiting",): 2,
        ("postgresql.lock.waiters", "acme", "transactionid", "ShareLock"): 1,
        ("postgresql.lock.waiters", "acme", "tuple", "ShareLock"): 1,
        ("postgresql.lock.wait.longest", "acme"): 9.0,
        ("postgresql.lock.root_blockers", "acme", "idle in transaction"): 1,
        ("postgresql.lock.root_blocker.age", "acme", "10", "idle in transaction", "odoo-7"): 74.0,
        ("postgresql.lock.root_blocker.held_up", "acme", "10", "idle in transaction", "odoo-7"): 2,
    }


async def test_blockers_beyond_the_top_are_summed_up(postgres: Make, read: Read) -> None:
    """The count of root blockers stays whole, and the rest is one series that counts each waiter once."""
    rows = [holder(pid, age=float(pid)) for pid in (10, 11, 12)]
    rows += [waiter(20, 10), waiter(21, 10), waiter(22, 11, 12)]
    read_once = await read(EXPORTER, postgres({WAITS: rows, COUNTS: []}), Options(top=1))
    assert read_once["postgresql.lock.root_blockers", "acme", "idle in transaction"] == 3
    assert read_once["postgresql.lock.root_blocker.held_up", "acme", "10", "idle in transaction", "odoo-7"] == 2
    assert read_once["postgresql.lock.root_blocker.held_up", "acme", "other", "", ""] == 1
    assert read_once["postgresql.lock.root_blocker.age", "acme", "other", "", ""] == 12.0


async def test_a_deadlock_has_waiters_and_no_root(postgres: Make, read: Read) -> None:
    """Two sessions that wait for each other hold nobody up from outside."""
    found = await read(EXPORTER, postgres({WAITS: [waiter(10, 11), waiter(11, 10)], COUNTS: []}))
    assert found["postgresql.lock.waiting",] == 2
    assert not [key for key in found if key[0].startswith("postgresql.lock.root")]


async def test_a_prepared_transaction_is_a_root_blocker(postgres: Make, read: Read) -> None:
    """What no session holds any more still has a name and an age."""
    row = {**waiter(10, 0), "prepared_age": 600.0}
    found = await read(EXPORTER, postgres({WAITS: [row], COUNTS: []}))
    assert found["postgresql.lock.root_blocker.age", "acme", "0", "prepared", ""] == 600.0
    assert found["postgresql.lock.root_blocker.held_up", "acme", "0", "prepared", ""] == 1


async def test_a_blocker_that_ended_meanwhile_is_left_out(postgres: Make, read: Read) -> None:
    """A pid without a session is no root blocker."""
    found = await read(EXPORTER, postgres({WAITS: [waiter(11, 10)], COUNTS: []}))
    assert set(found) == {
        ("postgresql.lock.waiting",),
        ("postgresql.lock.waiters", "acme", "transactionid", "ShareLock"),
        ("postgresql.lock.wait.longest", "acme"),
    }


async def test_a_session_without_a_transaction_has_no_age(postgres: Make, read: Read) -> None:
    """An advisory lock can outlive its transaction: the age is absent, not 0."""
    rows = [holder(10, age=None, state="idle"), waiter(11, 10, lock="advisory")]
    found = await read(EXPORTER, postgres({WAITS: rows, COUNTS: []}))
    assert found["postgresql.lock.root_blocker.held_up", "acme", "10", "idle", "odoo-7"] == 1
    assert not [key for key in found if key[0] == postgres_locks.ROOT_BLOCKER_AGE.name]


async def test_a_waiting_parallel_worker_is_its_leader(postgres: Make, read: Read) -> None:
    """A leader whose worker waits is no root blocker, whichever row comes first."""
    leader, worker = holder(10), waiter(10, 9)
    rows = [worker, leader, holder(9), waiter(11, 10)]
    found = await read(EXPORTER, postgres({WAITS: rows, COUNTS: []}))
    assert found["postgresql.lock.waiting",] == 2
    assert found["postgresql.lock.root_blockers", "acme", "idle in transaction"] == 1


async def test_counts_are_read_only_where_they_are_wanted(postgres: Make, read: Read) -> None:
    """Switched off, the statement is not run; switched on, held and awaited locks differ."""
    counts = [{"database": "acme", "mode": "ShareLock", "granted": granted, "locks": 3} for granted in (True, False)]
    assert await read(EXPORTER, postgres({WAITS: []}), Options(counts=False)) == {("postgresql.lock.waiting",): 0}
    found = await read(EXPORTER, postgres({WAITS: [], COUNTS: counts}))
    assert found["postgresql.locks", "acme", "ShareLock", "true"] == 3
    assert found["postgresql.locks", "acme", "ShareLock", "false"] == 3


async def test_postgresql_13_is_asked_without_the_start_of_the_wait(postgres: Make, read: Read) -> None:
    """The older statement goes to the older server."""
    assert "waitstart" not in WAITS_13
    old = postgres({WAITS_13: [], COUNTS: []}, version=130022)
    assert await read(EXPORTER, old) == {("postgresql.lock.waiting",): 0}


async def test_a_hidden_session_is_an_error(postgres: Make, read: Read) -> None:
    """One without contents is no root blocker in an unknown state, and a wait of unknown length is not one of 0 s."""
    hidden = {**holder(10, age=None, state="unknown"), "hidden": True}
    with pytest.raises(PermissionDeniedError, match="pg_monitor"):
        await read(EXPORTER, postgres({WAITS: [hidden], COUNTS: []}))
