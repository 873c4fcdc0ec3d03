"""Vacuums that are running in a PostgreSQL cluster, how far they are, and whether autovacuum has workers left.

A table is named by its oid, since its name is known in its own database only: ``select 16384::regclass`` tells it
there. One statement for the whole cluster, in the one kept session. The role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Row, Sample, TargetKind

from .sight import require_sight

WORKERS = Metric(
    "postgresql.autovacuum.workers", Kind.UPDOWN, "{worker}", "Autovacuum workers that run, vacuuming or analyzing."
)
WORKERS_MAX = Metric(
    "postgresql.autovacuum.workers.max",
    Kind.GAUGE,
    "{worker}",
    "How many may run; with all of them busy for long, tables wait for their vacuum.",
)
RUNNING = Metric(
    "postgresql.vacuum.running",
    Kind.UPDOWN,
    "{vacuum}",
    "Vacuums that run, by database and by what began them: auto, wraparound (auto, and not to be cancelled) or manual.",
    ("database", "cause"),
)
LONGEST = Metric(
    "postgresql.vacuum.longest", Kind.GAUGE, "s", "How long a vacuum runs already at most.", ("database", "cause")
)
SCANNED = Metric(
    "postgresql.vacuum.scanned",
    Kind.GAUGE,
    "1",
    "Share of a table that its vacuum has scanned.",
    ("database", "relation"),
)
CLEANED = Metric(
    "postgresql.vacuum.cleaned",
    Kind.GAUGE,
    "1",
    "Share of a table that its vacuum has cleaned, which comes after the scan and its indexes.",
    ("database", "relation"),
)
INDEX_ROUNDS = Metric(
    "postgresql.vacuum.index_rounds",
    Kind.GAUGE,
    "{round}",
    "Rounds through all indexes of a table that its vacuum has completed; more than one: its memory is too small.",
    ("database", "relation"),
)

PROGRESS = """
select p.datname as database, p.relid::text as relation, p.heap_blks_total as blocks, p.heap_blks_scanned as scanned,
       p.heap_blks_vacuumed as cleaned, p.index_vacuum_count as rounds,
       case when a.backend_type is distinct from 'autovacuum worker' then 'manual'
            when a.query like '%(to prevent wraparound)' then 'wraparound' else 'auto' end as cause,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as age
  from pg_stat_progress_vacuum p
  left join pg_stat_activity a on a.pid = p.pid
"""
POOL = """
select count(*) filter (where backend_type = 'autovacuum worker') as workers,
       coalesce(bool_or(pid <> pg_backend_pid() and backend_type is null), false) as hidden,
       current_setting('autovacuum_max_workers')::int as most
  from pg_stat_activity
"""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Workers, running vacuums and their progress.

    Raises:
        PermissionDeniedError: when the role may not see others' sessions, workers and vacuums among them.
    """
    (pool,) = await session.fetch(POOL)
    require_sight("pg_stat_activity", hidden=pool["hidden"])
    yield WORKERS(pool["workers"])
    yield WORKERS_MAX(pool["most"])
    rows = await session.fetch(PROGRESS)
    for sample in (*_running(rows), *_progress(rows)):
        yield sample


def _running(rows: Sequence[Row]) -> Iterator[Sample]:
    counts = Counter((row["database"], row["cause"]) for row in rows)
    longest: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        kind = row["database"], row["cause"]
        longest[kind] = max(longest[kind], row["age"] or 0.0)
    yield from (RUNNING(count, *kind) for kind, count in counts.items())
    yield from (LONGEST(age, *kind) for kind, age in longest.items())


def _progress(rows: Sequence[Row]) -> Iterator[Sample]:
    for row in rows:
        table = row["database"], row["relation"]
        if row["blocks"]:  # not known in the first moment
            yield SCANNED(row["scanned"] / row["blocks"], *table)
            yield CLEANED(row["cleaned"] / row["blocks"], *table)
        yield INDEX_ROUNDS(row["rounds"], *table)


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_vacuum",
    reads=TargetKind.POSTGRES,
    metrics=(WORKERS, WORKERS_MAX, RUNNING, LONGEST, SCANNED, CLEANED, INDEX_ROUNDS),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=30.0,
)
