"""One run of a probe from its tick to its record: steps, undoing, metrics, one trace and one line in the log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import structlog
from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer, format_trace_id

from quaywatch.contract import Meter, Outcome, ProbeTask, Reason, Target

from . import catalogue
from .clock import Clock
from .marks import mark_prefix, run_id
from .saga import SYNTHETIC, Saga, StepRecord, stamp
from .verdict import Verdict

_LEVELS = {Outcome.SUCCESS: "info", Outcome.FAILURE: "warning", Outcome.INVALID: "error"}

log: Any = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as it went.

    ``tick`` and ``started`` are Unix seconds, ``duration`` is that of the steps without the undoing, in seconds.
    ``message`` holds no secret and no datum. ``trace_id`` is hexadecimal, empty where nothing is traced.
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


def announce(task: ProbeTask, target: Target, meter: Meter) -> None:
    """Start a probe's counters at 0, so that its first failure counts, and say how often it is to run."""
    labels = (target.name, task.probe.name)
    for outcome in Outcome:
        meter.add(catalogue.PROBE_RUNS, 0, *labels, outcome)
    for step in task.probe.steps:
        for reason in Reason:
            meter.add(catalogue.PROBE_FAILURES, 0, *labels, step, reason)
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
) -> RunRecord:
    """Run a probe once and undo what it did.

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
    """
    announce(task, target, meter)
    run = _prepared(task, driver, target=target, tick=tick, installation=installation, tracer=tracer, clock=clock)
    with tracer.start_as_current_span(
        f"probe {task.probe.name}",
        context=Context(),
        attributes=run.attributes(),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            record = await run.carry_out(driver, span)
        finally:
            await run.unwind(meter)
        record = replace(record, steps=tuple(run.saga.records))
        _count(record, meter)
        _log(record)
    return record


def _prepared(
    task: ProbeTask, driver: Any, *, target: Target, tick: float, installation: str, tracer: Tracer, clock: Clock
) -> _Run:
    database = str(getattr(driver, "database", ""))
    probe = task.probe
    identity = run_id(installation=installation, target=target.name, database=database, probe=probe.name, tick=tick)
    mark = mark_prefix(installation, probe.name) + identity
    saga = Saga(mark=mark, steps=probe.steps, tracer=tracer, clock=clock)
    return _Run(task, target, database, identity, tick, saga, clock)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run while it lasts."""

    task: ProbeTask
    target: Target
    database: str
    id: str
    tick: float
    saga: Saga
    clock: Clock

    def attributes(self) -> dict[str, str]:
        """The root span's attributes."""
        return {
            "quaywatch.probe": self.task.probe.name,
            "quaywatch.target": self.target.name,
            "quaywatch.run.id": self.id,
            **({"quaywatch.database": self.database} if self.database else {}),
            **SYNTHETIC,
        }

    async def carry_out(self, driver: Any, span: Span) -> RunRecord:
        """Go through the steps and write on the span and into a record how it went."""
        probe, options = self.task.probe, self.task.options
        started, began = self.clock.time(), self.clock.monotonic()
        verdict = await self.saga.carry_out(lambda tx: probe.run(driver, options, tx), within=self.task.deadline)
        duration = self.clock.monotonic() - began
        stamp(span, verdict)
        span.set_attribute("quaywatch.outcome", verdict.outcome.value)
        return self._record(verdict, started, duration, span)

    def _record(self, verdict: Verdict, started: float, duration: float, span: Span) -> RunRecord:
        trace_id = span.get_span_context().trace_id
        return RunRecord(
            target=self.target.name,
            probe=self.task.probe.name,
            run_id=self.id,
            tick=self.tick,
            started=started,
            duration=duration,
            outcome=verdict.outcome,
            reason=verdict.reason,
            failed_step=self.saga.failed_step if verdict.reason else "",
            message=verdict.message,
            steps=tuple(self.saga.records),
            trace_id=format_trace_id(trace_id) if trace_id else "",
        )

    async def unwind(self, meter: Meter) -> None:
        """Undo, and say what could not be undone."""
        try:
            await self.saga.unwind(within=self.task.probe.undo_within)
        finally:
            names = (self.target.name, self.task.probe.name)
            meter.add(catalogue.PROBE_UNDO_FAILURES, len(self.saga.undo_failures), *names)
            for failure in self.saga.undo_failures:
                log.warning("undo failed", target=names[0], probe=names[1], run_id=self.id, message=failure.message)


def _count(record: RunRecord, meter: Meter) -> None:
    names = (record.target, record.probe)
    meter.add(catalogue.PROBE_RUNS, 1, *names, record.outcome)
    meter.set(catalogue.PROBE_LAST_RUN_TIME, record.started, *names)
    for step in record.steps:
        if step.ok:
            meter.record(catalogue.PROBE_STEP_DURATION, step.duration, *names, step.name)
    if record.reason is not None:
        meter.add(catalogue.PROBE_FAILURES, 1, *names, record.failed_step, record.reason)
    if record.outcome is Outcome.INVALID:  # it measured nothing, and what was measured before is no longer so
        meter.clear(catalogue.PROBE_SUCCESS, *names)
    else:
        meter.set(catalogue.PROBE_SUCCESS, float(record.outcome is Outcome.SUCCESS), *names)
    if record.outcome is Outcome.SUCCESS:
        meter.record(catalogue.PROBE_DURATION, record.duration, *names)
        meter.set(catalogue.PROBE_LAST_SUCCESS_TIME, record.started, *names)


def _log(record: RunRecord) -> None:
    failed = {"step": record.failed_step, "reason": record.reason, "message": record.message} if record.reason else {}
    getattr(log, _LEVELS[record.outcome])(
        "probe run",
        target=record.target,
        probe=record.probe,
        run_id=record.run_id,
        outcome=record.outcome,
        duration=round(record.duration, 3),
        trace_id=record.trace_id,
        **failed,
    )
