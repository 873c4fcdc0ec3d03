"""How large each database of a PostgreSQL cluster is, as its own catalogue last estimated it.

``pg_database_size`` asks the file system for every file of a database: with thousands of databases of thousands of
files each that is a load of its own, and a budget for it would show old sizes as fresh ones. ``pg_class.relpages`` is
one scan of a small table on a visit that takes place anyway, needs no lock on any relation and cannot queue behind
one. It is as old as the last vacuum, analyze or index build of a relation: right for trends and shares, some per cent
behind on a table that grows, and next to nothing for a database that was restored and neither vacuumed nor analyzed
since. The catalogues that all databases share are no database's, and the maps of free space are left out. Any role
may read this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Per, Postgres, Sample, TargetKind

SIZE = Metric(
    "postgresql.database.size.estimate",
    Kind.UPDOWN,
    "By",
    "Size of a database by kind of relation (table, toast, index), as of the last vacuum or analyze of each: far too"
    " small right after a restore.",
    ("kind",),
    budget=12000,
)

SIZES = """
select case relkind when 'i' then 'index' when 't' then 'toast' else 'table' end as kind,
       (sum(relpages) * current_setting('block_size')::bigint)::bigint as size
  from pg_class
 where relkind in ('r', 'm', 'i', 't', 'S') and not relisshared
 group by 1
"""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The size of the database that ``session`` is in."""
    for row in await session.fetch(SIZES):
        yield SIZE(row["size"], row["kind"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_sizes",
    reads=TargetKind.POSTGRES,
    metrics=(SIZE,),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=300.0,
)
