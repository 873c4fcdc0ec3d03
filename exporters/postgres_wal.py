"""How much write-ahead log a PostgreSQL server makes, and of what.

The amount is the log's own position, which goes on through restarts and resets of statistics; a standby makes no log
and has none. What it is made of comes from ``pg_stat_wal`` (PostgreSQL 14 and later), whose ``stats_reset`` is the
counters' start. Any role may read this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Sample, TargetKind

GENERATED = Metric(
    "postgresql.wal.generated",
    Kind.COUNTER,
    "By",
    "Write-ahead log since the cluster was made. Absent on a standby.",
)
RECORDS = Metric("postgresql.wal.records", Kind.COUNTER, "{record}", "Records in the log. PostgreSQL 14 and later.")
PAGE_IMAGES = Metric(
    "postgresql.wal.page_images",
    Kind.COUNTER,
    "{page}",
    "Whole pages in the log, each after its page's first change since a checkpoint. PostgreSQL 14 and later.",
)
BUFFERS_FULL = Metric(
    "postgresql.wal.buffers_full",
    Kind.COUNTER,
    "{write}",
    "Writes of the log that were made because wal_buffers was full. PostgreSQL 14 and later.",
)

POSITION = """
select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint as bytes where not pg_is_in_recovery()
"""
CONTENTS = """
select wal_records, wal_fpi, wal_buffers_full, extract(epoch from stats_reset)::float8 as start from pg_stat_wal
"""

_WITH_CONTENTS = 140000


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Amount and contents of the log."""
    for row in await session.fetch(POSITION):
        yield GENERATED(row["bytes"])
    if session.version >= _WITH_CONTENTS:
        (row,) = await session.fetch(CONTENTS)
        yield RECORDS(row["wal_records"], start=row["start"])
        yield PAGE_IMAGES(row["wal_fpi"], start=row["start"])
        yield BUFFERS_FULL(row["wal_buffers_full"], start=row["start"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_wal",
    reads=TargetKind.POSTGRES,
    metrics=(GENERATED, RECORDS, PAGE_IMAGES, BUFFERS_FULL),
    options=Options,
    collect=collect,
    state=lambda: None,
)
