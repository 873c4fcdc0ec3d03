"""One run of a probe: outcome, metrics, trace, log line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog
from opentelemetry.trace import StatusCode, get_tracer

from quaywatch.clock import SystemClock
from quaywatch.contract import Distribution, Outcome, ProbeTask, Reason, Transaction
from quaywatch.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    DeadlineError,
    FaultError,
    LockTimeoutError,
    ParseError,
    PermissionDeniedError,
    VersionError,
    WrongResultError,
)
from quaywatch.runtime.probing import RunRecord, announce, run_probe
from quaywatch.runtime.probing.marks import mark_prefix, run_id, run_of
from tests.unit.runtime.probe_fakes import TARGET, Numbers, Run, Spans, task

NAMES = {"target": "erp", "probe": "small_flow"}


class Server:
    """A driver with a database."""

    database = "acme"


@pytest.fixture
def meter() -> Numbers:
    """A meter that is read afterwards."""
    return Numbers()


@pytest.fixture
def spans() -> Spans:
    """A tracer that is read afterwards."""
    return Spans()


async def ran(
    work: ProbeTask, meter: Numbers, spans: Spans | None = None, *, tick: float = 60.0, process: str = "anna"
) -> RunRecord:
    """One run."""
    return await run_probe(
        work,
        Server(),
        target=TARGET,
        tick=tick,
        installation="acme-eu",
        meter=meter,
        tracer=spans.tracer if spans else get_tracer("silent"),
        clock=SystemClock(),
        process=process,
    )


def failing(error: Exception) -> Run:
    """A flow whose second step raises."""

    async def run(_driver: Any, _options: Any, tx: Transaction) -> None:
        async with tx.step("one"):
            pass
        async with tx.step("two"):
            raise error

    return run


async def green(_driver: Any, _options: Any, tx: Transaction) -> None:
    """A flow that works."""
    for name in ("one", "two"):
        async with tx.step(name):
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (ConnectError("x"), Outcome.FAILURE, Reason.CONNECT),
        (DeadlineError("x"), Outcome.FAILURE, Reason.TIMEOUT),
        (FaultError("x"), Outcome.FAILURE, Reason.FAULT),
        (WrongResultError("x"), Outcome.FAILURE, Reason.WRONG),
        (LockTimeoutError("x"), Outcome.FAILURE, Reason.LOCK_TIMEOUT),
        (ParseError("x"), Outcome.FAILURE, Reason.PARSE),
        (VersionError("x"), Outcome.FAILURE, Reason.VERSION),
        (AuthError("x"), Outcome.INVALID, Reason.AUTH),
        (PermissionDeniedError("x"), Outcome.INVALID, Reason.PERMISSION),
        (ConfigError("x"), Outcome.INVALID, Reason.CONFIG),
        (KeyError("x"), Outcome.INVALID, Reason.INTERNAL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_whose_fault_it_is(error: Exception, outcome: Outcome, reason: Reason, meter: Numbers) -> None:
    """The watched system's faults are failures, ours make the run invalid; both are counted by step and reason."""
    record = await ran(task(failing(error)), meter)
    assert (record.outcome, record.reason, record.failed_step) == (outcome, reason, "two")
    assert meter.of("quaywatch.probe.runs", **NAMES, outcome=outcome) == 1
    assert meter.of("quaywatch.probe.failures", **NAMES, step="two", reason=reason) == 1
    assert meter.of("quaywatch.probe.success", **NAMES) == (0 if outcome is Outcome.FAILURE else None)
    assert meter.of("quaywatch.probe.duration", **NAMES) is None


async def test_a_success_is_counted_and_timed(meter: Numbers) -> None:
    """Runs, durations and times are there; nothing failed."""
    record = await ran(task(green), meter)
    assert (record.outcome, record.reason, record.failed_step, record.message) == (Outcome.SUCCESS, None, "", "")
    assert meter.of("quaywatch.probe.runs", **NAMES, outcome="success") == 1
    assert meter.of("quaywatch.probe.success", **NAMES) == 1
    assert meter.of("quaywatch.probe.last_run.time", **NAMES) == record.started
    assert meter.of("quaywatch.probe.last_success.time", **NAMES) == record.started
    for metric, more in (("quaywatch.probe.duration", {}), ("quaywatch.probe.step.duration", {"step": "two"})):
        value = meter.of(metric, **NAMES, **more)
        assert isinstance(value, Distribution)
        assert value.count == 1


def test_counters_start_at_zero(meter: Numbers) -> None:
    """Before the first run every outcome and every failure has its series, at 0, so that the first one counts."""
    announce(task(green), TARGET, meter)
    assert [meter.of("quaywatch.probe.runs", **NAMES, outcome=outcome) for outcome in Outcome] == [0] * len(Outcome)
    assert {meter.of("quaywatch.probe.failures", **NAMES, step="one", reason=reason) for reason in Reason} == {0}
    assert meter.of("quaywatch.probe.undo.failures", **NAMES) == 0
    assert meter.of("quaywatch.probe.interval", **NAMES) == 60


