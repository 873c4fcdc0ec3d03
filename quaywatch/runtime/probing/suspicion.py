"""Why a step is slow or fails, asked while the cause is still there.

Whoever can tell is asked beside the steps: the asking has a time budget of its own, and whatever becomes of it, no step
is delayed, none fails for it, and undoing begins at once. What is found goes onto the step's span, into the run's
record and its log line, and onto a counter.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import structlog
from opentelemetry.trace import Span

from quaywatch.clock import Clock
from quaywatch.contract import Reason

log: Any = structlog.get_logger()

ASK_WITHIN: Final = 3.0
"""Seconds that the asking about one step may take."""
EVENT: Final = "quaywatch.evidence"
"""The event on a step's span that bears what was found."""


class Cause(StrEnum):
    """What made a step slow or fail: the values of the attribute ``cause``."""

    LOCK_WAIT = "lock_wait"
    """The step's session waits for somebody's lock."""
    DB_DOWN = "db_down"
    DB_SATURATED = "db_saturated"
    """No connections or no workers are left."""
    DB_SLOW = "db_slow"
    ODOO_DOWN = "odoo_down"
    ODOO_ERROR = "odoo_error"
    ODOO_WORKERS_BUSY = "odoo_workers_busy"
    QUEUE_STALLED = "queue_stalled"
    REDIS = "redis"
    LABEL_ENGINE = "label_engine"
    EDGE = "edge"
    """The proxy in front."""
    AUTH = "auth"
    NETWORK = "network"
    UNKNOWN = "unknown"
    """It was looked, and nothing was found."""


class Trigger(StrEnum):
    """What made a step suspicious."""

    SLOW = "slow"
    """It is still running after the time that the probe's ``suspect_after`` grants it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What all steps of a run have in common; every record of the run bears the ``mark``."""

    target: str
    probe: str
    database: str
    run_id: str
    mark: str


NO_CASE: Final = Case(target="", probe="", database="", run_id="", mark="")
"""For steps that nobody asks about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A step that is slow or failed.

    ``since`` is the Unix time at which it began, ``elapsed`` the seconds since. ``reason`` and ``message`` tell how it
    failed; they are None and empty while it runs. The message holds no secret and no datum. ``waits`` is whether the
    step looked, again and again, for what others were to do.
    """

    case: Case
    step: str
    trigger: Trigger
    since: float
    elapsed: float
    reason: Reason | None = None
    message: str = ""
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found: a cause, how sure it is (0 to 1), and sentences for people, without secrets and data."""

    cause: Cause
    confidence: float
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Evidence and the step it is about."""

    step: str
    trigger: Trigger
    evidence: Evidence


OnSuspicion = Callable[[Suspicion], Awaitable[Evidence | None]]
"""Is asked about a suspicious step; None when there is nothing to say. May be cancelled at any time."""


def leading(findings: Sequence[Finding], failed_step: str) -> Finding | None:
    """The finding that speaks for the run: about the step that failed before others, then the surest one."""
    return max(findings, key=lambda one: (one.step == failed_step, one.evidence.confidence), default=None)


