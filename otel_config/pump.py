"""What every signal's way out has in common: now and then a look at what there is to say, which is queued and sent."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from quaywatch.clock import Clock

from .catalogue import Signal
from .encoding import Batch
from .own_log import log
from .queue import BatchQueue
from .sender import Sender

# Of the time to close, what is left for letting go after the last attempt to deliver.
_LET_GO = 0.5


class Source(Protocol):
    """What there is to say. Batches are given one by one: encoding holds the loop for no longer than one takes."""

    def batches(self) -> Iterator[Batch]:
        """What is to leave now."""
        ...

    def ending(self) -> Iterator[Batch]:
        """What is to leave last, for an agent that will not come back with the same resource."""
        ...


class Pump:
    """Exports a source every ``interval`` seconds. A slow or dead back end delays no export, only its delivery."""

    def __init__(
        self, signal: Signal, source: Source, queue: BatchQueue, sender: Sender, interval: float, clock: Clock
    ) -> None:
        self._signal = signal
        self._source = source
        self._queue = queue
        self._sender = sender
        self._interval = interval
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take over what waits on the disk. Raises ConfigError when the spool cannot be used."""
        await self._queue.open()

    def start(self) -> None:
        """Begin, once it is open."""
        self._sender.start()
        self._task = asyncio.create_task(self._run(), name=f"pump of {self._signal}")

    async def flush(self, within: float) -> bool:
        """Export now; whether everything was delivered (or refused for good) within so many seconds."""
        return await self._flush(self._source.batches(), within)

    async def close(self, within: float, *, end_series: bool = False) -> None:
        """Export a last time and stop, within so many seconds in any case.

        ``end_series`` ends every series at the back end: for an agent that will not come back with the same resource.
        What waits stays in the spool, where there is one, and is lost otherwise.
        """
        end = self._clock.monotonic() + max(0.0, within - _LET_GO)
        try:
            await self._stop_ticking(end)
            last = self._source.ending() if end_series else self._source.batches()
            await self._flush(last, max(0.0, end - self._clock.monotonic()))
        finally:
            await self.let_go()

    async def let_go(self) -> None:
        """Stop at once; what waits stays in the spool, where there is one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LET_GO):
                await self._sender.close()
        if len(self._queue) and not self._queue.survives:
            log.error(f"{self._signal} were not delivered before the stop", batches=len(self._queue))
        self._queue.close()

    async def _run(self) -> None:
        due = self._clock.monotonic()
        while True:
            try:
                await self._export(self._source.batches())
            except Exception:  # noqa: BLE001 - the border of this task: one export that fails is not the end of exporting
                log.exception(f"an export of {self._signal} failed for a defect of the agent")
            # A tick that was missed is not made up for.
            due = max(due + self._interval, self._clock.monotonic())
            await self._clock.sleep(due - self._clock.monotonic())

    async def _export(self, batches: Iterable[Batch]) -> None:
        async with self._one_at_a_time:
            for batch in batches:
                await self._queue.put(batch)
                # Encoding holds the loop for one batch at a time.
                await asyncio.sleep(0)
            self._queue.tell()

    async def _flush(self, batches: Iterable[Batch], within: float) -> bool:
        end = self._clock.monotonic() + within
        try:
            async with asyncio.timeout(within):
                await self._export(batches)
        except TimeoutError:
            return False
        return await self._sender.flush(max(0.0, end - self._clock.monotonic()))

    async def _stop_ticking(self, end: float) -> None:
        """Between two exports, if that comes in time: a batch that is cut off half-way to the queue would be lost."""
        if self._task is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, end - self._clock.monotonic())), self._one_at_a_time:
                self._task.cancel()
        self._task.cancel()
        await asyncio.wait([self._task])
