"""One run of a probe: steps that are timed and traced, and the undoing of what they did.

Undo steps run in reverse order whatever happens: after success, a failure, the deadline, and also when the agent is
told to stop in the middle of a run. They have a time budget of their own and are shielded from cancellation. One that
fails never changes how the run ended; it is counted, and what it left is found by its mark at the next sweep.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass

from opentelemetry.trace import Span, StatusCode, Tracer

from quaywatch.clock import Clock
from quaywatch.contract import Transaction
from quaywatch.errors import DeadlineError, InternalError

from .suspicion import NO_CASE, Doubt, Inquiry
from .verdict import SUCCESS, Verdict, judge

SYNTHETIC = {"user_agent.synthetic.type": "test"}
"""On every span of a probe, so that nobody takes it for a customer."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step or undo step as it went. ``duration`` is in seconds, ``attempt`` counts from 1."""

    name: str
    duration: float
    ok: bool
    is_undo: bool = False
    attempt: int = 1


def stamp(span: Span, verdict: Verdict) -> None:
    """Write on a span how it ended."""
    if verdict.reason is not None:
        span.set_attribute("error.type", verdict.reason.value)
        span.set_status(StatusCode.ERROR, verdict.message)


class Saga:
    """The `Transaction` of one attempt.

    Args:
        mark: what every record of the run bears.
        steps: the names of the steps that the probe declares.
        tracer: where the spans go.
        clock: whose monotonic time the steps are measured by.
        inquiry: asks why a step is slow or failed; None where there is nobody to ask.
        attempt: the number of the attempt, from 1.
    """

    def __init__(
        self,
        *,
        mark: str,
        steps: tuple[str, ...],
        tracer: Tracer,
        clock: Clock,
        inquiry: Inquiry | None = None,
        attempt: int = 1,
    ) -> None:
        self.records: list[StepRecord] = []
        """Steps and undo steps in the order in which they ended."""
        self.failed_step = ""
        """The first step that failed, if one did."""
        self.undo_failures: list[Verdict] = []
        """Why undo steps failed."""
        self._mark = mark
        self._steps = steps
        self._tracer = tracer
        self._clock = clock
        self._inquiry = inquiry or Inquiry(None, NO_CASE, after=math.inf, clock=clock)
        self._attempt = attempt
        self._undos: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._limit: asyncio.Timeout | None = None

    @property
    def mark(self) -> str:
        """What every record of this run bears."""
        return self._mark

    @asynccontextmanager
    async def step(self, name: str, *, waits: bool = False) -> AsyncIterator[None]:
        """One step: timed, one span.

        Raises:
            InternalError: when the probe does not declare a step of this name.
        """
        if name not in self._steps:
            raise InternalError(f"the probe has no step {name!r}, only {', '.join(self._steps)}")
        with self._recorded(name, is_undo=False, waits=waits):
            yield

    def undo(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        """Register how the last change is undone."""
        self._undos.append((name, action))

    async def carry_out(self, work: Callable[[Transaction], Awaitable[None]], *, within: float) -> Verdict:
        """Go through the steps, at most ``within`` seconds, and judge the end. Raises nothing but a cancellation."""
        try:
            async with asyncio.timeout(within) as self._limit:
                await work(self)
        except Exception as error:  # noqa: BLE001 - the task's border: whatever a probe raises ends its run only
            return judge(self._meant(error))
        return SUCCESS

    async def unwind(self, *, within: float) -> None:
        """Undo everything in reverse, at most ``within`` seconds; a cancellation is obeyed only afterwards."""
        undoing = asyncio.create_task(self._undo_all(within))
        cancelled: asyncio.CancelledError | None = None
        while not undoing.done():
            try:
                await asyncio.wait({undoing})
            except asyncio.CancelledError as request:
                cancelled = request
        if cancelled is not None:
            raise cancelled

    async def _undo_all(self, within: float) -> None:
        end = asyncio.get_running_loop().time() + within
        while self._undos:
            await self._undo(*self._undos.pop(), end=end)

    async def _undo(self, name: str, action: Callable[[], Awaitable[None]], *, end: float) -> None:
        """One undo step until the loop's time ``end``."""
        try:
            with self._recorded(name, is_undo=True):
                await _until(end, action, f"undo {name}")
        except Exception as error:  # noqa: BLE001 - the next undo step has its turn whatever this one raised
            self.undo_failures.append(judge(error))

    @contextmanager
    def _recorded(self, name: str, *, is_undo: bool, waits: bool = False) -> Iterator[None]:
        """A span and a record for what happens inside."""
        started, ok = self._clock.monotonic(), False
        with (
            self._span(name, is_undo=is_undo) as span,
            nullcontext() if is_undo else self._inquiry.about(name, span, waits=waits) as doubt,
        ):
            try:
                yield
                ok = True
            except BaseException as error:
                self._failed(name, error if is_undo else self._meant(error), span, doubt)
                raise
            finally:
                duration = self._clock.monotonic() - started
                self.records.append(StepRecord(name, duration, ok, is_undo, self._attempt))

    def _failed(self, name: str, error: BaseException, span: Span, doubt: Doubt | None) -> None:
        """Say on the span why; a step is asked about, unless it was only told to stop."""
        verdict = judge(error)
        stamp(span, verdict)
        if doubt is None:
            return
        self.failed_step = self.failed_step or name
        if not isinstance(error, asyncio.CancelledError):
            doubt.failed(verdict.reason, verdict.message)

    @contextmanager
    def _span(self, name: str, *, is_undo: bool) -> Iterator[Span]:
        """The span of a step, which its inquiry ends, or that of an undo step."""
        with self._tracer.start_as_current_span(
            f"undo {name}" if is_undo else f"step {name}",
            attributes={"quaywatch.step": name, **SYNTHETIC},
            record_exception=False,
            set_status_on_exception=False,
            end_on_exit=is_undo,
        ) as span:
            yield span

    def _meant(self, error: BaseException) -> BaseException:
        """The error itself, or the run's deadline where that is what cut the work off."""
        expired = self._limit is not None and self._limit.expired()
        if expired and isinstance(error, TimeoutError | asyncio.CancelledError):
            return DeadlineError("the run did not end within its deadline")
        return error


async def _until(end: float, action: Callable[[], Awaitable[None]], what: str) -> None:
    timer = asyncio.timeout_at(end)
    try:
        async with timer:
            await action()
    except TimeoutError as error:
        if not timer.expired():
            raise
        raise DeadlineError(f"{what}: its time budget is over") from error
