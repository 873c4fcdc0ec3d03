"""Empties the queue into a back end, one batch after the other."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from quaywatch.clock import Clock

from .outcome import DOUBTFUL_TRIES, Failed, Failure, Outcome, Sent
from .own_log import Once, log
from .queue import BatchQueue, Waiting
from .tally import Tally
from .transport import Transport

_LONGEST_ASKED: Final = 300.0


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait after an attempt that failed, in seconds: ``first``, then twice as long each time."""

    first: float = 1.0
    longest: float = 30.0
    refused: float = 60.0
    chance: Callable[[], float] = random.random

    def after(self, failures: int, failed: Failed) -> float:
        """The pause after so many failures in a row: what the server asked for, else half fixed and half by chance."""
        if failed.retry_after is not None:
            return min(failed.retry_after, _LONGEST_ASKED)
        if failed.failure is Failure.REFUSED:
            return self.refused
        pause = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return pause * (0.5 + self.chance() / 2)


class Sender:
    """One task that sends what waits, oldest first, and keeps what cannot be sent yet.

    A batch leaves the queue when the back end took it, or refused it for good; see `outcome`.
    """

    def __init__(
        self, transport: Transport, queue: BatchQueue, tally: Tally, clock: Clock, back_off: BackOff | None = None
    ) -> None:
        self._transport = transport
        self._queue = queue
        self._tally = tally
        self._clock = clock
        self._back_off = back_off or BackOff()
        self._failures = 0
        self._hurry = asyncio.Event()
        self._once = Once()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to empty the queue."""
        self._task = asyncio.create_task(self._drain(), name=f"sender of {self._tally.signal}")

    async def flush(self, within: float) -> bool:
        """Try now instead of waiting for the back-off; whether the queue was empty within so many seconds."""
        self._hurry.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._queue.drained()
        finally:
            self._hurry.clear()
        return len(self._queue) == 0

    async def close(self) -> None:
        """Stop at once, whatever waits, and let go of the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._transport.close()

    async def _drain(self) -> None:
        while True:
            waiting = await self._queue.head()
            try:
                await self._deliver(waiting)
            finally:
                self._queue.release()

    async def _deliver(self, waiting: Waiting) -> None:
        payload = await self._queue.payload(waiting)
        if payload is None:
            await self._drop(waiting)
            return
        outcome = await self._attempt(payload)
        if isinstance(outcome, Sent):
            await self._taken(waiting, outcome)
        elif outcome.failure is Failure.POISON or self._given_up(waiting, outcome):
            if self._once.first(outcome.why):
                log.error(f"the back end refuses a batch of {self._tally.signal}; it is dropped", answer=outcome.why)
            await self._drop(waiting)
        else:
            await self._keep(outcome)

    async def _attempt(self, payload: bytes) -> Outcome:
        try:
            return await self._transport.send(payload)
        except Exception as error:  # noqa: BLE001 - the border of this task: a defect must not end the export
            log.exception("a batch could not be sent for a defect of the agent")
            return Failed(Failure.DOUBTFUL, f"a defect of the agent: {type(error).__name__}")

    @staticmethod
    def _given_up(waiting: Waiting, failed: Failed) -> bool:
        if failed.failure is Failure.DOUBTFUL:
            waiting.tries += 1
        return waiting.tries >= DOUBTFUL_TRIES

    async def _taken(self, waiting: Waiting, sent: Sent) -> None:
        if self._failures:
            waits = len(self._queue) - 1
            log.info(f"{self._tally.signal} are sent again", failed_attempts=self._failures, batches_waiting=waits)
        self._failures = 0
        rejected = min(sent.rejected, waiting.items)
        self._tally.sent(waiting.items, rejected)
        if (rejected or sent.message) and self._once.first(sent.message):
            told = f"the back end took {self._tally.signal} with reservations"
            log.warning(told, rejected=rejected, answer=sent.message)
        await self._queue.remove(waiting)

    async def _drop(self, waiting: Waiting) -> None:
        self._tally.poisoned(waiting.items)
        await self._queue.remove(waiting)

    async def _keep(self, failed: Failed) -> None:
        self._queue.release()
        self._tally.failed()
        self._failures += 1
        pause = self._back_off.after(self._failures, failed)
        self._complain(failed)
        await self._pause(pause)

    def _complain(self, failed: Failed) -> None:
        if failed.failure is Failure.REFUSED:
            if self._failures == 1 or self._once.first(failed.why):
                told = f"the back end refuses us; {self._tally.signal} wait until credentials or endpoint are mended"
                log.error(told, answer=failed.why)
        elif self._failures == 1:
            log.warning(f"{self._tally.signal} cannot be sent; they wait", answer=failed.why)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until somebody is in a hurry."""
        nap = asyncio.ensure_future(self._clock.sleep(seconds))
        hurry = asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait((nap, hurry), return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()
            hurry.cancel()
        self._hurry.clear()
