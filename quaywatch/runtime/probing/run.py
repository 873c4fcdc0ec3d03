"""One tick of a probe from its beginning to its record: attempts, undoing, metrics, one trace and one line in the log.

A failed attempt may be repeated within the tick, once it is undone; an invalid one never is. What was repeated shows:
in the outcome, in the number of attempts and in the trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer, format_trace_id

from quaywatch.clock import Clock
from quaywatch.contract import Meter, Outcome, ProbeTask, Reason, Target
from quaywatch.runtime import catalogue

from .marks import PROCESS, mark, run_id
from .saga import SYNTHETIC, Saga, StepRecord, stamp
from .suspicion import Case, Cause, Evidence, Finding, Inquiry, OnSuspicion, leading
from .verdict import Verdict

PASSED: Final = frozenset({Outcome.SUCCESS, Outcome.FLAKY, Outcome.CLEANUP_FAILED})
"""How runs end whose steps all succeeded, in the last attempt at least."""
ATTEMPT_OUTCOMES: Final = (Outcome.SUCCESS, Outcome.FAILURE, Outcome.INVALID)
"""How a single attempt ends."""
_LEVELS: Final = {Outcome.SUCCESS: "info", Outcome.INVALID: "error"}

log: Any = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One tick as it went.

    ``tick`` and ``started`` are Unix seconds, ``duration`` is that of the last attempt's steps without the undoing, in
    seconds. ``reason``, ``failed_step`` and ``message`` tell of the last thing that went wrong, also when the outcome
    is flaky or cleanup_failed. ``message`` and ``findings`` hold no secret and no datum. ``trace_id`` is hexadecimal,
    empty where nothing is traced.
    """

    target: str
    probe: str
    run_id: str
    tick: float
    started: float
    duration: float
    outcome: Outcome
    reason: Reason | None
    failed_step: str
    message: str
    steps: tuple[StepRecord, ...]
    trace_id: str
    attempts: int = 1
    findings: tuple[Finding, ...] = ()

    @property
    def evidence(self) -> Evidence | None:
        """What speaks for the cause of the run's trouble, the surest of it."""
        finding = leading(self.findings, self.failed_step)
        return finding.evidence if finding else None


def announce(task: ProbeTask, target: Target, meter: Meter) -> None:
    """Start a probe's counters at 0, so that its first failure counts, and say how often it is to run."""
    labels = (target.name, task.probe.name)
    for outcome in Outcome:
        meter.add(catalogue.PROBE_RUNS, 0, *labels, outcome)
    for outcome in ATTEMPT_OUTCOMES:
        meter.add(catalogue.PROBE_ATTEMPTS, 0, *labels, outcome)
    for step in task.probe.steps:
        for reason in Reason:
            meter.add(catalogue.PROBE_FAILURES, 0, *labels, step, reason)
        for cause in Cause:
            meter.add(catalogue.PROBE_CAUSES, 0, *labels, step, cause)
    meter.add(catalogue.PROBE_UNDO_FAILURES, 0, *labels)
    meter.set(catalogue.PROBE_INTERVAL, task.every, *labels)


async def run_probe(
    task: ProbeTask,
    driver: Any,
    *,
    target: Target,
    tick: float,
    installation: str,
    meter: Meter,
    tracer: Tracer,
    clock: Clock,
    on_suspicion: OnSuspicion | None = None,
    muted: bool = False,
    process: str = PROCESS,
) -> RunRecord:
    """Run a probe for one tick and undo what it did.

    Raises nothing but a cancellation, and that only after the undoing; a cancelled run is counted nowhere.

    Args:
        task: the probe with its options and times.
        driver: the target's driver, as the probe wants it.
        target: what is probed.
        tick: the Unix time on the probe's grid this run is for; the run's id and mark follow from it.
        installation: whose marks the records bear.
        meter: where the numbers go.
        tracer: where the spans go.
        clock: monotonic time for durations, time of day for the record.
        on_suspicion: asked why a step is slow or failed.
        muted: whether maintenance is on, and so nobody to be alarmed; the trace says it.
        process: whose marks they are, among the agents that may run the same tick.
    """
    announce(task, target, meter)
    case, name = _case(task, driver, target, tick, installation, process), task.probe.name
    run = _Run(task, driver, case, tick, meter=meter, tracer=tracer, clock=clock, ask=on_suspicion)
    with _span(tracer, f"probe {name}", _attributes(case, muted=muted), context=Context()) as span:
        record = await run.carry_out(span)
        _count(record, meter)
        _log(record)
    return record


