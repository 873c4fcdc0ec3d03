"""The sweep: what killed runs left is undone later, once Odoo can no longer commit it."""

from __future__ import annotations

from typing import Any, Final

import structlog

from quaywatch.contract import Meter, ProbeTask, Reason, SweepOrder, Swept, Target
from quaywatch.drivers.deadline import deadline
from quaywatch.runtime import catalogue

from .marks import mark_prefix
from .verdict import judge

log: Any = structlog.get_logger()

SWEEP_EVERY: Final = 600.0
"""Seconds from one sweep to the next; the first is at the start."""
SWEEP_WITHIN: Final = 120.0
"""Seconds that one sweep may take."""
_KILL_LAG: Final = 5.0
"""Seconds past ``limit_time_real`` until Odoo has really ended a worker: its master looks only so often."""


def sweep_age(task: ProbeTask, limit_time_real: float) -> float:
    """The age in seconds past which a record belongs to no live run, and Odoo can no longer commit one that died."""
    return max(limit_time_real + _KILL_LAG, task.deadline + task.probe.undo_within)


async def sweep_probe(
    task: ProbeTask,
    driver: Any,
    *,
    target: Target,
    installation: str,
    limit_time_real: float,
    meter: Meter,
    within: float = SWEEP_WITHIN,
    dry_run: bool = False,
) -> Swept | None:
    """Sweep once after a probe, and say how much could not be erased.

    Raises nothing but a cancellation: an error is counted and logged, withdraws the last sweep's numbers, and gives
    None.

    Args:
        task: the probe with its options and times.
        driver: the target's driver, as the probe wants it.
        target: what is probed.
        installation: whose marks are swept; others' are never touched.
        limit_time_real: seconds after which Odoo ends a request that nobody waits for any more.
        meter: where the numbers go.
        within: seconds that the sweep may take.
        dry_run: only say what would be done.
    """
    age = sweep_age(task, limit_time_real)
    order = SweepOrder(prefix=mark_prefix(installation, task.probe.name), older_than=age, dry_run=dry_run)
    names = (target.name, task.probe.name)
    announce_sweep(names, meter)
    try:
        async with deadline(within, f"{target.name}: sweep after {task.probe.name}"):
            swept: Swept = await task.probe.sweep(driver, task.options, order)
    except Exception as error:  # noqa: BLE001 - the task's border: a sweep that fails must not end the agent
        _failed(names, error, meter)
        return None
    _done(names, swept, meter, dry_run=dry_run)
    return swept


def announce_sweep(names: tuple[str, str], meter: Meter) -> None:
    """Start the counters of a target's probe at 0, so that the first error counts."""
    meter.add(catalogue.PROBE_SWEPT, 0, *names)
    for reason in Reason:
        meter.add(catalogue.PROBE_SWEEP_ERRORS, 0, *names, reason)


def _failed(names: tuple[str, str], error: Exception, meter: Meter) -> None:
    verdict = judge(error)
    meter.add(catalogue.PROBE_SWEEP_ERRORS, 1, *names, verdict.reason or Reason.INTERNAL)
    for metric in (catalogue.PROBE_RESIDUE, catalogue.PROBE_PERMANENT):
        meter.clear(metric, *names)
    log.warning("sweep failed", target=names[0], probe=names[1], reason=verdict.reason, message=verdict.message)


def _done(names: tuple[str, str], swept: Swept, meter: Meter, *, dry_run: bool) -> None:
    meter.set(catalogue.PROBE_RESIDUE, swept.residue, *names)
    meter.set(catalogue.PROBE_PERMANENT, swept.permanent, *names)
    if not dry_run:
        meter.add(catalogue.PROBE_SWEPT, swept.undone + swept.erased, *names)
    say = log.info if swept.undone or swept.erased else log.debug
    say(
        "swept",
        target=names[0],
        probe=names[1],
        undone=swept.undone,
        erased=swept.erased,
        residue=swept.residue,
        permanent=swept.permanent,
        dry_run=dry_run,
    )
