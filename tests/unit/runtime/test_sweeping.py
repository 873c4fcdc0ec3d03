"""The sweep's schedule of ages, its numbers, and that its errors end nothing."""

from __future__ import annotations

from typing import Any

import pytest

from quaywatch.contract import SweepOrder, Swept, Transaction
from quaywatch.errors import AuthError
from quaywatch.runtime.probing import sweep_probe
from quaywatch.runtime.probing.sweep import sweep_age
from tests.unit.runtime.probe_fakes import TARGET, Numbers, task

NAMES = {"target": "erp", "probe": "small_flow"}


async def nothing(_driver: Any, _options: Any, _tx: Transaction) -> None:
    """A flow that is not run here."""


async def swept(sweep: Any, meter: Numbers, *, dry_run: bool = False) -> Swept | None:
    """One sweep."""
    return await sweep_probe(
        task(nothing, sweep=sweep),
        object(),
        target=TARGET,
        installation="acme-eu",
        limit_time_real=120,
        meter=meter,
        dry_run=dry_run,
    )


def left(result: Swept, orders: list[SweepOrder] | None = None) -> Any:
    """A probe's sweep that gives this result and notes its orders."""

    async def sweep(_driver: Any, _options: Any, order: SweepOrder) -> Swept:
        if orders is not None:
            orders.append(order)
        return result

    return sweep


@pytest.mark.parametrize(
    ("deadline", "undo_within", "limit", "age"), [(30, 15, 120, 125), (30, 15, 3, 45), (300, 15, 120, 315)]
)
def test_no_live_run_is_swept(deadline: float, undo_within: float, limit: float, age: float) -> None:
    """A record is old enough when no run can still be at it, and Odoo has ended the request that made it."""
    assert sweep_age(task(nothing, deadline=deadline, undo_within=undo_within), limit) == age


async def test_what_is_left_is_said() -> None:
    """Residue and permanent records are gauges, what was done is counted, marks are those of the own installation."""
    meter, orders = Numbers(), list[SweepOrder]()
    await swept(left(Swept(undone=2, erased=3, residue=4, permanent=5), orders), meter)
    assert orders == [SweepOrder(prefix="quaywatch/acme-eu/small_flow/", older_than=125)]
    assert meter.of("quaywatch.probe.residue", **NAMES) == 4
    assert meter.of("quaywatch.probe.permanent", **NAMES) == 5
    assert meter.of("quaywatch.probe.swept", **NAMES) == 5
    assert meter.of("quaywatch.probe.sweep.errors", **NAMES, reason="auth") == 0


async def test_an_error_is_counted_and_withdraws_the_numbers() -> None:
    """A sweep that could not be done raises nothing, and the last one's residue is no longer shown as fresh."""

    async def refused(_driver: Any, _options: Any, _order: SweepOrder) -> Swept:
        raise AuthError("the janitor's login is refused")

    meter = Numbers()
    await swept(left(Swept(residue=4)), meter)
    assert await swept(refused, meter) is None
    assert meter.of("quaywatch.probe.sweep.errors", **NAMES, reason="auth") == 1
    assert meter.of("quaywatch.probe.residue", **NAMES) is None


async def test_a_dry_run_counts_nothing_as_done() -> None:
    """What would be done is answered, not counted."""
    meter = Numbers()
    assert await swept(left(Swept(undone=2, residue=2)), meter, dry_run=True) == Swept(undone=2, residue=2)
    assert meter.of("quaywatch.probe.swept", **NAMES) == 0
