"""Temporary files that PostgreSQL's queries have on disk at this moment.

The counters of ``pg_stat_database`` learn of a temporary file when it is removed: a query that fills the disk is not
among them. Files that parallel workers share lie in directories of their own, which PostgreSQL does not list. The
database is that of the session whose pid the file's name begins with. The role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Sample, TargetKind

TOTAL = Metric(
    "postgresql.temp.current",
    Kind.GAUGE,
    "By",
    "Temporary files on disk, in all tablespaces. Always there: 0 means that there are none.",
)
SIZE = Metric(
    "postgresql.temp.current.size",
    Kind.UPDOWN,
    "By",
    "Temporary files on disk, by database. Without a database they are a session's that ended meanwhile.",
    ("database",),
)
FILES = Metric("postgresql.temp.current.files", Kind.UPDOWN, "{file}", "The number of these files.", ("database",))

TEMPORARY = """
with files as materialized (
    select substring(f.name from '^pgsql_tmp([0-9]+)\\.')::int as pid, f.size
      from pg_tablespace t, lateral pg_ls_tmpdir(t.oid) f
     where t.spcname <> 'pg_global'
)
select coalesce(a.datname, '') as database, count(*) as files, sum(f.size)::bigint as size
  from files f
  left join pg_stat_activity a on a.pid = f.pid
 group by 1
"""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Temporary files in all and by database.

    Raises:
        PermissionDeniedError: when the role may not list the directories.
    """
    rows = await session.fetch(TEMPORARY)
    yield TOTAL(sum(row["size"] for row in rows))
    for row in rows:
        yield SIZE(row["size"], row["database"])
        yield FILES(row["files"], row["database"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_temp",
    reads=TargetKind.POSTGRES,
    metrics=(TOTAL, SIZE, FILES),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=30.0,
)
