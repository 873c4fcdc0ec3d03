"""The largest tables of a PostgreSQL database, those with the most dead rows, and when they were last vacuumed.

Sizes are what the catalogue last estimated (see `postgres_sizes`): no relation is opened, so no lock can be waited
for. Only the leaders come over the wire, with those shown before, whose places are sticky, and a sum of everything,
so that the shown and ``other`` add up to the whole. Dead rows and vacuums are counted where they are made: a standby
tells sizes alone. Any role may read this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Kind, Metric, Per, Postgres, Row, Sample, TargetKind

from .sticky import StickyTop

SIZE = Metric(
    "postgresql.table.size.estimate",
    Kind.UPDOWN,
    "By",
    "Size of a table with its indexes and long values, as of the last vacuum or analyze. other is all the rest.",
    ("table",),
    budget=6000,
)
DEAD = Metric(
    "postgresql.table.rows.dead",
    Kind.UPDOWN,
    "{row}",
    "Dead rows of a table, as PostgreSQL estimates them. other is all the rest.",
    ("table",),
    budget=6000,
)
LIVE = Metric(
    "postgresql.table.rows.live",
    Kind.UPDOWN,
    "{row}",
    "Live rows of the tables with the most dead ones, as PostgreSQL estimates them. other is all the rest.",
    ("table",),
    budget=6000,
)
VACUUM_AGE = Metric(
    "postgresql.table.vacuum.age",
    Kind.GAUGE,
    "s",
    "Time since a table that is shown by size or dead rows was last vacuumed, by whomever. Absent when it never was.",
    ("table",),
    budget=6000,
)

TABLES = """
with indexes as (
    select i.indrelid as oid, sum(c.relpages) as pages
      from pg_index i join pg_class c on c.oid = i.indexrelid group by 1
), tables as materialized (
    select c.oid,
           c.relnamespace::regnamespace || '.' || c.relname as name,
           c.relpages + coalesce(t.relpages, 0) + coalesce(i.pages, 0) as pages,
           pg_stat_get_dead_tuples(c.oid) as dead,
           pg_stat_get_live_tuples(c.oid) as live
      from pg_class c
      left join pg_class t on t.oid = c.reltoastrelid
      left join indexes i on i.oid = c.oid
     where c.relkind in ('r', 'm') and c.relpersistence <> 't' and not c.relisshared
), shown as (
    (select * from tables order by pages desc, name limit $1)
    union
    (select * from tables where dead > 0 order by dead desc, name limit $1)
    union
    (select * from tables where name = any ($2::text[]))
)
select name, (pages * :block)::bigint as size, dead, live,
       extract(epoch from clock_timestamp() - greatest(
           pg_stat_get_last_vacuum_time(oid), pg_stat_get_last_autovacuum_time(oid)))::float8 as vacuum_age,
       null as standby
  from shown
union all
select null, (coalesce(sum(pages), 0) * :block)::bigint,
       coalesce(sum(dead), 0)::bigint, coalesce(sum(live), 0)::bigint, null, pg_is_in_recovery()
  from tables
""".replace(":block", "current_setting('block_size')::bigint")
"""The leaders, those asked for by name, and a row without a name that sums up all tables.

A visit plans it with empty caches, and that is most of what it costs: each table and kind of function less counts.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    top: int = field(
        default=5, metadata={"help": "how many tables of a database are shown, by size and by dead rows", "at_least": 1}
    )


@dataclass(slots=True)
class Shown:
    """Which tables are shown, by each order."""

    by_size: StickyTop[str] = field(default_factory=StickyTop)
    by_dead: StickyTop[str] = field(default_factory=StickyTop)

    @property
    def names(self) -> list[str]:
        """All of them."""
        return sorted(self.by_size.members | self.by_dead.members)


async def collect(session: Postgres, options: Options, shown: Shown) -> AsyncIterator[Sample]:
    """The leading tables of the database that ``session`` is in."""
    rows = await session.fetch(TABLES, options.top, shown.names)
    (whole,) = (row for row in rows if row["name"] is None)
    tables = {row["name"]: row for row in rows if row["name"] is not None}
    large = shown.by_size.choose({name: row["size"] for name, row in tables.items()}, options.top)
    for sample in _split(SIZE, "size", [tables[name] for name in large], whole):
        yield sample
    if whole["standby"]:
        return
    untidy = shown.by_dead.choose({name: row["dead"] for name, row in tables.items() if row["dead"]}, options.top)
    for metric, column in ((DEAD, "dead"), (LIVE, "live")):
        for sample in _split(metric, column, [tables[name] for name in untidy], whole):
            yield sample
    for sample in _ages(tables, large | untidy):
        yield sample


def _split(metric: Metric, column: str, rows: Sequence[Row], whole: Row) -> Iterator[Sample]:
    """The shown ones and the rest, which add up to the whole."""
    yield from (metric(row[column], row["name"]) for row in rows)
    yield metric(whole[column] - sum(row[column] for row in rows), "other")


def _ages(tables: Mapping[str, Row], names: frozenset[str]) -> Iterator[Sample]:
    for name in names:
        if tables[name]["vacuum_age"] is not None:
            yield VACUUM_AGE(max(0.0, tables[name]["vacuum_age"]), name)


EXPORTER: Exporter[Postgres, Options, Shown] = Exporter(
    name="postgres_tables",
    reads=TargetKind.POSTGRES,
    metrics=(SIZE, DEAD, LIVE, VACUUM_AGE),
    options=Options,
    collect=collect,
    state=Shown,
    per=Per.DATABASE,
    every=300.0,
)
