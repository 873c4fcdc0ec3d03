"""The archiver and its backlog: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from exporters import postgres_archive_backlog as backlog
from exporters.postgres_archiver import ARCHIVER, EXPORTER
from quaywatch.contract import Postgres, Row, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


def archiver(**others: Any) -> Row:
    """An archiver that does well."""
    return {"archived_count": 7, "failed_count": 2, "failing": False, "age": 30.0, "start": 1000.0, **others}


async def test_an_archiver_that_does_well(postgres: Make, read: Read) -> None:
    """Row 12: past failures are a count and not a state."""
    assert await read(EXPORTER, postgres({ARCHIVER: [archiver()]})) == {
        ("postgresql.archiver.failing",): 0,
        ("postgresql.archiver.failures",): 2,
        ("postgresql.archiver.archived",): 7,
        ("postgresql.archiver.last_archived.age",): 30.0,
    }


async def test_one_that_never_succeeded_fails_and_has_no_age(postgres: Make, read: Read) -> None:
    """Row 12: failing now is said at once."""
    found = await read(EXPORTER, postgres({ARCHIVER: [archiver(failing=True, age=None, archived_count=0)]}))
    assert found["postgresql.archiver.failing",] == 1
    assert ("postgresql.archiver.last_archived.age",) not in found


async def test_a_server_that_does_not_archive_says_nothing(postgres: Make, read: Read) -> None:
    """Neither state nor backlog: that is no success."""
    assert await read(EXPORTER, postgres({ARCHIVER: []})) == {}
    assert await read(backlog.EXPORTER, postgres({backlog.WAITING: []})) == {}


async def test_counters_start_at_the_reset(postgres: Make) -> None:
    """Row 23: stats_reset is the start."""
    driver = postgres({ARCHIVER: [archiver()]})
    starts = {s.metric.name: s.start async for s in EXPORTER.collect(driver, EXPORTER.options(), None)}
    assert starts["postgresql.archiver.failures"] == starts["postgresql.archiver.archived"] == 1000.0


async def test_an_empty_backlog_is_a_measured_0(postgres: Make, read: Read) -> None:
    """Row 12: none waits, and so nothing has an age."""
    found = await read(backlog.EXPORTER, postgres({backlog.WAITING: [{"files": 0, "age": None}]}))
    assert found == {("postgresql.archiver.backlog",): 0}


async def test_a_backlog_has_the_age_of_its_oldest(postgres: Make, read: Read) -> None:
    """Row 12: how much, and for how long."""
    found = await read(backlog.EXPORTER, postgres({backlog.WAITING: [{"files": 3, "age": 90.0}]}))
    assert found == {("postgresql.archiver.backlog",): 3, ("postgresql.archiver.backlog.age",): 90.0}
