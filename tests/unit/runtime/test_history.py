"""What is remembered: bounded, with the moment of each change."""

from __future__ import annotations

import pytest

from quaywatch.contract import Outcome, Reason
from quaywatch.runtime.web import History
from quaywatch.runtime.web.history import RUNS_KEPT, SourceStatus
from tests.unit.runtime.status_fakes import NOW, FrozenClock, numbers, quiet, record, troubled


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that is set by hand."""
    return FrozenClock()


def test_only_the_last_runs_are_kept(clock: FrozenClock) -> None:
    """The oldest run goes when there are too many, flow by flow."""
    history = History(clock, version="1")
    for tick in range(RUNS_KEPT + 10):
        history.note_run(record(float(tick)))
    history.note_run(record(1.0, probe="other"))
    kept = history.runs("erp", "order_create")
    assert (len(kept), kept[0].tick, kept[-1].tick) == (RUNS_KEPT, 10, RUNS_KEPT + 9)
    assert len(history.runs("erp", "other")) == 1


def test_since_is_the_moment_of_the_change(clock: FrozenClock) -> None:
    """A state that stays keeps its moment, also when only the message changes; another reason is a change."""
    history = History(clock, version="1")
    moments = []
    for up, reason, message in (
        (True, None, ""),
        (True, None, ""),
        (False, Reason.CONNECT, "refused"),
        (False, Reason.CONNECT, "cut"),
        (False, Reason.AUTH, "no"),
    ):
        history.note_state("erp", up, reason, message)
        (target,) = history.status([]).targets
        moments.append(target.since)
        clock.now += 10
    assert moments == [NOW, NOW, NOW + 20, NOW + 20, NOW + 40]


def test_a_target_that_is_gone_is_forgotten(clock: FrozenClock) -> None:
    """Neither its state nor its runs stay."""
    history = troubled(clock)
    history.forget("erp")
    status = history.status([])
    assert [target.name for target in status.targets] == ["cache", "erp-db"]
    assert status.flows == ()


def test_the_status_joins_what_was_noted_with_the_snapshot(clock: FrozenClock) -> None:
    """Targets, leases, flows, readings and the configuration's state are all there."""
    status = troubled(clock).status(numbers(clock, lost=True))
    assert [(t.name, t.kind, t.up, t.held) for t in status.targets] == [
        ("cache", "redis", False, None),
        ("erp", "odoo", True, True),
        ("erp-db", "postgres", True, True),
        ("erp-west", "", None, False),
    ]
    assert [(f.probe, len(f.runs), f.every, f.residue, f.permanent) for f in status.flows] == [
        ("order_create", RUNS_KEPT, 60, 2, None),
        ("stock_reserve", 9, 60, None, None),
    ]
    assert SourceStatus("cache", "redis_memory", "", age=None, ok=False) in status.sources
    assert SourceStatus("erp-db", "odoo_queue", "tenant_1", age=12.0, ok=True) in status.sources
    assert (status.config_ok, status.leases_reachable) == (False, True)


def test_a_quiet_status(clock: FrozenClock) -> None:
    """Where everything works nothing is said to be wrong."""
    status = quiet(clock).status(numbers(clock))
    assert status.config_ok
    assert all(source.ok for source in status.sources)
    assert {run.outcome for flow in status.flows for run in flow.runs} == {Outcome.SUCCESS}
