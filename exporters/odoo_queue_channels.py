"""The channels of an Odoo database's job queue (OCA ``queue_job``): how many jobs they do, how late and how long.

Read by SQL, once per tenant. The jobs done lately are found through the index of each channel's done jobs, so that the
millions of old ones are never looked at. What a job works on is never read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Grant, Kind, Metric, Per, Postgres, Row, Sample, TargetKind

from .odoo_tables import columns

DONE = Metric("odoo.queue.done.recent", Kind.GAUGE, "{job}", "Jobs done within the last five minutes.", ("channel",))
DELAY = Metric(
    "odoo.queue.delay.mean",
    Kind.GAUGE,
    "s",
    "How late the jobs done within the last five minutes were started, on the average. Absent when there were none.",
    ("channel",),
)
DELAY_LONGEST = Metric(
    "odoo.queue.delay.longest",
    Kind.GAUGE,
    "s",
    "How late a job done within the last five minutes was started, at most. Absent when there was none.",
    ("channel",),
)
EXECUTION = Metric(
    "odoo.queue.execution.mean",
    Kind.GAUGE,
    "s",
    "How long the jobs done within the last five minutes ran, on the average. Absent when there were none.",
    ("channel",),
)
EXECUTION_LONGEST = Metric(
    "odoo.queue.execution.longest",
    Kind.GAUGE,
    "s",
    "How long a job done within the last five minutes ran, at most. Absent when there was none.",
    ("channel",),
)
PAUSED = Metric(
    "odoo.queue.channel.paused",
    Kind.GAUGE,
    "",
    "1 for a channel that was paused, else 0. Absent where the module cannot pause them.",
    ("channel",),
)
CAPACITY = Metric(
    "odoo.queue.channel.capacity",
    Kind.GAUGE,
    "{job}",
    "How many jobs of a channel may run at a time. Absent where that stands in the server's configuration alone.",
    ("channel",),
)

GRANTS = (
    Grant("queue_job", ("channel", "date_done", "date_started", "date_created", "eta", "exec_time")),
    Grant("queue_job_channel", ("complete_name", "paused", "capacity")),
)

_CHANNELS = """
with clock as (select clock_timestamp() at time zone 'utc' as now)
select c.complete_name as channel, :paused as paused, :capacity as capacity, lately.*
  from clock, public.queue_job_channel c
 cross join lateral (
       select count(*) as done,
              extract(epoch from avg(j.date_started - coalesce(j.eta, j.date_created)))::float8 as delay,
              extract(epoch from max(j.date_started - coalesce(j.eta, j.date_created)))::float8 as delay_longest,
              avg(j.exec_time)::float8 as execution,
              max(j.exec_time)::float8 as execution_longest
         from public.queue_job j
        where j.channel = c.complete_name and j.date_done >= now - interval '5 minutes') lately
"""
CHANNELS = _CHANNELS.replace(":paused", "null::bool").replace(":capacity", "null::int4")
CHANNELS_TUNABLE = _CHANNELS.replace(":paused", "coalesce(c.paused, false)").replace(":capacity", "c.capacity")
"""Where a channel's capacity is set, and its work paused, in the database."""

_OPTIONAL = {
    "delay": DELAY,
    "delay_longest": DELAY_LONGEST,
    "execution": EXECUTION,
    "execution_longest": EXECUTION_LONGEST,
}


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The channels of the database that ``session`` is in."""
    there = (await columns(session, "queue_job_channel"))["queue_job_channel"]
    if not there:
        return
    tunable = {"paused", "capacity"} <= there
    for row in await session.fetch(CHANNELS_TUNABLE if tunable else CHANNELS):
        for sample in _channel(row):
            yield sample


def _channel(row: Row) -> Iterator[Sample]:
    """Samples of one channel. A clock that runs ahead makes no negative delay."""
    channel = row["channel"]
    yield DONE(row["done"], channel)
    for column, metric in _OPTIONAL.items():
        if row[column] is not None:
            yield metric(max(0.0, row[column]), channel)
    if row["paused"] is not None:
        yield PAUSED(int(row["paused"]), channel)
    if row["capacity"] is not None:
        yield CAPACITY(row["capacity"], channel)


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="odoo_queue_channels",
    reads=TargetKind.POSTGRES,
    metrics=(DONE, *_OPTIONAL.values(), PAUSED, CAPACITY),
    options=Options,
    collect=collect,
    state=lambda: None,
    per=Per.DATABASE,
    every=30.0,
    grants=GRANTS,
)
