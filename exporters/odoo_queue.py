"""The job queue (OCA ``queue_job``) of an Odoo database: how much waits, how long, what is stuck or failed.

Read by SQL, once per tenant, from the columns of `GRANTS` and no others: what a job works on is never read. Done and
cancelled jobs are never counted, since nothing but a scan of the whole table would find them. Odoo writes times of
day in UTC without a time zone. A database without the module gives no samples and no error. Of a failure nothing but
the class of its exception is read.

From Odoo 16 on a session bears the process id of its server, and so tells whether the worker of a started job lives.
Two hosts may have a process of one id: then a dead worker may be taken for living, never the other way round. A
standby has neither the sessions nor the locks of its primary, and says nothing of workers and runner.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Row, Sample, TargetKind

from .odoo_tables import columns
from .sticky import StickyTop

LIVE = Metric(
    "odoo.queue.live",
    Kind.UPDOWN,
    "{job}",
    "Jobs that are neither done nor cancelled. There wherever the queue is installed: 0 means an empty queue.",
)
JOBS = Metric(
    "odoo.queue.jobs", Kind.UPDOWN, "{job}", "Jobs by state, done and cancelled left out.", ("channel", "state")
)
OLDEST = Metric(
    "odoo.queue.oldest.age",
    Kind.GAUGE,
    "s",
    "How long the oldest pending job could have run already: since its planned time, else since it was made.",
    ("channel",),
)
STUCK = Metric(
    "odoo.queue.stuck.age",
    Kind.GAUGE,
    "s",
    "How long a job is enqueued or started at most. A killed worker leaves its job so.",
    ("channel", "state"),
)
FAILED = Metric(
    "odoo.queue.failed.recent", Kind.GAUGE, "{job}", "Failed jobs that were started within the last hour.", ("channel",)
)
FAILURES = Metric(
    "odoo.queue.failures",
    Kind.UPDOWN,
    "{job}",
    "Failed jobs by the class of their exception, the most frequent ones by name. Absent where it is not noted.",
    ("exception",),
)
ORPHANED = Metric(
    "odoo.queue.orphaned",
    Kind.UPDOWN,
    "{job}",
    "Started jobs whose worker has no session in the database any more. Absent where sessions bear no process id, and"
    " on a standby.",
)
RETRYING = Metric(
    "odoo.queue.retrying", Kind.UPDOWN, "{job}", "Live jobs that were tried before and are tried again.", ("channel",)
)
RUNNER = Metric(
    "odoo.queue.runner.alive",
    Kind.GAUGE,
    "",
    "1 when a job runner holds this database's lock, else 0. Absent before Odoo 16, whose runner takes no lock, and"
    " on a standby.",
)

GRANTS = (
    Grant(
        "queue_job",
        (
            "channel",
            "state",
            "eta",
            "date_created",
            "date_enqueued",
            "date_started",
            "retry",
            "exc_name",
            "worker_pid",
        ),
    ),
)

JOBS_NOW = """
with clock as (select clock_timestamp() at time zone 'utc' as now)
select coalesce(channel, '') as channel,
       state,
       count(*) as jobs,
       extract(epoch from max(now - coalesce(eta, date_created))
           filter (where state = 'pending' and coalesce(eta, now) <= now))::float8 as due,
       extract(epoch from max(now - coalesce(date_started, date_enqueued))
           filter (where state in ('enqueued', 'started')))::float8 as stuck,
       count(*) filter (where state = 'failed' and date_started >= now - interval '1 hour') as failed_recently,
       count(*) filter (where retry > 0 and state <> 'failed') as retrying
  from public.queue_job, clock
 where state in ('wait_dependencies', 'pending', 'enqueued', 'started', 'failed')
 group by 1, 2
"""
FAILED_BY_CLASS = """
select case when exc_name ~ '^[A-Za-z_][A-Za-z0-9_.]{0,99}$' then exc_name else 'unknown' end as exception,
       count(*) as jobs
  from public.queue_job
 where state = 'failed'
 group by 1
