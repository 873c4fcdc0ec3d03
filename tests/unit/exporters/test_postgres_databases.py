"""Databases: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from exporters.postgres_databases import CONFLICTED, CONFLICTED_13, DATABASES, DATABASES_13, EXPORTER
from quaywatch.contract import Postgres, Row, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]

_COUNTS = ("xact_commit", "xact_rollback", "deadlocks", "temp_files", "temp_bytes", "blks_hit", "blks_read")
_SESSIONS = ("sessions", "sessions_abandoned", "sessions_fatal", "sessions_killed")
_CONFLICTS = ("tablespace", "lock", "snapshot", "bufferpin", "deadlock")
_TIMES = ("active_seconds", "idle_in_transaction_seconds")


def database(name: str = "acme", **others: Any) -> Row:
    """A database as PostgreSQL 13 shows it, every count another one."""
    counts = {column: 10 + number for number, column in enumerate(_COUNTS)}
    return {"database": name, "start": 1000.0, "checksum_failures": None, **counts, **others}


async def test_each_count_goes_to_its_metric(postgres: Make, read: Read) -> None:
    """Row 10: deadlocks by tenant, and the other counts beside them; on 13 sessions are absent."""
    old = postgres({DATABASES_13: [database()], CONFLICTED_13: []}, version=130022)
    assert await read(EXPORTER, old) == {
        ("postgresql.transaction.commits", "acme"): 10,
        ("postgresql.transaction.rollbacks", "acme"): 11,
        ("postgresql.deadlocks", "acme"): 12,
        ("postgresql.temp_files", "acme"): 13,
        ("postgresql.temp.io", "acme"): 14,
        ("postgresql.blocks.hit", "acme"): 15,
        ("postgresql.blocks.read", "acme"): 16,
    }


async def test_sessions_that_ended_badly_are_told_apart(postgres: Make, read: Read) -> None:
    """From 14 on, with the time spent active and idle in transaction."""
    row = {**database(), **{column: number for number, column in enumerate((*_SESSIONS, *_TIMES))}}
    found = await read(EXPORTER, postgres({DATABASES: [row], CONFLICTED_13: []}))
    assert found["postgresql.sessions.established", "acme"] == 0
    assert [found["postgresql.sessions.ended", "acme", why] for why in ("abandoned", "fatal", "killed")] == [1, 2, 3]
    assert found["postgresql.sessions.time", "acme", "active"] == 4
    assert found["postgresql.sessions.time", "acme", "idle in transaction"] == 5


async def test_what_all_databases_share_has_checksums_only(postgres: Make, read: Read) -> None:
    """The row without a database counts nobody's transactions."""
    rows = {DATABASES_13: [database("", checksum_failures=2)], CONFLICTED_13: []}
    assert await read(EXPORTER, postgres(rows, version=130022)) == {("postgresql.checksum.failures", ""): 2}


@pytest.mark.parametrize(
    ("statement", "version", "reasons"),
    [(CONFLICTED_13, 150000, _CONFLICTS), (CONFLICTED, 160000, (*_CONFLICTS, "logical_slot"))],
)
async def test_a_standby_shows_its_conflicts(
    statement: str, version: int, reasons: Sequence[str], postgres: Make, read: Read
) -> None:
    """By what replay had to clear away; from 16 on with the readers of logical slots."""
    counts = {reason: number for number, reason in enumerate(reasons)}
    rows = {DATABASES: [], statement: [{"database": "acme", "start": 1000.0, **counts}]}
    found = await read(EXPORTER, postgres(rows, version=version))
    assert {key[2]: value for key, value in found.items()} == counts


async def test_counters_start_when_the_statistics_were_reset(postgres: Make) -> None:
    """Row 23: the source's own time, and none where it does not know one."""
    rows = [database(), database("beta", start=None)]
    driver = postgres({DATABASES_13: rows, CONFLICTED_13: []}, version=130022)
    samples = [sample async for sample in EXPORTER.collect(driver, EXPORTER.options(), None)]
    assert {sample.start for sample in samples if sample.attributes == ("acme",)} == {1000.0}
    assert {sample.start for sample in samples if sample.attributes == ("beta",)} == {None}
