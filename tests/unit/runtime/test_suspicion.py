"""Why a step is slow or fails: asked beside the run, never at its cost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan

from quaywatch.clock import SystemClock
from quaywatch.contract import Outcome, ProbeTask, Reason, Transaction
from quaywatch.errors import FaultError
from quaywatch.runtime.probing import Cause, Evidence, OnSuspicion, RunRecord, Suspicion, Trigger, run_probe
from quaywatch.runtime.probing.suspicion import EVENT, Finding
from tests.unit.runtime.fakes import VirtualLoop
from tests.unit.runtime.probe_fakes import TARGET, Numbers, Run, Spans, task

LOOP = VirtualLoop
LOCKED = Evidence(Cause.LOCK_WAIT, 0.9, ("process 4312 holds it", "idle in transaction for 74 s"))
BUSY = Evidence(Cause.ODOO_WORKERS_BUSY, 0.4)
NOTHING = Evidence(Cause.UNKNOWN, 0.0)


class Detective:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers: Evidence | None) -> None:
        self.asked: list[Suspicion] = []
        self._answers = list(answers)

    async def __call__(self, suspicion: Suspicion) -> Evidence | None:
        """The next answer."""
        self.asked.append(suspicion)
        await asyncio.sleep(0)
        return self._answers.pop(0)


@pytest.fixture
def meter() -> Numbers:
    """A meter that is read afterwards."""
    return Numbers()


@pytest.fixture
def spans() -> Spans:
    """A tracer that is read afterwards."""
    return Spans()


def flow(*, takes: float = 0.0, raises: Exception | None = None) -> Run:
    """A first step that takes its time and may raise."""

    async def run(_driver: Any, _options: Any, tx: Transaction) -> None:
        async with tx.step("one"):
            await asyncio.sleep(takes)
            if raises is not None:
                raise raises

    return run


async def ran(work: ProbeTask, ask: OnSuspicion, meter: Numbers, spans: Spans) -> RunRecord:
    """One run of a probe with a deadline of 5 s."""
    return await run_probe(
        work,
        None,
        target=TARGET,
        tick=60,
        installation="acme-eu",
        meter=meter,
        tracer=spans.tracer,
        clock=SystemClock(),
        on_suspicion=ask,
    )


def length(span: ReadableSpan) -> float:
    """Seconds from a span's start to its end."""
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


async def test_a_slow_step_is_asked_about_while_it_runs(meter: Numbers, spans: Spans) -> None:
    """After a third of the deadline somebody is asked; the run goes on as if not, and the answer is told everywhere."""
    detective = Detective(LOCKED)
    with structlog.testing.capture_logs() as lines:
        record = await ran(task(flow(takes=3)), detective, meter, spans)
    (suspicion,) = detective.asked
    assert (suspicion.trigger, suspicion.step, suspicion.reason) == (Trigger.SLOW, "one", None)
    assert (suspicion.case.probe, suspicion.case.run_id) == ("small_flow", record.run_id)
    assert f"/{record.run_id}/" in suspicion.case.mark
    assert record.outcome is Outcome.SUCCESS
    assert (record.evidence, record.findings) == (LOCKED, (Finding("one", Trigger.SLOW, LOCKED),))
    (event,) = spans.one("step one").events
    assert (event.name, dict(event.attributes or {})) == (
        EVENT,
        {
            "quaywatch.trigger": "slow",
            "quaywatch.cause": "lock_wait",
            "quaywatch.cause.confidence": 0.9,
            "quaywatch.evidence": LOCKED.sentences,
        },
    )
    assert (spans.one("probe small_flow").attributes or {})["quaywatch.cause"] == "lock_wait"
    assert meter.of("quaywatch.probe.causes", step="one", cause="lock_wait") == 1
    assert meter.of("quaywatch.probe.causes", step="one", cause="db_down") == 0
    assert (lines[-1]["cause"], lines[-1]["evidence"]) == ("lock_wait", list(LOCKED.sentences))


async def test_suspect_after_can_be_set(meter: Numbers, spans: Spans) -> None:
    """A step that ends within the time that the probe grants it is not asked about."""
    detective = Detective(LOCKED)
    await ran(replace(task(flow(takes=3)), suspect_after=4), detective, meter, spans)
    assert detective.asked == []
    await ran(replace(task(flow(takes=3)), suspect_after=1), detective, meter, spans)
    assert len(detective.asked) == 1