@contextmanager
def _span(tracer: Tracer, title: str, attributes: dict[str, Any], context: Context | None = None) -> Iterator[Span]:
    with tracer.start_as_current_span(
        title, context=context, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def skip_probe(
    task: ProbeTask, driver: Any, *, target: Target, tick: float, installation: str, meter: Meter, clock: Clock
) -> RunRecord:
    """Count a tick on which maintenance keeps the probe from running; arguments as for `run_probe`.

    Whether the flow works is not known then, so what the last run said is withdrawn.
    """
    announce(task, target, meter)
    case = _case(task, driver, target, tick, installation, PROCESS)
    meter.add(catalogue.PROBE_RUNS, 1, case.target, case.probe, Outcome.SKIPPED)
    meter.clear(catalogue.PROBE_SUCCESS, case.target, case.probe)
    return RunRecord(
        target=case.target,
        probe=case.probe,
        run_id=case.run_id,
        tick=tick,
        started=clock.time(),
        duration=0.0,
        outcome=Outcome.SKIPPED,
        reason=None,
        failed_step="",
        message="",
        steps=(),
        trace_id="",
        attempts=0,
    )


def _case(task: ProbeTask, driver: Any, target: Target, tick: float, installation: str, process: str) -> Case:
    database, name = str(getattr(driver, "database", "")), task.probe.name
    identity = run_id(installation=installation, target=target.name, database=database, probe=name, tick=tick)
    bears = mark(installation, name, identity, process)
    return Case(target=target.name, probe=name, database=database, run_id=identity, mark=bears)


def _attributes(case: Case, *, muted: bool) -> dict[str, str]:
    """The root span's attributes."""
    return {
        "quaywatch.probe": case.probe,
        "quaywatch.target": case.target,
        "quaywatch.run.id": case.run_id,
        **({"quaywatch.database": case.database} if case.database else {}),
        **({"quaywatch.maintenance": "mute"} if muted else {}),
        **SYNTHETIC,
    }


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt as it went, undoing included. ``unclean`` is why the first undo step failed, if one did."""

    verdict: Verdict
    duration: float
    failed_step: str
    steps: tuple[StepRecord, ...]
    unclean: Verdict | None
    findings: tuple[Finding, ...]


class _Run:
    """One tick while it lasts."""

    def __init__(
        self,
        task: ProbeTask,
        driver: Any,
        case: Case,
        tick: float,
        *,
        meter: Meter,
        tracer: Tracer,
        clock: Clock,
        ask: OnSuspicion | None,
    ) -> None:
        self._task = task
        self._driver = driver
        self._case = case
        self._tick = tick
        self._meter = meter
        self._tracer = tracer
        self._clock = clock
        self._ask = ask

    async def carry_out(self, span: Span) -> RunRecord:
        """Make attempts, and write on the span and into a record how it went."""
        started, began = self._clock.time(), self._clock.monotonic()
        attempts = [await self._traced_attempt(1)]
        while self._is_to_be_repeated(attempts, self._clock.monotonic() - began):
            attempts.append(await self._traced_attempt(len(attempts) + 1))
        for attempt in attempts:
            self._count(attempt)
        record = self._record(attempts, started, span)
        _stamp(span, attempts[-1].verdict, record)
        return record

    def _is_to_be_repeated(self, attempts: Sequence[_Attempt], passed: float) -> bool:
        """Whether it failed, left nothing, may be repeated and can be before the next tick."""
        last, task = attempts[-1], self._task
        again = last.verdict.outcome is Outcome.FAILURE and last.unclean is None
        return again and len(attempts) < task.attempts and passed + task.deadline < task.every

    async def _traced_attempt(self, number: int) -> _Attempt:
        """One attempt, which has a span of its own where there may be several."""
        if self._task.attempts == 1:
            return await self._attempt(number)
        with _span(self._tracer, f"attempt {number}", {"quaywatch.attempt": number, **SYNTHETIC}) as span:
            attempt = await self._attempt(number)
            stamp(span, attempt.verdict)
            return attempt

    async def _attempt(self, number: int) -> _Attempt:
        task, driver = self._task, self._driver
        inquiry = self._inquiry()
        saga = self._saga(number, inquiry)
        began = self._clock.monotonic()
        try:
            try:
                verdict = await saga.carry_out(
                    lambda tx: task.probe.run(driver, task.options, tx), within=task.deadline
                )
                duration = self._clock.monotonic() - began
            finally:  # also when told to stop
                await self._unwind(saga)
            findings = await inquiry.findings()
        finally:
            inquiry.end()
        unclean = saga.undo_failures[0] if saga.undo_failures else None
        failed_step = saga.failed_step if verdict.reason else ""
        return _Attempt(verdict, duration, failed_step, tuple(saga.records), unclean, findings)

    def _inquiry(self) -> Inquiry:
        after = self._task.deadline / 3 if self._task.suspect_after is None else self._task.suspect_after
        return Inquiry(self._ask, self._case, after=after, clock=self._clock)

    def _saga(self, number: int, inquiry: Inquiry) -> Saga:
        return Saga(
            mark=self._case.mark,
            steps=self._task.probe.steps,
            tracer=self._tracer,
            clock=self._clock,
            inquiry=inquiry,
            attempt=number,
        )

    async def _unwind(self, saga: Saga) -> None:
        """Undo, and say what could not be undone."""
        try:
            await saga.unwind(within=self._task.probe.undo_within)
        finally:
            case = self._case
            self._meter.add(catalogue.PROBE_UNDO_FAILURES, len(saga.undo_failures), case.target, case.probe)
            for failure in saga.undo_failures:
                log.warning(
                    "undo failed", target=case.target, probe=case.probe, run_id=case.run_id, message=failure.message
                )

    def _count(self, attempt: _Attempt) -> None:
        names, verdict = (self._case.target, self._case.probe), attempt.verdict
        self._meter.add(catalogue.PROBE_ATTEMPTS, 1, *names, verdict.outcome)
        if verdict.reason is not None:
            self._meter.add(catalogue.PROBE_FAILURES, 1, *names, attempt.failed_step, verdict.reason)

    def _record(self, attempts: Sequence[_Attempt], started: float, span: Span) -> RunRecord:
        trace_id = span.get_span_context().trace_id
        outcome, trouble, step = _outcome(attempts)
        return RunRecord(
            target=self._case.target,
            probe=self._case.probe,
            run_id=self._case.run_id,
            tick=self._tick,
            started=started,
            duration=attempts[-1].duration,
            outcome=outcome,
            reason=trouble.reason,
            failed_step=step,
            message=trouble.message,
            steps=tuple(step for attempt in attempts for step in attempt.steps),
            trace_id=format_trace_id(trace_id) if trace_id else "",
            attempts=len(attempts),
            findings=tuple(finding for attempt in attempts for finding in attempt.findings),
        )


def _outcome(attempts: Sequence[_Attempt]) -> tuple[Outcome, Verdict, str]:
    """How a run ended, the last thing that went wrong, and the step in which it did."""
    last = attempts[-1]
    if last.verdict.outcome is not Outcome.SUCCESS:
        return last.verdict.outcome, last.verdict, last.failed_step
    if last.unclean is not None:
        return Outcome.CLEANUP_FAILED, last.unclean, ""
    if len(attempts) > 1:
        before = attempts[-2]
        return Outcome.FLAKY, before.verdict, before.failed_step
    return Outcome.SUCCESS, last.verdict, ""


def _stamp(span: Span, verdict: Verdict, record: RunRecord) -> None:
    stamp(span, verdict)
    span.set_attribute("quaywatch.outcome", record.outcome.value)
    span.set_attribute("quaywatch.attempts", record.attempts)
    if evidence := record.evidence:
        span.set_attribute("quaywatch.cause", evidence.cause.value)
        span.set_attribute("quaywatch.cause.confidence", evidence.confidence)


def _count(record: RunRecord, meter: Meter) -> None:
    names = (record.target, record.probe)
    meter.add(catalogue.PROBE_RUNS, 1, *names, record.outcome)
    meter.set(catalogue.PROBE_LAST_RUN_TIME, record.started, *names)
    for step in record.steps:
        if step.ok:
            meter.record(catalogue.PROBE_STEP_DURATION, step.duration, *names, step.name)
    for finding in record.findings:
        meter.add(catalogue.PROBE_CAUSES, 1, *names, finding.step, finding.evidence.cause)
    if record.outcome is Outcome.INVALID:  # it measured nothing, and what was measured before is no longer so
        meter.clear(catalogue.PROBE_SUCCESS, *names)
        return
    passed = record.outcome in PASSED
    meter.set(catalogue.PROBE_SUCCESS, float(passed), *names)
    if passed:
        meter.record(catalogue.PROBE_DURATION, record.duration, *names)
        meter.set(catalogue.PROBE_LAST_SUCCESS_TIME, record.started, *names)


def _log(record: RunRecord) -> None:
    facts: dict[str, Any] = {}
    if record.reason:
        facts |= {"step": record.failed_step, "reason": record.reason, "message": record.message}
    if record.attempts > 1:
        facts["attempts"] = record.attempts
    if evidence := record.evidence:
        facts |= {"cause": evidence.cause, "confidence": evidence.confidence, "evidence": list(evidence.sentences)}
    getattr(log, _LEVELS.get(record.outcome, "warning"))(
        "probe run",
        target=record.target,
        probe=record.probe,
        run_id=record.run_id,
        outcome=record.outcome,
        duration=round(record.duration, 3),
        trace_id=record.trace_id,
        **facts,
    )
