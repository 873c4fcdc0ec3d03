"""Checkpoints of a PostgreSQL server, and who writes its buffers.

PostgreSQL 17 moved the counters from ``pg_stat_bgwriter`` to ``pg_stat_checkpointer``; the metrics are the same on
both sides. ``stats_reset`` is their start. Any role may read this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Row, Sample, TargetKind

CHECKPOINTS = Metric(
    "postgresql.checkpoint.count",
    Kind.COUNTER,
    "{checkpoint}",
    "Checkpoints, by what called for them: timed (as planned) or requested (max_wal_size was reached, or by hand)."
    " On a standby before PostgreSQL 17 restartpoints count as well.",
    ("trigger",),
)
DONE = Metric(
    "postgresql.checkpoint.done",
    Kind.COUNTER,
    "{checkpoint}",
    "Checkpoints that had something to do. PostgreSQL 18 and later.",
)
RESTARTPOINTS = Metric(
    "postgresql.restartpoint.count",
    Kind.COUNTER,
    "{restartpoint}",
    "Restartpoints of a standby, by what called for them, and those done. PostgreSQL 17 and later.",
    ("trigger",),
)
TIME = Metric(
    "postgresql.checkpoint.time",
    Kind.COUNTER,
    "s",
    "Time that checkpoints spent writing files (write) and bringing them to disk (sync).",
    ("phase",),
)
WRITTEN = Metric(
    "postgresql.buffers.written",
    Kind.COUNTER,
    "{buffer}",
    "Buffers that were written, by who did it. backend, which had to wait for it, up to PostgreSQL 16.",
    ("writer",),
)
ALLOCATED = Metric("postgresql.buffers.allocated", Kind.COUNTER, "{buffer}", "Buffers that were given to new contents.")
CUT_SHORT = Metric(
    "postgresql.buffers.cleaning_cut_short",
    Kind.COUNTER,
    "{round}",
    "Rounds that the background writer ended early, having written bgwriter_lru_maxpages.",
)
LAST = Metric(
    "postgresql.checkpoint.last.age", Kind.GAUGE, "s", "Time since the beginning of the last completed checkpoint."
)

CONTROL = """
select extract(epoch from clock_timestamp() - checkpoint_time)::float8 as age from pg_control_checkpoint()
"""
BACKGROUND_WRITER_16 = """
select checkpoints_timed as timed, checkpoints_req as requested,
       checkpoint_write_time / 1000 as write, checkpoint_sync_time / 1000 as sync,
       buffers_checkpoint as by_checkpointer, buffers_clean as by_background_writer, buffers_backend as by_backend,
       maxwritten_clean as cut_short, buffers_alloc as allocated, extract(epoch from stats_reset)::float8 as start
  from pg_stat_bgwriter
"""
"""Everything, up to PostgreSQL 16."""
BACKGROUND_WRITER = """
select buffers_clean as by_background_writer, maxwritten_clean as cut_short, buffers_alloc as allocated,
       extract(epoch from stats_reset)::float8 as start
  from pg_stat_bgwriter
"""
_CHECKPOINTER = """
select num_timed as timed, num_requested as requested, write_time / 1000 as write, sync_time / 1000 as sync,
       restartpoints_timed as restart_timed, restartpoints_req as restart_requested, restartpoints_done as restart_done,
       buffers_written as by_checkpointer, extract(epoch from stats_reset)::float8 as start:more
  from pg_stat_checkpointer
"""
CHECKPOINTER_17 = _CHECKPOINTER.replace(":more", "")
CHECKPOINTER = _CHECKPOINTER.replace(":more", ", num_done as done")

_WITH_CHECKPOINTER = 170000
_WITH_DONE = 180000
_COLUMNS: Final[Mapping[str, tuple[Metric, tuple[str, ...]]]] = {
    "timed": (CHECKPOINTS, ("timed",)),
    "requested": (CHECKPOINTS, ("requested",)),
    "done": (DONE, ()),
    "restart_timed": (RESTARTPOINTS, ("timed",)),
    "restart_requested": (RESTARTPOINTS, ("requested",)),
    "restart_done": (RESTARTPOINTS, ("done",)),
    "write": (TIME, ("write",)),
    "sync": (TIME, ("sync",)),
    "by_checkpointer": (WRITTEN, ("checkpointer",)),
    "by_background_writer": (WRITTEN, ("background writer",)),
    "by_backend": (WRITTEN, ("backend",)),
    "allocated": (ALLOCATED, ()),
    "cut_short": (CUT_SHORT, ()),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Checkpoints and buffers."""
    (control,) = await session.fetch(CONTROL)
    yield LAST(max(0.0, control["age"]))
    for statement in _statements(session.version):
        for row in await session.fetch(statement):
            for sample in _counters(row):
                yield sample


def _statements(version: int) -> tuple[str, ...]:
    if version >= _WITH_DONE:
        return CHECKPOINTER, BACKGROUND_WRITER
    if version >= _WITH_CHECKPOINTER:
        return CHECKPOINTER_17, BACKGROUND_WRITER
    return (BACKGROUND_WRITER_16,)


def _counters(row: Row) -> Iterator[Sample]:
    for column, (metric, attributes) in _COLUMNS.items():
        if column in row:
            yield metric(row[column], *attributes, start=row["start"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_checkpoints",
    reads=TargetKind.POSTGRES,
    metrics=(CHECKPOINTS, DONE, RESTARTPOINTS, TIME, WRITTEN, ALLOCATED, CUT_SHORT, LAST),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=30.0,
)
