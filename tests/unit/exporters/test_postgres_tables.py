"""What is read on visits to each database: sizes, tables and indexes; rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from exporters import postgres_indexes, postgres_sizes
from exporters.postgres_tables import EXPORTER, TABLES, Options, Shown
from quaywatch.contract import Postgres, Row, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


def table(name: str, *, size: int = 0, dead: int = 0, live: int = 0, age: float | None = None) -> Row:
    """A table."""
    return {"name": name, "size": size, "dead": dead, "live": live, "vacuum_age": age}


def tables(*rows: Row, standby: bool = False) -> dict[str, Sequence[Row]]:
    """All tables of a database, with their sums."""
    sums = {column: sum(row[column] for row in rows) for column in ("size", "dead", "live")}
    return {TABLES: [*rows, {"name": None, "vacuum_age": None, "standby": standby, **sums}]}


async def test_the_shown_and_the_rest_are_the_whole(postgres: Make, read: Read) -> None:
    """Row 22: what is not shown one by one is in other, so that sums stay right."""
    rows = tables(
        table("public.mail", size=900, dead=1), table("public.sale", size=80, dead=50), table("public.a", size=7)
    )
    found = await read(EXPORTER, postgres(rows), Options(top=1))
    assert found["postgresql.table.size.estimate", "public.mail"] == 900
    assert found["postgresql.table.size.estimate", "other"] == 87
    assert found["postgresql.table.rows.dead", "public.sale"] == 50
    assert found["postgresql.table.rows.dead", "other"] == 1


async def test_a_leader_keeps_its_place_against_a_little_more(postgres: Make, read: Read) -> None:
    """Row 22: places are sticky, and who is shown is asked for by name."""
    shown = Shown()
    await read(EXPORTER, postgres(tables(table("a", size=100), table("b", size=99))), Options(top=1), shown)
    assert shown.names == ["a"]
    found = await read(EXPORTER, postgres(tables(table("a", size=100), table("b", size=150))), Options(top=1), shown)
    assert found["postgresql.table.size.estimate", "a"] == 100
    found = await read(EXPORTER, postgres(tables(table("a", size=100), table("b", size=300))), Options(top=1), shown)
    assert found["postgresql.table.size.estimate", "b"] == 300


async def test_a_table_that_was_never_vacuumed_has_no_age(postgres: Make, read: Read) -> None:
    """Never is not 0."""
    found = await read(EXPORTER, postgres(tables(table("a", dead=5, age=30.0), table("b", dead=4))))
    assert found["postgresql.table.vacuum.age", "a"] == 30.0
    assert ("postgresql.table.vacuum.age", "b") not in found


async def test_a_standby_tells_sizes_alone(postgres: Make, read: Read) -> None:
    """Its own counts of dead rows would be 0 whatever there is."""
    found = await read(EXPORTER, postgres(tables(table("a", size=7, age=30.0), standby=True)))
    assert {key[0] for key in found} == {"postgresql.table.size.estimate"}


async def test_tables_without_dead_rows_take_no_place_among_those_with_them(postgres: Make, read: Read) -> None:
    """Nothing is shown of a table that is tidy."""
    found = await read(EXPORTER, postgres(tables(table("a", dead=5), table("b"))))
    assert ("postgresql.table.rows.dead", "b") not in found
    assert found["postgresql.table.rows.dead", "other"] == 0


async def test_a_database_without_tables_has_nothing_but_a_rest(postgres: Make, read: Read) -> None:
    """An empty whole is a measured 0."""
    found = await read(EXPORTER, postgres(tables()))
    assert set(found.values()) == {0}
    assert {key[1] for key in found} == {"other"}


async def test_sizes_come_by_kind(postgres: Make, read: Read) -> None:
    """Row 15: one small answer per database."""
    rows: list[dict[str, Any]] = [{"kind": "table", "size": 8192}, {"kind": "index", "size": 16384}]
    found = await read(postgres_sizes.EXPORTER, postgres({postgres_sizes.SIZES: rows}))
    assert found == {
        ("postgresql.database.size.estimate", "table"): 8192,
        ("postgresql.database.size.estimate", "index"): 16384,
    }


async def test_no_invalid_index_is_a_measured_0(postgres: Make, read: Read) -> None:
    """Always there."""
    rows: list[dict[str, Any]] = [{"invalid": 0, "hidden": False}]
    found = await read(postgres_indexes.EXPORTER, postgres({postgres_indexes.INDEXES: rows}))
    assert found == {("postgresql.index.invalid",): 0}
