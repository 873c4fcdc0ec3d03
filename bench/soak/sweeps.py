"""The sweep after each probe, until it finds nothing more to do."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from quaywatch.clock import SystemClock
from quaywatch.contract import ProbeTask, Swept
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import sweep_probe

from .flows import Flow
from .worker import Job, driver, target

LIMIT_TIME_REAL: Final = -5.0
"""Seconds that take back those granted on top: nobody is left at work when the sweep begins, so it need not wait."""
_WITHIN: Final = 300.0


@dataclass(frozen=True, slots=True)
class Sum:
    """What the sweeps after one probe did in all, and what the last one left."""

    undone: int
    erased: int
    residue: int
    permanent: int


async def swept(job: Job, flows: Iterable[Flow]) -> dict[str, Sum]:
    """Sweep after each probe, by the name of the probe.

    Raises:
        RuntimeError: when a sweep fails, or they come to no end.
    """
    odoo = driver(job)
    try:
        return {flow[0].name: await _to_the_end(job, odoo, _task(flow)) for flow in flows}
    finally:
        await odoo.close()


def _task(flow: Flow) -> ProbeTask:
    """A task whose runs are over at once, as above."""
    probe, options = flow
    return ProbeTask(replace(probe, undo_within=0.0), options, every=60, deadline=0)


async def _to_the_end(job: Job, odoo: object, task: ProbeTask) -> Sum:
    undone, erased, until = 0, 0, time.monotonic() + _WITHIN
    while True:
        one = await _once(job, odoo, task)
        undone, erased = undone + one.undone, erased + one.erased
        if not one.undone and not one.erased:
            return Sum(undone, erased, one.residue, one.permanent)
        if time.monotonic() > until:
            raise RuntimeError(f"the sweep after {task.probe.name} comes to no end: {one}")


async def _once(job: Job, odoo: object, task: ProbeTask) -> Swept:
    one = await sweep_probe(
        task,
        odoo,
        target=target(job.server),
        installation=job.installation,
        limit_time_real=LIMIT_TIME_REAL,
        meter=Instruments("", SystemClock()),
    )
    if one is None:
        raise RuntimeError(f"the sweep after {task.probe.name} failed")
    return one
