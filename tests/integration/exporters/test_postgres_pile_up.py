"""A pile-up: twenty sessions wait for one row behind somebody who does nothing, and elsewhere others wait too."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from exporters.postgres_locks import EXPORTER
from sandbox.parts.postgres import ODOO_ROLE, Postgres, session, sql
from sandbox.process import until

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

_WAITERS = 20
_ELSEWHERE = 2
_TAKE = "begin; update orders set state = 1 where id = 1;"
_WANT = "update orders set state = 2 where id = 1;"
_WORKING = "begin; update orders set state = 1 where id = 1; select pg_sleep(600);"
_WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = '{database}'"
_HOLDER = "select pid from pg_stat_activity where state = 'idle in transaction'"


@dataclass(frozen=True)
class PileUp:
    """The pid of who holds the row, and between which moments (of the monotonic clock) the first began to wait."""

    holder: str
    not_before: float
    not_after: float


@pytest.fixture(scope="module")
def pile_up(primary: Postgres) -> Iterator[PileUp]:
    """In ``acme`` twenty wait behind a session idle in its transaction, in ``globex`` two behind one that works."""
    sql(primary, "drop database if exists globex with (force)")
    sql(primary, f"create database globex template acme owner {ODOO_ROLE}")
    with ExitStack() as sessions:

        def wait(database: str, count: int) -> None:
            before = int(sql(primary, _WAITING.format(database=database)))
            for _ in range(count):
                sessions.enter_context(session(primary, _WANT, database, "web-order"))
            assert until(lambda: sql(primary, _WAITING.format(database=database)) == str(before + count), within=30)

        sessions.enter_context(session(primary, _TAKE, "acme", "month-end-import"))
        assert until(lambda: bool(sql(primary, _HOLDER)), within=30)
        not_before = time.monotonic()
        wait("acme", 1)
        not_after = time.monotonic()
        wait("acme", _WAITERS - 1)
        sessions.enter_context(session(primary, _WORKING, "globex", "price-update"))
        sleeping = "select 1 from pg_stat_activity where wait_event = 'PgSleep'"
        assert until(lambda: bool(sql(primary, sleeping)), within=30)
        wait("globex", _ELSEWHERE)
        yield PileUp(sql(primary, _HOLDER), not_before, not_after)


@pytest.mark.usefixtures("pile_up")
async def test_everybody_who_waits_is_counted(primary: Postgres, connect: Any, read: Read) -> None:
    """Rows 1, 3: the first waits for a transaction, nineteen queue for the tuple, and none is lost or taken twice."""
    found = await read(EXPORTER, await connect(primary))
    assert found["postgresql.lock.waiting",] == _WAITERS + _ELSEWHERE
    assert {key[1:]: value for key, value in found.items() if key[0] == "postgresql.lock.waiters"} == {
        ("acme", "transactionid", "ShareLock"): 1,
        ("acme", "tuple", "ExclusiveLock"): _WAITERS - 1,
        ("globex", "transactionid", "ShareLock"): 1,
        ("globex", "tuple", "ExclusiveLock"): _ELSEWHERE - 1,
    }


async def test_the_longest_wait_is_as_long_as_it_is(
    pile_up: PileUp, primary: Postgres, connect: Any, read: Read
) -> None:
    """Row 1: since the first of them began to wait, by a clock of our own; and the reading itself is in time."""
    cluster = await connect(primary)
    asked = time.monotonic()
    found = await read(EXPORTER, cluster)
    answered = time.monotonic()
    assert asked - pile_up.not_after <= found["postgresql.lock.wait.longest", "acme"] <= answered - pile_up.not_before
    assert found["postgresql.lock.wait.longest", "globex"] < found["postgresql.lock.wait.longest", "acme"]
    assert answered - asked < EXPORTER.deadline


async def test_one_session_is_the_root_of_it(pile_up: PileUp, primary: Postgres, connect: Any, read: Read) -> None:
    """Row 2: who holds up twenty is named with state, application and tenant, and is not who holds up two elsewhere."""
    found = await read(EXPORTER, await connect(primary))
    assert {key[1:]: value for key, value in found.items() if key[0] == "postgresql.lock.root_blockers"} == {
        ("acme", "idle in transaction"): 1,
        ("globex", "active"): 1,
    }
    held_up = {key[1:]: value for key, value in found.items() if key[0] == "postgresql.lock.root_blocker.held_up"}
    root = ("acme", pile_up.holder, "idle in transaction", "month-end-import")
    assert held_up.pop(root) == _WAITERS
    ((elsewhere, count),) = held_up.items()
    assert (elsewhere[0], *elsewhere[2:], count) == ("globex", "active", "price-update", _ELSEWHERE)
    age = found["postgresql.lock.root_blocker.age", *root]
    assert found["postgresql.lock.wait.longest", "acme"] < age < time.monotonic() - pile_up.not_before + 60


async def test_when_the_root_ends_the_queue_is_gone(
    pile_up: PileUp, primary: Postgres, connect: Any, read: Read, eventually: Read
) -> None:
    """Rows 1, 2: all twenty pass, ``acme`` has no series left, and the others still wait. Runs last."""
    cluster = await connect(primary)
    sql(primary, f"select pg_terminate_backend({pile_up.holder})")
    found = await eventually(
        partial(read, EXPORTER, cluster), lambda reading: reading["postgresql.lock.waiting",] == _ELSEWHERE
    )
    assert not [key for key in found if key[0] != "postgresql.locks" and "acme" in key]
