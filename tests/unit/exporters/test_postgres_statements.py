"""Statements: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest

from exporters.postgres_statements import EXPORTER, SCHEMA, STATEMENTS, Memory, Options
from quaywatch.contract import Postgres, Row, Value
from quaywatch.errors import PermissionDeniedError, VersionError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]

_ONE = Options(top=1)


def statement(query_id: str | None, calls: int, seconds: float) -> Row:
    """A statement of one tenant."""
    who = {"database": "acme", "role": "odoo", "query_id": query_id}
    return {**who, "calls": calls, "seconds": seconds, "rows": calls, "blocks": 0, "temp_blocks": 0}


def answers(*rows: Row, now: float = 1000.0) -> dict[str, Sequence[Row]]:
    """What a cluster with the extension answers."""
    return {SCHEMA: [{"name": "public", "now": now}], STATEMENTS.format(schema="public"): rows}


def calls(found: dict[tuple[str, ...], Value]) -> dict[str, Value]:
    """The calls by statement."""
    return {key[3]: value for key, value in found.items() if key[0] == "postgresql.statement.calls"}


async def test_it_is_off_until_it_is_asked_for() -> None:
    """Row 14: nobody pays for it unknowingly."""
    assert not EXPORTER.on


async def test_without_the_extension_there_is_an_error(postgres: Make, read: Read) -> None:
    """Who turns it on is told what to do, and where."""
    with pytest.raises(VersionError, match=r"acme lacks .*create extension pg_stat_statements"):
        await read(EXPORTER, postgres({SCHEMA: []}))


async def test_entries_of_one_statement_add_up(postgres: Make, read: Read) -> None:
    """Row 14: run by itself and by a function it has two entries, and one identity."""
    memory = Memory()
    await read(EXPORTER, postgres(answers(statement("7", 1, 0.0), statement("7", 2, 0.0))), state=memory)
    found = await read(EXPORTER, postgres(answers(statement("7", 2, 0.0), statement("7", 4, 0.0))), state=memory)
    assert calls(found)["7"] == 3


async def test_only_what_is_added_counts(postgres: Make, read: Read) -> None:
    """Row 14: the first reading is the ground on which the others stand."""
    memory = Memory()
    assert calls(await read(EXPORTER, postgres(answers(statement("7", 500, 9.0))), state=memory)) == {
        "7": 0,
        "other": 0,
    }
    found = await read(EXPORTER, postgres(answers(statement("7", 530, 9.5))), state=memory)
    assert calls(found) == {"7": 30, "other": 0}
    assert found["postgresql.statement.time", "acme", "odoo", "7"] == pytest.approx(0.5)


async def test_the_shown_and_the_rest_add_up_when_places_change(postgres: Make, read: Read) -> None:
    """Row 22: one that takes a place begins at 0, and the rest never falls."""
    memory = Memory()
    await read(EXPORTER, postgres(answers(statement("7", 0, 0.0), statement("8", 0, 0.0))), _ONE, memory)
    first = await read(EXPORTER, postgres(answers(statement("7", 10, 5.0), statement("8", 4, 1.0))), _ONE, memory)
    assert calls(first) == {"7": 10, "other": 4}
    second = await read(EXPORTER, postgres(answers(statement("7", 11, 5.1), statement("8", 24, 90.0))), _ONE, memory)
    assert calls(second) == {"8": 20, "other": 5}


async def test_a_statement_that_was_forgotten_counts_anew(postgres: Make, read: Read) -> None:
    """Row 23: what came back smaller was reset, and all it has was added since."""
    memory = Memory()
    await read(EXPORTER, postgres(answers(statement("7", 500, 9.0))), state=memory)
    assert calls(await read(EXPORTER, postgres(answers(statement("7", 3, 0.1))), state=memory))["7"] == 3
    await read(EXPORTER, postgres(answers()), state=memory)
    assert calls(await read(EXPORTER, postgres(answers(statement("7", 2, 0.1))), state=memory))["7"] == 2


async def test_a_series_starts_when_it_was_first_shown(postgres: Make) -> None:
    """Row 23: by the server's clock."""
    memory = Memory()
    for now in (1000.0, 1060.0):
        driver = postgres(answers(statement("7", 1, 1.0), now=now))
        samples = [sample async for sample in EXPORTER.collect(driver, Options(), memory)]
        assert {sample.start for sample in samples} == {1000.0}


async def test_what_may_not_be_seen_is_an_error(postgres: Make, read: Read) -> None:
    """Statements of others without an id are not one statement."""
    with pytest.raises(PermissionDeniedError, match="pg_monitor"):
        await read(EXPORTER, postgres(answers(statement(None, 1, 1.0))))
