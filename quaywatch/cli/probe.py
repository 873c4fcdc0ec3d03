"""``quaywatch probe``: one run now, step by step; it counts nowhere."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, replace
from typing import Any, Final

from opentelemetry.trace import NoOpTracer

from otel_config.structured import configure_logging
from quaywatch.clock import SystemClock
from quaywatch.config import Settings
from quaywatch.contract import Outcome, ProbeTask, Transaction
from quaywatch.drivers.browser import WarmBrowser
from quaywatch.errors import ConfigError
from quaywatch.runtime.evidence import Investigator
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import RunRecord, run_probe

from .browsing import plan_browser
from .flows import FlowOnTarget, flows_of
from .loop import run
from .plan import plan_evidence
from .session import settings_of
from .terminal import Console

EXIT_CODES: Final[Mapping[Outcome, int]] = {
    Outcome.SUCCESS: 0,
    Outcome.FAILURE: 1,
    Outcome.CLEANUP_FAILED: 1,
    Outcome.INVALID: 2,
}
_MOODS: Final[Mapping[Outcome, str]] = {
    Outcome.SUCCESS: "good",
    Outcome.FAILURE: "bad",
    Outcome.CLEANUP_FAILED: "doubtful",
    Outcome.INVALID: "doubtful",
}


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Run the probe once.

    Returns:
        0 for success, 1 for a failure of the system, also one to undo, 2 when the run could not judge it.

    Raises:
        ConfigError: when it is not told what to run where.
    """
    settings = settings_of(arguments.config, environ)
    configure_logging("error", "console", console.err)
    browser = plan_browser(settings, headed=arguments.headed)
    flows = flows_of(settings, arguments, browser, in_browser=arguments.browser or arguments.headed)
    if len(flows) > 1:
        names = ", ".join(flow.watched.target.name for flow in flows)
        raise ConfigError(f"{arguments.flow} runs on several targets", remedy=f"choose one with --target: {names}")
    record = run(_run(flows[0], settings, console, browser, told=not arguments.json))
    if arguments.json:
        console.json(asdict(record))
    else:
        _tell_end(record, console)
    return EXIT_CODES[record.outcome]


async def _run(
    flow: FlowOnTarget, settings: Settings, console: Console, browser: WarmBrowser, *, told: bool
) -> RunRecord:
    """One attempt, with a meter that nobody reads and a tracer that records nothing."""
    task = replace(flow.task, attempts=1)
    clock = SystemClock()
    driver = flow.watched.open()
    try:
        return await run_probe(
            _narrated(task, console) if told else task,
            driver,
            target=flow.watched.target,
            tick=time.time(),
            installation=settings.installation,
            meter=Instruments(settings.environment, clock),
            tracer=NoOpTracer(),
            clock=clock,
            on_suspicion=Investigator(plan_evidence(settings)),
        )
    finally:
        await driver.close()
        await browser.close()


def _narrated(task: ProbeTask, console: Console) -> ProbeTask:
    """The same task, which says on the terminal what it does while it does it."""
    probe = task.probe

    async def run(driver: Any, options: Any, transaction: Transaction) -> None:
        await probe.run(driver, options, _Narrated(transaction, console))

    return replace(task, probe=replace(probe, run=run))


class _Narrated:
    """A transaction that tells each step and each undo."""

    def __init__(self, transaction: Transaction, console: Console) -> None:
        self._transaction = transaction
        self._console = console

    @property
    def mark(self) -> str:
        return self._transaction.mark

    def step(self, name: str, *, waits: bool = False) -> AbstractAsyncContextManager[None]:
        return self._told(name, self._transaction.step(name, waits=waits))

    def undo(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        async def told_action() -> None:
            async with self._told(f"undo: {name}"):
                await action()

        self._transaction.undo(name, told_action)

    @asynccontextmanager
    async def _told(self, name: str, step: AbstractAsyncContextManager[None] | None = None) -> AsyncIterator[None]:
        began = time.monotonic()
        try:
            if step is None:
                yield
            else:
                async with step:
                    yield
        except BaseException:
            self._line(name, began, "failed", "bad")
            raise
        self._line(name, began, "ok", "good")

    def _line(self, name: str, began: float, word: str, mood: str) -> None:
        took = (time.monotonic() - began) * 1000
        self._console.say(f"  {name:<24} {took:>7.0f} ms  {self._console.painted(word, mood)}")


def _tell_end(record: RunRecord, console: Console) -> None:
    console.say(f"{record.probe} on {record.target}: {record.outcome}", _MOODS[record.outcome])
    if record.outcome is not Outcome.SUCCESS:
        undoing = record.outcome is Outcome.CLEANUP_FAILED
        where = "undo" if undoing else record.failed_step or "before the first step"
        console.say(f"  {where}: {record.message} [{record.reason}]")
    if record.evidence is not None:
        console.say(f"  likely cause: {record.evidence.cause} ({record.evidence.confidence:.0%})")
        for sentence in record.evidence.sentences:
            console.say(f"    {sentence}")
