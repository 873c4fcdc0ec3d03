"""The job queue (OCA ``queue_job``) over Odoo's RPC, for databases that cannot be read by SQL.

Off until it is turned on: the target's user must be in the group Job Queue / Manager, and `odoo_queue` tells more at
less cost where the database can be reached. It goes through an Odoo worker: when Odoo stands still, so does this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Odoo, Sample, TargetKind

from .odoo_rpc import Domain, ago, fields_of, groups, oldest_age

LIVE = Metric("odoo.rpc.queue.live", Kind.UPDOWN, "{job}", "Jobs that are neither done nor cancelled.")
JOBS = Metric(
    "odoo.rpc.queue.jobs", Kind.UPDOWN, "{job}", "Jobs by state, done and cancelled left out.", ("channel", "state")
)
OLDEST = Metric(
    "odoo.rpc.queue.oldest.age",
    Kind.GAUGE,
    "s",
    "How long the oldest pending job could have run already, by the agent's clock. Absent when none is due.",
)
STUCK = Metric(
    "odoo.rpc.queue.stuck.age",
    Kind.GAUGE,
    "s",
    "How long the oldest job is enqueued or started already, by the agent's clock. Absent when there is none.",
    ("state",),
)
FAILED = Metric(
    "odoo.rpc.queue.failed.recent", Kind.GAUGE, "{job}", "Failed jobs that were started within the last hour."
)
RETRYING = Metric(
    "odoo.rpc.queue.retrying", Kind.UPDOWN, "{job}", "Live jobs that were tried before and are tried again."
)

_MODEL = "queue.job"
_STATES = ("wait_dependencies", "pending", "enqueued", "started", "failed")
_SINCE = {"enqueued": "date_enqueued", "started": "date_started"}
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(odoo: Odoo, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The queue of the database, as far as this user may see it."""
    if not await fields_of(odoo, _MODEL):
        return
    found = await groups(odoo, _MODEL, [("state", "in", list(_STATES))], ["channel", "state"])
    yield LIVE(sum(group["__count"] for group in found))
    for group in found:
        yield JOBS(group["__count"], group["channel"] or "", group["state"])
    ages = [age for age in (await _planned(odoo), await _unplanned(odoo)) if age is not None]
    if ages:
        yield OLDEST(max(ages))
    async for sample in _troubles(odoo):
        yield sample


async def _troubles(odoo: Odoo) -> AsyncIterator[Sample]:
    """Jobs that are taken up and do not end, fail, or are tried again."""
    for state, moment in _SINCE.items():
        taken = await oldest_age(odoo, _MODEL, [("state", "=", state), (moment, "!=", False)], moment)
        if taken is not None:
            yield STUCK(taken, state)
    recent: Domain = [("state", "=", "failed"), ("date_started", ">=", ago(_HOUR))]
    yield FAILED(await odoo.call(_MODEL, "search_count", recent))
    again: Domain = [("state", "in", [state for state in _STATES if state != "failed"]), ("retry", ">", 0)]
    yield RETRYING(await odoo.call(_MODEL, "search_count", again))


async def _planned(odoo: Odoo) -> float | None:
    return await oldest_age(odoo, _MODEL, [("state", "=", "pending"), ("eta", "<=", ago())], "eta")


async def _unplanned(odoo: Odoo) -> float | None:
    return await oldest_age(odoo, _MODEL, [("state", "=", "pending"), ("eta", "=", False)], "date_created")


EXPORTER: Exporter[Odoo, Options, None] = Exporter(
    name="odoo_rpc_queue",
    reads=TargetKind.ODOO,
    metrics=(LIVE, JOBS, OLDEST, STUCK, FAILED, RETRYING),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=60.0,
    on=False,
    node_local=False,
)
