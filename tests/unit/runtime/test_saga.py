"""The saga: steps in order, undo in reverse, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from opentelemetry.trace import StatusCode

from quaywatch.clock import SystemClock
from quaywatch.contract import Outcome, Reason, Transaction
from quaywatch.errors import ConnectError, FaultError
from quaywatch.runtime.probing.saga import Saga
from tests.unit.runtime.probe_fakes import Spans


@pytest.fixture
def spans() -> Spans:
    """A tracer that is read afterwards."""
    return Spans()


@pytest.fixture
def saga(spans: Spans) -> Saga:
    """A run with the steps one and two."""
    return Saga(mark="mark", steps=("one", "two"), tracer=spans.tracer, clock=SystemClock())


def noting(notes: list[str], what: str, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
    """An undo action that leaves a note, and may fail after it."""

    async def action() -> None:
        await asyncio.sleep(0)
        notes.append(what)
        if error is not None:
            raise error

    return action


async def for_ever() -> None:
    """Waits until it is cancelled."""
    await asyncio.Event().wait()


async def test_undo_runs_in_reverse_after_success(saga: Saga) -> None:
    """The last change is undone first, and each step and undo has its record."""
    notes: list[str] = []

    async def work(tx: Transaction) -> None:
        async with tx.step("one"):
            tx.undo("a", noting(notes, "a"))
        async with tx.step("two"):
            tx.undo("b", noting(notes, "b"))

    verdict = await saga.carry_out(work, within=5)
    await saga.unwind(within=5)
    assert (verdict.outcome, notes) == (Outcome.SUCCESS, ["b", "a"])
    assert [(r.name, r.ok, r.is_undo) for r in saga.records] == [
        ("one", True, False),
        ("two", True, False),
        ("b", True, True),
        ("a", True, True),
    ]


async def test_a_failed_step_is_named_and_undone(saga: Saga) -> None:
    """The first failed step and its reason are kept, later steps do not run, undo does."""
    notes: list[str] = []

    async def work(tx: Transaction) -> None:
        async with tx.step("one"):
            tx.undo("a", noting(notes, "a"))
            raise FaultError("it broke", remedy="mend it")

    verdict = await saga.carry_out(work, within=5)
    await saga.unwind(within=5)
    assert (verdict.outcome, verdict.reason, verdict.message) == (
        Outcome.FAILURE,
        Reason.FAULT,
        "it broke (mend it)",
    )
    assert (saga.failed_step, notes) == ("one", ["a"])


async def test_the_deadline_ends_the_step_it_falls_in(saga: Saga, spans: Spans) -> None:
    """A step that hangs is cut off as a time-out of the watched system, and undone."""
    notes: list[str] = []

    async def work(tx: Transaction) -> None:
        async with tx.step("two"):
            tx.undo("a", noting(notes, "a"))
            await for_ever()

    verdict = await saga.carry_out(work, within=0.01)
    await saga.unwind(within=5)
    assert (verdict.outcome, verdict.reason, saga.failed_step) == (Outcome.FAILURE, Reason.TIMEOUT, "two")
    assert notes == ["a"]
    assert (spans.one("step two").attributes or {})["error.type"] == "timeout"


async def test_a_time_out_of_the_probes_own_is_a_defect(saga: Saga) -> None:
    """A bare TimeoutError before the deadline is not taken for the deadline."""

    async def work(_tx: Transaction) -> None:
        raise TimeoutError

    assert (await saga.carry_out(work, within=5)).reason is Reason.INTERNAL


async def test_an_undo_that_fails_or_hangs_never_masks_the_others(saga: Saga) -> None:
    """Each undo is tried although the one before failed; the failures are counted and the outcome stays."""
    notes: list[str] = []

    async def work(tx: Transaction) -> None:
        async with tx.step("one"):
            tx.undo("a", noting(notes, "a"))
            tx.undo("b", noting(notes, "b", ConnectError("cut")))
            tx.undo("c", noting(notes, "c", KeyError("odd")))

    verdict = await saga.carry_out(work, within=5)
    await saga.unwind(within=5)
    assert (verdict.outcome, notes) == (Outcome.SUCCESS, ["c", "b", "a"])
    assert [failure.reason for failure in saga.undo_failures] == [Reason.INTERNAL, Reason.CONNECT]


async def test_undoing_has_a_budget(saga: Saga) -> None:
    """An undo that hangs uses the budget up; the ones after it are counted as failed too, and the run ends."""

    async def work(tx: Transaction) -> None:
        tx.undo("a", for_ever)
        tx.undo("b", for_ever)

    await saga.carry_out(work, within=5)
    await saga.unwind(within=0.01)
    assert [failure.reason for failure in saga.undo_failures] == [Reason.TIMEOUT, Reason.TIMEOUT]


async def test_cancellation_in_a_step_is_obeyed_after_the_undoing(saga: Saga) -> None:
    """An agent that stops undoes first, even when it is told to stop again meanwhile, and the caller sees it stop."""
    notes: list[str] = []
    undoing, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        undoing.set()
        await go_on.wait()
        notes.append("undone")

    async def work(tx: Transaction) -> None:
        async with tx.step("one"):
            tx.undo("a", slow)
            await for_ever()

    async def run() -> None:
        try:
            await saga.carry_out(work, within=5)
        finally:
            await saga.unwind(within=5)

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    running.cancel()
    await undoing.wait()
    running.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert notes == ["undone"]


async def test_cancellation_during_the_undoing_is_not_lost(saga: Saga) -> None:
    """An agent that is told to stop while a run is being undone ends the undoing, and then stops."""
    undoing, go_on, notes = asyncio.Event(), asyncio.Event(), list[str]()

    async def slow() -> None:
        undoing.set()
        await go_on.wait()
        notes.append("undone")

    saga.undo("a", slow)
    unwinding = asyncio.create_task(saga.unwind(within=5))
    await undoing.wait()
    unwinding.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await unwinding
    assert notes == ["undone"]


async def test_an_undeclared_step_is_a_defect(saga: Saga) -> None:
    """A step that the probe does not declare ends the run as invalid and is named."""

    async def work(tx: Transaction) -> None:
        async with tx.step("three"):
            pytest.fail("the step is not entered")

    verdict = await saga.carry_out(work, within=5)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, Reason.INTERNAL)
    assert "'three'" in verdict.message


async def test_each_step_and_undo_is_a_span(saga: Saga, spans: Spans) -> None:
    """Spans bear the step, the mark of synthetic traffic, and the error's reason with its text."""

    async def work(tx: Transaction) -> None:
        async with tx.step("one"):
            tx.undo("a", noting([], "a", FaultError("stuck")))

    await saga.carry_out(work, within=5)
    await saga.unwind(within=5)
    step, undo = spans.one("step one"), spans.one("undo a")
    assert step.attributes == {"quaywatch.step": "one", "user_agent.synthetic.type": "test"}
    assert step.status.status_code is StatusCode.UNSET
    assert (undo.attributes or {})["error.type"] == "fault"
    assert (undo.status.status_code, undo.status.description) == (StatusCode.ERROR, "stuck")


async def test_the_text_of_an_unexpected_error_is_not_repeated(saga: Saga, spans: Spans) -> None:
    """A defect is named by type and place only: its text could hold a customer's datum or a secret."""

    async def work(tx: Transaction) -> None:
        async with tx.step("one"):
            raise ValueError("hunter2")

    verdict = await saga.carry_out(work, within=5)
    span = spans.one("step one")
    assert verdict.message.startswith("a defect of the agent: ValueError at work, line ")
    assert "hunter2" not in f"{verdict}{span.to_json()}"
