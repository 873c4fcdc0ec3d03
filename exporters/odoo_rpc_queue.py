"""The job queue (OCA ``queue_job``) over Odoo's RPC, for databases that cannot be read by SQL.

Off until it is turned on: the target's user must be in the group Job Queue / Manager, and `odoo_queue` tells more at
less cost where the database can be reached. It goes through an Odoo worker: when Odoo stands still, so does this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from quaywatch.contract import Exporter, Kind, Metric, Odoo, Sample, TargetKind

from .odoo_rpc import Domain, ago, fields_of, oldest_age

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

_MODEL = "queue.job"
_STATES = ("wait_dependencies", "pending", "enqueued", "started", "failed")
_FORMATTED_SINCE = 19


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(odoo: Odoo, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The queue of the database, as far as this user may see it."""
    if not await fields_of(odoo, _MODEL):
        return
    groups = await _groups(odoo)
    yield LIVE(sum(group["__count"] for group in groups))
    for group in groups:
        yield JOBS(group["__count"], group["channel"] or "", group["state"])
    ages = [age for age in (await _planned(odoo), await _unplanned(odoo)) if age is not None]
    if ages:
        yield OLDEST(max(ages))


async def _groups(odoo: Odoo) -> Sequence[dict[str, Any]]:
    """Counts by channel and state."""
    domain: Domain = [("state", "in", list(_STATES))]
    by = ["channel", "state"]
    if await odoo.version() >= _FORMATTED_SINCE:
        groups = await odoo.call(_MODEL, "formatted_read_group", domain=domain, groupby=by, aggregates=["__count"])
    else:
        groups = await odoo.call(_MODEL, "read_group", domain=domain, fields=by, groupby=by, lazy=False)
    return list(groups)


async def _planned(odoo: Odoo) -> float | None:
    return await oldest_age(odoo, _MODEL, [("state", "=", "pending"), ("eta", "<=", ago())], "eta")


async def _unplanned(odoo: Odoo) -> float | None:
    return await oldest_age(odoo, _MODEL, [("state", "=", "pending"), ("eta", "=", False)], "date_created")


EXPORTER: Exporter[Odoo, Options, None] = Exporter(
    name="odoo_rpc_queue",
    reads=TargetKind.ODOO,
    metrics=(LIVE, JOBS, OLDEST),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=60.0,
    on=False,
    node_local=False,
)
