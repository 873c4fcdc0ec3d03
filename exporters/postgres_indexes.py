"""Indexes of a PostgreSQL database that are written and never read, because their building failed.

``CREATE INDEX CONCURRENTLY`` and ``REINDEX CONCURRENTLY`` leave such an index behind when they fail or are cancelled.
One that is being built at this moment is not counted; on a standby nothing is, which does not know what its primary is
building. The role ``pg_monitor`` is enough; without it nobody knows what others build.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Per, Postgres, Sample, TargetKind

from .sight import require_sight

INVALID = Metric(
    "postgresql.index.invalid",
    Kind.UPDOWN,
    "{index}",
    "Invalid indexes that nobody is building. 0 means that there are none; absent on a standby only.",
    budget=6000,
)

INDEXES = """
select count(*) as invalid, not pg_has_role('pg_read_all_stats', 'usage') as hidden
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
 where not i.indisvalid and c.relkind = 'i'
   and not exists (
       select from pg_stat_progress_create_index p where p.relid = i.indrelid and p.datname = current_database())
having not pg_is_in_recovery()
"""
"""By table: PostgreSQL does not name the index that is being built until it has made it."""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Invalid indexes of the database that ``session`` is in.

    Raises:
        PermissionDeniedError: when the role may not see which indexes others build.
    """
    for row in await session.fetch(INDEXES):
        require_sight("pg_stat_progress_create_index", hidden=row["hidden"])
        yield INVALID(row["invalid"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_indexes",
    reads=TargetKind.POSTGRES,
    metrics=(INVALID,),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=300.0,
)
