"""A history as it is after an eventful hour, for the tests of the status page."""

from __future__ import annotations

from quaywatch.contract import Outcome, Reason, Series
from quaywatch.runtime import catalogue
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import RunRecord, StepRecord
from quaywatch.runtime.web import History
from quaywatch.runtime.web.history import RUNS_KEPT

NOW = 1_772_366_400.0


class FrozenClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def time(self) -> float:
        """Unix seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Time passes by hand only."""
        raise NotImplementedError


def record(
    tick: float,
    outcome: Outcome = Outcome.SUCCESS,
    reason: Reason | None = None,
    *,
    target: str = "erp",
    probe: str = "order_create",
    message: str = "",
) -> RunRecord:
    """A run of three steps and two undo steps."""
    steps = [StepRecord("create", 0.043, ok=True), StepRecord("confirm", 0.118, ok=reason is None)]
    steps += [StepRecord("picking", 0.011, ok=True)] if reason is None else []
    steps += [StepRecord("cancel", 0.071, ok=True, is_undo=True), StepRecord("erase", 0.094, ok=True, is_undo=True)]
    return RunRecord(
        target=target,
        probe=probe,
        run_id="0b6c1a8e-0000-5000-8000-000000000000",
        tick=tick,
        started=tick,
        duration=0.172,
        outcome=outcome,
        reason=reason,
        failed_step="confirm" if reason else "",
        message=message,
        steps=tuple(steps),
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )


def numbers(clock: FrozenClock, *, tenants: int = 3, lost: bool = False) -> list[Series]:
    """What the snapshot holds of targets, readings and leases."""
    meter = Instruments("", clock)
    for target, kind in (("cache", "redis"), ("erp", "odoo"), ("erp-db", "postgres")):
        meter.set(catalogue.TARGET_UP, 1, target, kind)
    for target, held in (("erp", 1), ("erp-db", 1), ("erp-west", 0)):
        meter.set(catalogue.LEASE_HELD, held, target)
    for exporter, age in (("postgres_locks", 4.0), ("postgres_replication", 9.0)):
        meter.set(catalogue.SNAPSHOT_AGE, age, "erp-db", exporter, "")
        meter.set(catalogue.SCRAPE_SUCCESS, 1, "erp-db", exporter, "")
    for tenant in range(tenants):
        meter.set(catalogue.SNAPSHOT_AGE, 11.0 + tenant, "erp-db", "odoo_queue", f"tenant_{tenant}")
        meter.set(catalogue.SCRAPE_SUCCESS, 1, "erp-db", "odoo_queue", f"tenant_{tenant}")
    meter.set(catalogue.SCRAPE_SUCCESS, 0 if lost else 1, "cache", "redis_memory", "")
    if not lost:
        meter.set(catalogue.SNAPSHOT_AGE, 3.0, "cache", "redis_memory", "")
    meter.set(catalogue.CONFIG_RELOAD_SUCCESS, 0 if lost else 1)
    for probe in ("order_create", "stock_reserve"):
        meter.set(catalogue.PROBE_INTERVAL, 60, "erp", probe)
    meter.set(catalogue.PROBE_RESIDUE, 2, "erp", "order_create")
    return meter.series()


def troubled(clock: FrozenClock) -> History:
    """An hour in which one flow failed at times and ended failing, one could not be tested, and a target went down."""
    history = History(clock, version="0.1.0")
    for number in range(RUNS_KEPT + 5):
        tick = NOW - 60 * (RUNS_KEPT + 5 - number)
        failed = number in (20, 21, 44) or number > RUNS_KEPT + 2
        why = "https://erp.example acme: sale.order.action_confirm: no answer within 10 s"
        bad = record(tick, Outcome.FAILURE, Reason.TIMEOUT, message=why)
        history.note_run(bad if failed else record(tick))
        if number % 2 and number > RUNS_KEPT - 15:
            refused = "https://erp.example acme: Odoo refuses the login of probe@acme (check the login and password)"
            odd = record(tick, Outcome.INVALID, Reason.AUTH, probe="stock_reserve", message=refused)
            history.note_run(odd if number < RUNS_KEPT else record(tick, probe="stock_reserve"))
    clock.now = NOW - 7500
    history.note_state("erp-db", up=True, reason=None, message="")
    history.note_state("erp", up=True, reason=None, message="")
    clock.now = NOW - 140
    history.note_state("cache", up=False, reason=Reason.CONNECT, message="redis://cache:6379: connection refused")
    clock.now = NOW
    return history


def quiet(clock: FrozenClock) -> History:
    """A history in which everything works."""
    history = History(clock, version="0.1.0")
    for number in range(25):
        for probe in ("order_create", "stock_reserve"):
            history.note_run(record(NOW - 60 * (25 - number), probe=probe))
    for target in ("cache", "erp", "erp-db"):
        history.note_state(target, up=True, reason=None, message="")
    return history