class Inquiry:
    """Asks about the suspicious steps of one run.

    Args:
        ask: who can tell; None when nobody can.
        case: the run.
        after: seconds after which a running step is suspicious.
        clock: whose time of day and monotonic time the suspicions bear.
    """

    def __init__(self, ask: OnSuspicion | None, case: Case, *, after: float, clock: Clock) -> None:
        self._ask = ask
        self._case = case
        self._after = after
        self._clock = clock
        self._asking: set[asyncio.Task[None]] = set()
        self._findings: list[Finding] = []
        self._held: list[tuple[Span, int]] = []

    @contextmanager
    def about(self, step: str, span: Span, *, waits: bool = False) -> Iterator[Doubt]:
        """Watch a step while it runs; its span is ended here, or with its own end time once the answers are there.

        One that ``waits`` is asked about when it fails alone.
        """
        doubt = Doubt(self._ask_about, step, span, self._clock, waits=waits)
        timer = None if waits else asyncio.get_running_loop().call_later(self._after, doubt.slow)
        try:
            yield doubt
        finally:
            if timer is not None:
                timer.cancel()
            if doubt.asked:
                self._held.append((span, time.time_ns()))
            else:
                span.end()

    async def findings(self) -> tuple[Finding, ...]:
        """Everything that was found, as soon as it is known, `ASK_WITHIN` seconds from now at most."""
        clock = asyncio.get_running_loop().time
        end = clock() + ASK_WITHIN
        while self._asking and clock() < end:  # an answer that knows nothing may bring up the next question
            await asyncio.wait(self._asking, timeout=end - clock())
        self.end()
        return tuple(self._findings)

    def end(self) -> None:
        """Ask no longer, and end the spans that waited for answers."""
        for asking in self._asking:
            asking.cancel()
        for span, ended in self._held:
            span.end(ended)
        self._held.clear()

    def _ask_about(self, doubt: Doubt, trigger: Trigger, reason: Reason | None, message: str) -> None:
        if self._ask is None:
            return
        doubt.asked = True
        suspicion = Suspicion(
            case=self._case,
            step=doubt.step,
            trigger=trigger,
            since=doubt.since,
            elapsed=self._clock.monotonic() - doubt.began,
            reason=reason,
            message=message,
            waits=doubt.waits,
        )
        asking = asyncio.create_task(self._answer(self._ask, doubt, suspicion, time.time_ns()))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _answer(self, ask: OnSuspicion, doubt: Doubt, suspicion: Suspicion, asked: int) -> None:
        try:
            async with asyncio.timeout(ASK_WITHIN):
                evidence = await ask(suspicion)
        except Exception as error:  # noqa: BLE001 - a border: what cannot be told must not touch the run
            log.warning("no evidence", probe=self._case.probe, step=doubt.step, error=type(error).__name__)
            evidence = None
        doubt.settle(evidence)
        if evidence is not None:
            doubt.span.add_event(EVENT, _attributes(suspicion.trigger, evidence), timestamp=asked)
            self._findings.append(Finding(doubt.step, suspicion.trigger, evidence))


_Ask = Callable[["Doubt", Trigger, Reason | None, str], None]


class Doubt:
    """One step under watch. It is asked about once; when it fails, again, should nothing be known by then."""

    def __init__(self, ask: _Ask, step: str, span: Span, clock: Clock, *, waits: bool = False) -> None:
        self.step = step
        self.waits = waits
        self.span = span
        self.since = clock.time()
        self.began = clock.monotonic()
        self.asked = False
        """Whether somebody was asked about it."""
        self._ask = ask
        self._open = True
        """Whether an answer is wanted that nobody is looking for."""
        self._failure: tuple[Reason | None, str] | None = None
        """How it failed while somebody was still looking for why it is slow."""

    def slow(self) -> None:
        """It takes long."""
        self._doubt(Trigger.SLOW, None, "")

    def failed(self, reason: Reason | None, message: str) -> None:
        """It failed."""
        if not self._open:
            self._failure = (reason, message)
        self._doubt(Trigger.FAILED, reason, message)

    def settle(self, evidence: Evidence | None) -> None:
        """Take an answer; one that knows nothing leaves the question open."""
        self._open = evidence is None or evidence.cause is Cause.UNKNOWN
        if self._failure is not None:
            self._doubt(Trigger.FAILED, *self._failure)
            self._failure = None

    def _doubt(self, trigger: Trigger, reason: Reason | None, message: str) -> None:
        if self._open:
            self._open = False
            self._ask(self, trigger, reason, message)


def _attributes(trigger: Trigger, evidence: Evidence) -> dict[str, Any]:
    return {
        "quaywatch.trigger": trigger.value,
        "quaywatch.cause": evidence.cause.value,
        "quaywatch.cause.confidence": evidence.confidence,
        "quaywatch.evidence": list(evidence.sentences),
    }
