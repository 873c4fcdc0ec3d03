"""The job queue (OCA ``queue_job``) of an Odoo database: how much waits, how long, what is stuck or failed.

Read by SQL, once per tenant, from the columns of `GRANTS` and no others: what a job works on is never read. Done and
cancelled jobs are never counted, since nothing but a scan of the whole table would find them. Odoo writes times of
day in UTC without a time zone. A database without the module gives no samples and no error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Row, Sample, TargetKind

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
RETRYING = Metric(
    "odoo.queue.retrying", Kind.UPDOWN, "{job}", "Live jobs that were tried before and are tried again.", ("channel",)
)
RUNNER = Metric(
    "odoo.queue.runner.alive",
    Kind.GAUGE,
    "",
    "1 when a job runner holds this database's lock, else 0. Absent before Odoo 16, whose runner takes no lock.",
)

GRANTS = (Grant("queue_job", ("channel", "state", "eta", "date_created", "date_enqueued", "date_started", "retry")),)

INSTALLED = """
select to_regclass('public.queue_job') is not null as queue,
       to_regclass('public.queue_job_lock') is not null as runner_lock
"""
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
RUNNER_LOCK = """
select exists (
    select from pg_locks
     where locktype = 'advisory' and granted and classid = 534064080 and objid = 3147384238
       and database = (select oid from pg_database where datname = current_database())) as alive
"""
"""The runner's advisory lock 2293787760715711918, cut into the two halves that ``pg_locks`` shows."""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The queue of the database that ``session`` is in."""
    (installed,) = await session.fetch(INSTALLED)
    if not installed["queue"]:
        return
    rows = await session.fetch(JOBS_NOW)
    yield LIVE(sum(row["jobs"] for row in rows))
    for row in rows:
        for sample in _jobs(row):
            yield sample
    for channel in {row["channel"] for row in rows}:
        yield RETRYING(sum(row["retrying"] for row in rows if row["channel"] == channel), channel)
    if installed["runner_lock"]:
        (runner,) = await session.fetch(RUNNER_LOCK)
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


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_queue",
    reads=TargetKind.POSTGRES,
    metrics=(LIVE, JOBS, OLDEST, STUCK, FAILED, RETRYING, RUNNER),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=30.0,
    grants=GRANTS,
)
