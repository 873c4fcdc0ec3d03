"""What happened in each database of a PostgreSQL cluster since its statistics were reset.

From ``pg_stat_database``, whose ``stats_reset`` is the counters' start; a database whose statistics never were reset
says nothing (PostgreSQL 15 and later). Templates are left out. One statement for the whole cluster, in the one kept
session, and one more on a standby. The role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Row, Sample, TargetKind


def _counter(name: str, unit: str, help_: str, *attributes: str) -> Metric:
    return Metric(name, Kind.COUNTER, unit, help_, ("database", *attributes), budget=6000)


COMMITS = _counter("postgresql.transaction.commits", "{transaction}", "Transactions that were committed.")
ROLLBACKS = _counter("postgresql.transaction.rollbacks", "{transaction}", "Transactions that were rolled back.")
DEADLOCKS = _counter("postgresql.deadlocks", "{deadlock}", "Deadlocks that were found.")
TEMP_FILES = _counter("postgresql.temp_files", "{temp_file}", "Temporary files that queries made, once they are gone.")
TEMP_BYTES = _counter("postgresql.temp.io", "By", "Data that queries wrote to temporary files, once these are gone.")
BLOCK_HITS = _counter("postgresql.blocks.hit", "{block}", "Blocks that were found in PostgreSQL's own buffers.")
BLOCK_READS = _counter("postgresql.blocks.read", "{block}", "Blocks that were read from the operating system.")
SESSIONS = _counter(
    "postgresql.sessions.established", "{session}", "Sessions that were begun. PostgreSQL 14 and later."
)
SESSIONS_ENDED = _counter(
    "postgresql.sessions.ended",
    "{session}",
    "Sessions that ended badly: abandoned (the client went), fatal (an error), killed (an operator). PostgreSQL 14 and"
    " later.",
    "reason",
)
SESSION_TIME = _counter(
    "postgresql.sessions.time",
    "s",
    "Time that sessions spent active or idle in a transaction. PostgreSQL 14 and later.",
    "state",
)
CHECKSUM_FAILURES = _counter(
    "postgresql.checksum.failures",
    "{failure}",
    "Pages whose checksum was wrong, without a database in what all databases share. Absent where checksums are off.",
)
CONFLICTS = _counter(
    "postgresql.recovery.conflicts",
    "{query}",
    "Queries on a standby that were cancelled because replay had to go on, by what they conflicted with. From"
    " PostgreSQL 16 on also readers of logical slots there (logical_slot).",
    "reason",
)

_DATABASES = """
select coalesce(s.datname, '') as database,
       extract(epoch from s.stats_reset)::float8 as start,
       s.xact_commit, s.xact_rollback, s.deadlocks, s.temp_files, s.temp_bytes, s.blks_hit, s.blks_read,
       s.checksum_failures:more
  from pg_stat_database s
  left join pg_database d on d.oid = s.datid
 where not coalesce(d.datistemplate, false)
"""
DATABASES_13 = _DATABASES.replace(":more", "")
"""One row per database, and one without a name for what they share."""
DATABASES = _DATABASES.replace(
    ":more",
    """, s.sessions, s.sessions_abandoned, s.sessions_fatal, s.sessions_killed,
       s.active_time / 1000 as active_seconds, s.idle_in_transaction_time / 1000 as idle_in_transaction_seconds""",
)
"""The same where sessions are counted."""
_CONFLICTED = """
select c.datname as database, extract(epoch from s.stats_reset)::float8 as start,
       c.confl_tablespace as tablespace, c.confl_lock as lock, c.confl_snapshot as snapshot,
       c.confl_bufferpin as bufferpin, c.confl_deadlock as deadlock:more
  from pg_stat_database_conflicts c
  join pg_stat_database s on s.datid = c.datid
  join pg_database d on d.oid = c.datid
 where pg_is_in_recovery() and not d.datistemplate
"""
CONFLICTED_13 = _CONFLICTED.replace(":more", "")
CONFLICTED = _CONFLICTED.replace(":more", ", c.confl_active_logicalslot as logical_slot")
"""The same where a standby may have logical slots, and a conflict invalidates one that is read."""

_WITH_SESSIONS = 140000
_WITH_LOGICAL_SLOTS = 160000
_PLAIN = {
    "xact_commit": COMMITS,
    "xact_rollback": ROLLBACKS,
    "deadlocks": DEADLOCKS,
    "temp_files": TEMP_FILES,
    "temp_bytes": TEMP_BYTES,
    "blks_hit": BLOCK_HITS,
    "blks_read": BLOCK_READS,
    "sessions": SESSIONS,
}
_BY_WORD = {
    "sessions_abandoned": (SESSIONS_ENDED, "abandoned"),
    "sessions_fatal": (SESSIONS_ENDED, "fatal"),
    "sessions_killed": (SESSIONS_ENDED, "killed"),
    "active_seconds": (SESSION_TIME, "active"),
    "idle_in_transaction_seconds": (SESSION_TIME, "idle in transaction"),
}
_CONFLICTS = ("tablespace", "lock", "snapshot", "bufferpin", "deadlock", "logical_slot")


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Counters of every database."""
    for row in await session.fetch(DATABASES if session.version >= _WITH_SESSIONS else DATABASES_13):
        for sample in _database(row):
            yield sample
    for row in await session.fetch(CONFLICTED if session.version >= _WITH_LOGICAL_SLOTS else CONFLICTED_13):
        for reason in _CONFLICTS:
            if reason in row:
                yield CONFLICTS(row[reason], row["database"], reason, start=row["start"])


def _database(row: Row) -> Iterator[Sample]:
    database, start = row["database"], row["start"]
    if row["checksum_failures"] is not None:
        yield CHECKSUM_FAILURES(row["checksum_failures"], database, start=start)
    if not database:
        return
    for column, metric in _PLAIN.items():
        if column in row:
            yield metric(row[column], database, start=start)
    for column, (metric, word) in _BY_WORD.items():
        if column in row:
            yield metric(row[column], database, word, start=start)


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_databases",
    reads=TargetKind.POSTGRES,
    metrics=(*_PLAIN.values(), SESSIONS_ENDED, SESSION_TIME, CHECKSUM_FAILURES, CONFLICTS),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=30.0,
)