"""
"""A column for a name: what does not look like one could be anything, and is not repeated."""
WORKERS_GONE = """
with workers as (
    select application_name as name
      from pg_stat_get_activity(null)
     where datid = (select oid from pg_database where datname = current_database())
       and application_name ~ '^odoo-[0-9]+$')
select exists (select from workers) and not pg_is_in_recovery() as named,
       (select count(*)
          from public.queue_job j
         where j.state = 'started' and 'odoo-' || j.worker_pid not in (select name from workers)) as orphaned
"""
RUNNER_LOCK = """
select exists (
    select from pg_locks
     where locktype = 'advisory' and granted and classid = 534064080 and objid = 3147384238
       and database = (select oid from pg_database where datname = current_database())) as alive
 where not pg_is_in_recovery()
"""
"""The runner's advisory lock 2293787760715711918, cut into the two halves that ``pg_locks`` shows."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    top: int = field(
        default=10, metadata={"help": "how many classes of exceptions are shown by name; the rest is 'other'"}
    )


@dataclass(slots=True)
class Memory:
    """Which classes of exceptions are shown by name."""

    exceptions: StickyTop[str] = field(default_factory=StickyTop)


async def collect(session: Postgres, options: Options, memory: Memory) -> AsyncIterator[Sample]:
    """The queue of the database that ``session`` is in."""
    there = await columns(session, "queue_job", "queue_job_lock")
    if not there["queue_job"]:
        return
    rows = await session.fetch(JOBS_NOW)
    yield LIVE(sum(row["jobs"] for row in rows))
    for row in rows:
        for sample in _jobs(row):
            yield sample
    for channel in {row["channel"] for row in rows}:
        yield RETRYING(sum(row["retrying"] for row in rows if row["channel"] == channel), channel)
    if "exc_name" in there["queue_job"]:
        for sample in _failures(await session.fetch(FAILED_BY_CLASS), options, memory):
            yield sample
    async for sample in _processes(session, there):
        yield sample


async def _processes(session: Postgres, there: Mapping[str, frozenset[str]]) -> AsyncIterator[Sample]:
    """Whether those live who are to work on the jobs."""
    if "worker_pid" in there["queue_job"]:
        (workers,) = await session.fetch(WORKERS_GONE)
        if workers["named"]:
            yield ORPHANED(workers["orphaned"])
    if there["queue_job_lock"]:
        for runner in await session.fetch(RUNNER_LOCK):
            yield RUNNER(int(runner["alive"]))


def _jobs(row: Row) -> Iterator[Sample]:
    """Samples of one channel and state. Odoo's clock may run ahead of PostgreSQL's: no age is below 0."""
    channel, state = row["channel"], row["state"]
    yield JOBS(row["jobs"], channel, state)
    if row["due"] is not None:
        yield OLDEST(max(0.0, row["due"]), channel)
    if row["stuck"] is not None:
        yield STUCK(max(0.0, row["stuck"]), channel, state)
    if state == "failed":
        yield FAILED(row["failed_recently"], channel)


def _failures(rows: Sequence[Row], options: Options, memory: Memory) -> Iterator[Sample]:
    """One series for each class that is shown, and one for the rest."""
    jobs = {row["exception"]: row["jobs"] for row in rows}
    shown = memory.exceptions.choose(jobs, options.top)
    yield from (FAILURES(jobs[name], name) for name in shown)
    rest = [count for name, count in jobs.items() if name not in shown]
    if rest:
        yield FAILURES(sum(rest), "other")


EXPORTER: Exporter[Postgres, Options, Memory] = Exporter(
    name="odoo_queue",
    reads=TargetKind.POSTGRES,
    metrics=(LIVE, JOBS, OLDEST, STUCK, FAILED, FAILURES, ORPHANED, RETRYING, RUNNER),
    options=Options,
    collect=collect,
    state=Memory,
    per=Per.DATABASE,
    every=30.0,
    grants=GRANTS,
)
