"""Whether PostgreSQL's archiver succeeds: a primary whose archive fails keeps all its log until the disk is full.

The time since the last archived file says little alone, since it grows on an idle server: what tells is whether the
last try failed. Absent where nothing is archived. The role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Row, Sample, TargetKind

FAILING = Metric("postgresql.archiver.failing", Kind.GAUGE, "", "1 when the last try to archive a file failed, else 0.")
FAILURES = Metric("postgresql.archiver.failures", Kind.COUNTER, "{failure}", "Failed tries to archive a file.")
ARCHIVED = Metric("postgresql.archiver.archived", Kind.COUNTER, "{file}", "Files that were archived.")
LAST_ARCHIVED = Metric(
    "postgresql.archiver.last_archived.age",
    Kind.GAUGE,
    "s",
    "Time since a file was archived. It grows on an idle server; absent when there was none since the reset.",
)

ARCHIVER = """
select archived_count, failed_count,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as failing,
       extract(epoch from clock_timestamp() - last_archived_time)::float8 as age,
       extract(epoch from stats_reset)::float8 as start
  from pg_stat_archiver
 where current_setting('archive_mode') = 'always'
    or (current_setting('archive_mode') = 'on' and not pg_is_in_recovery())
"""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The archiver's state and counters, where the server archives."""
    for row in await session.fetch(ARCHIVER):
        for sample in _archiver(row):
            yield sample


def _archiver(row: Row) -> Iterator[Sample]:
    yield FAILING(int(row["failing"]))
    yield FAILURES(row["failed_count"], start=row["start"])
    yield ARCHIVED(row["archived_count"], start=row["start"])
    if row["age"] is not None:
        yield LAST_ARCHIVED(max(0.0, row["age"]))


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_archiver",
    reads=TargetKind.POSTGRES,
    metrics=(FAILING, FAILURES, ARCHIVED, LAST_ARCHIVED),
    options=Options,
    collect=collect,
    state=lambda: None,
)
