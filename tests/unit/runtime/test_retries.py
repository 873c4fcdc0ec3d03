"""Attempts: repeated only when that can tell something, and never in secret."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.trace import StatusCode, get_tracer

from quaywatch.contract import Outcome, Reason, Transaction
from quaywatch.errors import AuthError, ConnectError, FaultError
from quaywatch.runtime.probing import RunRecord, run_probe
from tests.unit.runtime.fakes import FakeClock, VirtualLoop
from tests.unit.runtime.probe_fakes import TARGET, Numbers, Spans, task

LOOP = VirtualLoop
NAMES = {"target": "erp", "probe": "small_flow"}


class Flow:
    """A flow whose attempts end as they are told to, each undone after it."""

    def __init__(self, *ends: Exception | None, takes: float = 0.0, undo_fails: bool = False) -> None:
        self.notes: list[str] = []
        self.marks: set[str] = set()
        self._ends = list(ends)
        self._takes = takes
        self._undo_fails = undo_fails

    async def run(self, _driver: Any, _options: Any, tx: Transaction) -> None:
        """One attempt."""
        self.marks.add(tx.mark)
        end = self._ends.pop(0)
        async with tx.step("one"):
            tx.undo("cancel", self._undo)
            self.notes.append("try")
            await asyncio.sleep(self._takes)
            if end is not None:
                raise end

    async def _undo(self) -> None:
        await asyncio.sleep(0)
        self.notes.append("undo")
        if self._undo_fails:
            raise ConnectError("cut")


@pytest.fixture
def meter() -> Numbers:
    """A meter that is read afterwards."""
    return Numbers()


async def ran(flow: Flow, attempts: int, meter: Numbers, spans: Spans | None = None, **times: float) -> RunRecord:
    """One tick."""
    return await run_probe(
        replace(task(flow.run), attempts=attempts, **times),  # type: ignore[arg-type]  # all of them are seconds
        None,
        target=TARGET,
        tick=60,
        installation="acme-eu",
        meter=meter,
        tracer=spans.tracer if spans else get_tracer("silent"),
        clock=FakeClock(),
    )


async def test_what_passes_when_repeated_is_flaky(meter: Numbers) -> None:
    """It is one outcome of its own, with both attempts counted and the reason of the first; the flow works."""
    flow = Flow(FaultError("broken"), None)
    record = await ran(flow, 2, meter)
    assert (record.outcome, record.attempts, record.reason, record.failed_step) == (
        Outcome.FLAKY,
        2,
        Reason.FAULT,
        "one",
    )
    assert flow.notes == ["try", "undo", "try", "undo"]
    assert len(flow.marks) == 1
    assert [(step.name, step.attempt) for step in record.steps if not step.is_undo] == [("one", 1), ("one", 2)]
    assert meter.of("quaywatch.probe.runs", **NAMES, outcome="flaky") == 1
    assert meter.of("quaywatch.probe.runs", **NAMES, outcome="success") == 0
    assert meter.of("quaywatch.probe.attempts", **NAMES, outcome="failure") == 1
    assert meter.of("quaywatch.probe.attempts", **NAMES, outcome="success") == 1
    assert meter.of("quaywatch.probe.failures", **NAMES, step="one", reason="fault") == 1
    assert meter.of("quaywatch.probe.success", **NAMES) == 1
    assert meter.of("quaywatch.probe.last_success.time", **NAMES) == record.started


async def test_what_fails_each_time_is_a_failure(meter: Numbers) -> None:
    """One run, as many attempts as are allowed, and the reason of the last."""
    record = await ran(Flow(FaultError("a"), FaultError("b"), ConnectError("c")), 3, meter)
    assert (record.outcome, record.attempts, record.reason, record.message) == (
        Outcome.FAILURE,
        3,
        Reason.CONNECT,
        "c",
    )
    assert meter.of("quaywatch.probe.runs", **NAMES, outcome="failure") == 1
    assert meter.of("quaywatch.probe.attempts", **NAMES, outcome="failure") == 3


async def test_our_own_fault_is_not_repeated(meter: Numbers) -> None:
    """A wrong password will not be right a second later."""
    flow = Flow(AuthError("refused"))
    record = await ran(flow, 3, meter)
    assert (record.outcome, record.attempts) == (Outcome.INVALID, 1)


async def test_an_invalid_attempt_after_a_failure_says_nothing(meter: Numbers) -> None:
    """Whether the flow works is not known in the end."""
    record = await ran(Flow(FaultError("broken"), AuthError("refused")), 3, meter)
    assert (record.outcome, record.attempts) == (Outcome.INVALID, 2)
    assert meter.of("quaywatch.probe.success", **NAMES) is None


async def test_what_could_not_be_undone_is_not_repeated(meter: Numbers) -> None:
    """A second attempt would only leave more."""
    record = await ran(Flow(FaultError("broken"), undo_fails=True), 3, meter)
    assert (record.outcome, record.attempts) == (Outcome.FAILURE, 1)


async def test_the_next_tick_is_not_eaten(meter: Numbers) -> None:
    """An attempt that could not end within the tick is left out."""
    flow = Flow(*[FaultError("broken")] * 9, takes=25)
    record = await ran(flow, 9, meter, every=60, deadline=30)
    assert record.attempts == 2


async def test_each_attempt_is_a_span(meter: Numbers) -> None:
    """The steps stand below their attempt, and only the attempt that failed is an error."""
    spans = Spans()
    await ran(Flow(FaultError("broken"), None), 2, meter, spans)
    root, first, second = (spans.one(name) for name in ("probe small_flow", "attempt 1", "attempt 2"))
    assert [span.parent and span.parent.span_id for span in (first, second)] == [root.context.span_id] * 2
    steps = [span.parent and span.parent.span_id for span in spans.ended() if span.name == "step one"]
    assert steps == [first.context.span_id, second.context.span_id]
    assert [span.status.status_code for span in (root, first, second)] == [
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert (root.attributes or {})["quaywatch.outcome"] == "flaky"
    assert (root.attributes or {})["quaywatch.attempts"] == 2