async def test_an_invalid_run_ends_success(meter: Numbers) -> None:
    """A wrong password after a good run turns nothing red and leaves nothing green; the last success keeps its time."""
    good = await ran(task(green), meter)
    await ran(task(failing(AuthError("refused"))), meter)
    assert meter.of("quaywatch.probe.success", **NAMES) is None
    assert meter.of("quaywatch.probe.last_success.time", **NAMES) == good.started


async def test_an_undo_failure_is_counted_and_burns_nothing(meter: Numbers) -> None:
    """The flow works, so success stays 1; that something was left has an outcome, a counter and a record."""

    async def broken() -> None:
        raise ConnectError("cut")

    async def flow(_driver: Any, _options: Any, tx: Transaction) -> None:
        tx.undo("cancel", broken)

    record = await ran(task(flow), meter)
    assert (record.outcome, record.reason, record.message) == (Outcome.CLEANUP_FAILED, Reason.CONNECT, "cut")
    assert meter.of("quaywatch.probe.runs", **NAMES, outcome="cleanup_failed") == 1
    assert meter.of("quaywatch.probe.attempts", **NAMES, outcome="success") == 1
    assert meter.of("quaywatch.probe.success", **NAMES) == 1
    assert meter.of("quaywatch.probe.last_success.time", **NAMES) == record.started
    assert [(step.name, step.ok, step.is_undo) for step in record.steps] == [("cancel", False, True)]
    assert meter.of("quaywatch.probe.undo.failures", **NAMES) == 1


async def test_one_trace_for_a_run(meter: Numbers, spans: Spans) -> None:
    """Steps and undo steps are children of one root, which bears target, database, run id and outcome."""

    async def flow(_driver: Any, _options: Any, tx: Transaction) -> None:
        async with tx.step("one"):
            tx.undo("cancel", lambda: asyncio.sleep(0))
        async with tx.step("two"):
            raise FaultError("broken")

    with spans.tracer.start_as_current_span("somebody else's"):
        record = await ran(task(flow), meter, spans)
    root = spans.one("probe small_flow")
    assert root.parent is None
    assert root.attributes == {
        "quaywatch.probe": "small_flow",
        "quaywatch.target": "erp",
        "quaywatch.database": "acme",
        "quaywatch.run.id": record.run_id,
        "quaywatch.outcome": "failure",
        "quaywatch.attempts": 1,
        "error.type": "fault",
        "user_agent.synthetic.type": "test",
    }
    assert (root.status.status_code, root.status.description) == (StatusCode.ERROR, "broken")
    for name in ("step one", "step two", "undo cancel"):
        parent = spans.one(name).parent
        assert parent is not None
        assert parent.span_id == root.context.span_id
        assert f"{parent.trace_id:032x}" == record.trace_id


async def test_one_line_in_the_log(meter: Numbers, spans: Spans) -> None:
    """Each run is one line with its outcome and its trace id; a failure is a warning and says why."""
    with structlog.testing.capture_logs() as lines:
        record = await ran(task(failing(FaultError("broken"))), meter, spans)
    (line,) = lines
    assert (line["event"], line["log_level"], line["trace_id"]) == ("probe run", "warning", record.trace_id)
    assert (line["step"], line["reason"], line["message"]) == ("two", "fault", "broken")


async def test_a_cancelled_run_is_undone_and_not_counted(meter: Numbers) -> None:
    """Stopping the agent in the middle of a run undoes it; no outcome is counted for it."""
    started, notes = asyncio.Event(), list[str]()

    async def undo() -> None:
        await asyncio.sleep(0)
        notes.append("undone")

    async def flow(_driver: Any, _options: Any, tx: Transaction) -> None:
        async with tx.step("one"):
            tx.undo("cancel", undo)
            started.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(ran(task(flow), meter))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert notes == ["undone"]
    assert [meter.of("quaywatch.probe.runs", **NAMES, outcome=outcome) for outcome in Outcome] == [0] * len(Outcome)


async def test_the_mark_is_the_same_for_the_same_tick(meter: Numbers) -> None:
    """Every attempt of a process gives one tick one mark; another tick has another, and so has another agent."""
    marks: list[str] = []

    async def flow(_driver: Any, _options: Any, tx: Transaction) -> None:
        marks.append(tx.mark)

    for tick, process in ((60.0, "anna"), (60.0, "anna"), (120.0, "anna"), (60.0, "bert")):
        await ran(task(flow), meter, tick=tick, process=process)
    assert marks[0] == marks[1] != marks[2]
    assert marks[0] != marks[3]
    assert run_of(marks[0]) == run_of(marks[3]) != run_of(marks[2])
    assert marks[0].startswith(mark_prefix("acme-eu", "small_flow"))


def test_everything_in_a_run_id_tells_runs_apart() -> None:
    """Installation, target, database, probe and tick each change the id."""
    same = {"installation": "a", "target": "b", "database": "c", "probe": "d"}
    ids = {run_id(**same, tick=1), *(run_id(**{**same, name: "x"}, tick=1) for name in same), run_id(**same, tick=2)}
    assert len(ids) == 6
