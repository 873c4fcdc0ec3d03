"""One reading: an exporter run on a target, published whole or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from quaywatch.clock import Clock
from quaywatch.contract import Driver, ExporterTask, Meter, Reason, Sample, Target
from quaywatch.drivers.deadline import deadline
from quaywatch.errors import QuaywatchError, TargetError
from quaywatch.runtime.catalogue import (
    CARDINALITY_DROPPED,
    SCRAPE_DURATION,
    SCRAPE_ERROR,
    SCRAPE_SAMPLES,
    SCRAPE_SUCCESS,
    TARGET_UP,
)

from .store import Published, Source, Store

_log = structlog.get_logger(__name__)

PING = "ping"
"""The name under which the connection itself is accounted for among the exporters."""


class Collection:
    """Runs exporters and pings, and accounts for each: whether it succeeded, how long it took, why it failed.

    ``on_state(target, up, reason, message)`` hears of every ping.
    """

    def __init__(
        self,
        store: Store,
        meter: Meter,
        clock: Clock,
        *,
        on_state: Callable[[str, bool, Reason | None, str], None] = lambda *_: None,
    ) -> None:
        self._store = store
        self._meter = meter
        self._clock = clock
        self._on_state = on_state
        self._failing: dict[Source, Reason] = {}

    def announce(self, target: str, *exporters: str) -> None:
        """Start the error counters of these exporters at 0, so that the first error counts."""
        for exporter in exporters:
            for reason in Reason:
                self._meter.add(SCRAPE_ERROR, 0, target, exporter, reason)

    async def ping(self, target: Target, driver: Driver, within: float) -> None:
        """Say whether the target is up: always 0 or 1, and the reason of a 0 among the errors."""
        source = Source(target.name, PING)
        try:
            async with deadline(within, f"{target.name}: ping"):
                await driver.ping()
        except Exception as error:  # noqa: BLE001 - a task's border: whatever it was, the target's state is said
            self._meter.set(TARGET_UP, 0, target.name, target.kind)
            self._on_state(target.name, False, self.count(source, error), _message(error))  # noqa: FBT003 - it is what it is about
            return
        self._meter.set(TARGET_UP, 1, target.name, target.kind)
        self.recovered(source)
        self._on_state(target.name, True, None, "")  # noqa: FBT003 - as above

    async def read(
        self,
        task: ExporterTask,
        driver: Any,
        source: Source,
        state: Any,
        *,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> Reason | None:
        """Run an exporter once and publish what it read, or withdraw what it read before.

        Args:
            task: the exporter with its options and times.
            driver: what it reads from.
            source: whose reading it is.
            state: the exporter's own memory.
            prepare: awaited first, as a part of the reading: it shares the deadline, and its failure is the reading's.

        Returns:
            Why it failed, or None. A run that is cancelled changes nothing.
        """
        began = self._clock.monotonic()
        try:
            samples = await _collected(task, driver, source, state, prepare)
            published = self._store.publish(source, samples, read_at=began, every=task.every)
        except Exception as error:  # noqa: BLE001 - a task's border: a defect in one exporter must not reach another
            self.unread(source, self._clock.monotonic() - began)
            return self.count(source, error)
        self._succeeded(source, published, self._clock.monotonic() - began)
        return None

    def unread(self, source: Source, duration: float) -> None:
        """Withdraw what a source read before, after ``duration`` seconds of trying to read it anew."""
        who = (source.target, source.exporter, source.database)
        self._store.withdraw(source)
        self._meter.set(SCRAPE_SUCCESS, 0, *who)
        self._meter.set(SCRAPE_DURATION, duration, *who)
        self._meter.clear(SCRAPE_SAMPLES, *who)

    def count(self, source: Source, error: Exception) -> Reason:
        """Count an error; it is logged when it is not that of the last time."""
        reason = error.reason if isinstance(error, TargetError) else Reason.INTERNAL
        self._meter.add(SCRAPE_ERROR, 1, source.target, source.exporter, reason)
        if self._failing.get(source) is not reason:
            self._failing[source] = reason
            _log.warning(
                "cannot be read", **_words(source), reason=reason, error=_message(error), exc_info=_trace(error)
            )
        return reason

    def recovered(self, source: Source) -> None:
        """Say in the log that an error is over, if there was one."""
        if self._failing.pop(source, None):
            _log.info("can be read again", **_words(source))

    def end(self, source: Source) -> None:
        """End everything that is said of a source."""
        self._store.end(source)
        self._failing.pop(source, None)
        for metric in (SCRAPE_SUCCESS, SCRAPE_DURATION, SCRAPE_SAMPLES):
            self._meter.clear(metric, source.target, source.exporter, source.database)

    def forget(self, target: str) -> None:
        """End everything that is read from a target; its own numbers are the meter's."""
        self._store.forget(target)
        for source in [source for source in self._failing if source.target == target]:
            del self._failing[source]

    def _succeeded(self, source: Source, published: Published, duration: float) -> None:
        who = (source.target, source.exporter, source.database)
        self._meter.set(SCRAPE_SUCCESS, 1, *who)
        self._meter.set(SCRAPE_DURATION, duration, *who)
        self._meter.set(SCRAPE_SAMPLES, published.samples, *who)
        self.recovered(source)
        if published.duplicates:
            self._meter.add(SCRAPE_ERROR, 1, source.target, source.exporter, Reason.INTERNAL)
            _log.error("an exporter read a series twice", **_words(source), duplicates=published.duplicates)
        for metric, dropped in published.dropped.items():
            self._meter.add(CARDINALITY_DROPPED, dropped, source.target, metric)


async def _collected(
    task: ExporterTask, driver: Any, source: Source, state: Any, prepare: Callable[[], Awaitable[None]] | None
) -> list[Sample]:
    """The whole reading; half of one is none.

    Raises:
        TargetError: when the target failed or the deadline passed.
    """
    async with deadline(task.deadline, f"{source.target}: {source.exporter}"):
        if prepare is not None:
            await prepare()
        return [sample async for sample in task.exporter.collect(driver, task.options, state)]


def _message(error: Exception) -> str:
    """What may be said of an error: the text of an unexpected one may hold anything."""
    return str(error) if isinstance(error, QuaywatchError) else f"a defect of the agent: {type(error).__name__}"


def _trace(error: Exception) -> Exception | None:
    return None if isinstance(error, TargetError) else error


def _words(source: Source) -> dict[str, str]:
    words = {"target": source.target, "exporter": source.exporter, "database": source.database}
    return {name: word for name, word in words.items() if word}