async def test_a_failed_step_is_asked_about(meter: Numbers, spans: Spans) -> None:
    """The asking knows how it failed."""
    detective = Detective(BUSY)
    record = await ran(task(flow(raises=FaultError("broken"))), detective, meter, spans)
    (suspicion,) = detective.asked
    assert (suspicion.trigger, suspicion.reason, suspicion.message) == (Trigger.FAILED, Reason.FAULT, "broken")
    assert (record.outcome, record.evidence) == (Outcome.FAILURE, BUSY)


@pytest.mark.parametrize(("first", "times"), [(LOCKED, 1), (NOTHING, 2), (None, 2)])
async def test_it_is_asked_again_only_when_nothing_is_known(
    first: Evidence | None, times: int, meter: Numbers, spans: Spans
) -> None:
    """A step that was slow and then fails is asked about anew when the first answer knew no cause."""
    detective = Detective(first, BUSY)
    record = await ran(task(flow(takes=9)), detective, meter, spans)
    assert record.reason is Reason.TIMEOUT
    assert len(detective.asked) == times
    assert record.evidence == (LOCKED if first is LOCKED else BUSY)


@pytest.mark.parametrize(("first", "told"), [(LOCKED, LOCKED), (NOTHING, BUSY)])
async def test_a_failure_while_somebody_still_looks_is_not_forgotten(
    first: Evidence, told: Evidence, meter: Numbers, spans: Spans
) -> None:
    """It is asked about once the look at the slow step has found nothing."""
    asked: list[Trigger] = []

    async def looks_long(suspicion: Suspicion) -> Evidence | None:
        asked.append(suspicion.trigger)
        await asyncio.sleep(1)
        return first if suspicion.trigger is Trigger.SLOW else BUSY

    work = replace(task(flow(takes=2, raises=FaultError("broken"))), suspect_after=1.5)
    record = await ran(work, looks_long, meter, spans)
    assert asked == [Trigger.SLOW] + [Trigger.FAILED] * (first is NOTHING)
    assert record.evidence == told


async def test_who_never_answers_delays_no_step(meter: Numbers, spans: Spans) -> None:
    """The step ends when it ends, the undoing begins at once, and three seconds later nobody waits any more."""
    loop, undone = asyncio.get_running_loop(), list[float]()

    async def for_ever(_suspicion: Suspicion) -> Evidence | None:
        await asyncio.Event().wait()
        return LOCKED

    async def undo() -> None:
        await asyncio.sleep(0)
        undone.append(loop.time() - began)

    async def run(_driver: Any, _options: Any, tx: Transaction) -> None:
        async with tx.step("one"):
            tx.undo("cancel", undo)
            raise FaultError("broken")

    began = loop.time()
    record = await ran(task(run), for_ever, meter, spans)
    assert undone == [pytest.approx(0, abs=0.1)]
    assert loop.time() - began == pytest.approx(3, abs=0.1)
    assert (record.outcome, record.evidence) == (Outcome.FAILURE, None)
    assert length(spans.one("step one")) < 1


async def test_a_defect_of_who_is_asked_is_not_the_runs(meter: Numbers, spans: Spans) -> None:
    """The run ends as it would have; the defect is logged by its type."""

    async def broken(_suspicion: Suspicion) -> Evidence | None:
        raise ZeroDivisionError

    with structlog.testing.capture_logs() as lines:
        record = await ran(task(flow(takes=3)), broken, meter, spans)
    assert record.outcome is Outcome.SUCCESS
    assert [line["error"] for line in lines if line["event"] == "no evidence"] == ["ZeroDivisionError"]


async def test_a_run_that_is_stopped_asks_nobody(meter: Numbers, spans: Spans) -> None:
    """An agent that stops in the middle of a step ends the asking that is on, starts none, and its spans end."""
    detective = Detective(LOCKED)
    running = asyncio.create_task(ran(task(flow(takes=3)), detective, meter, spans))
    await asyncio.sleep(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert detective.asked == []
    assert {span.name for span in spans.ended()} == {"step one", "probe small_flow"}


async def test_the_failed_step_speaks_for_the_run(meter: Numbers, spans: Spans) -> None:
    """What was found about the step that failed goes before a surer finding about one that was only slow."""

    async def run(_driver: Any, _options: Any, tx: Transaction) -> None:
        async with tx.step("one"):
            await asyncio.sleep(3)
        async with tx.step("two"):
            raise FaultError("broken")

    record = await ran(task(run), Detective(LOCKED, BUSY), meter, spans)
    assert [finding.step for finding in record.findings] == ["one", "two"]
    assert record.evidence == BUSY
