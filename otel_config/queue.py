"""Batches that wait to be sent: in order, bounded by bytes, in memory or on disk.

Delivery is at least once: an agent that is killed between a back end's yes and the file's end sends that batch again.
"""

import asyncio
import gzip
import zlib
from dataclasses import dataclass
from typing import Final

from quaywatch.clock import Clock

from .encoding import Batch
from .own_log import Once, log
from .spool import Spool, Stored
from .tally import Tally

QUEUE_BYTES: Final = 64 * 2**20


@dataclass(slots=True, eq=False)
class Waiting:
    """A batch in the queue: in memory, or ``stored`` on disk. ``tries`` counts attempts that were in doubt."""

    items: int
    made: float
    size: int
    payload: bytes = b""
    stored: Stored | None = None
    tries: int = 0


class BatchQueue:
    """First in, first out. What does not fit pushes out the oldest, which is counted.

    Args:
        limit: the most bytes that wait, as compressed.
        tally: where overflow, size and age are told.
        clock: what tells the age.
        spool: keeps the batches on disk when given; memory takes what the disk refuses.
    """

    def __init__(self, limit: int, tally: Tally, clock: Clock, spool: Spool | None = None) -> None:
        self._limit = limit
        self._tally = tally
        self._clock = clock
        self._spool = spool
        self._waiting: dict[int, Waiting] = {}
        self._next = 0
        self._size = 0
        self._held: Waiting | None = None
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()
        self._once = Once()

    async def open(self) -> None:
        """Take over what an earlier agent left in the spool. Raises ConfigError when the spool cannot be used."""
        if self._spool is None:
            return
        for stored in await asyncio.to_thread(self._spool.open):
            self._append(Waiting(stored.items, stored.made, stored.size, stored=stored), stored.number)
        await self._make_room()

    async def put(self, batch: Batch) -> None:
        """Queue a batch; the oldest ones go when it would not fit."""
        number = self._next
        self._next += 1
        self._append(await self._kept(number, batch), number)
        await self._make_room()

    async def head(self) -> Waiting:
        """The oldest batch, as soon as there is one. It stays, and is not pushed out, until `remove` or `release`."""
        await self._some.wait()
        self._held = next(iter(self._waiting.values()))
        return self._held

    async def payload(self, waiting: Waiting) -> bytes | None:
        """The request of a batch, no longer compressed; None when the disk has lost or damaged it."""
        try:
            return gzip.decompress(await self._compressed(waiting))
        except (OSError, EOFError, zlib.error) as error:
            if self._once.first("damaged"):
                log.warning("a spooled batch is damaged; it is skipped", problem=str(error))
            return None

    async def remove(self, waiting: Waiting) -> None:
        """The batch is done with, whatever became of it. The queue is drained only when the disk is, too."""
        await self._delete(waiting)
        self.release()
        self._forget(waiting)

    def release(self) -> None:
        """The head was not delivered: it waits on, like the others."""
        self._held = None

    async def drained(self) -> None:
        """Wait until nothing waits."""
        await self._none.wait()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    @property
    def survives(self) -> bool:
        """Whether what waits is found again by the next agent."""
        return self._spool is not None

    def tell(self) -> None:
        """Bring the size and the age of the queue up to date."""
        oldest = next(iter(self._waiting.values()), None)
        self._tally.waiting(self._size, max(0.0, self._clock.time() - oldest.made) if oldest else 0.0)

    def close(self) -> None:
        """Let go of the spool; what waits there stays."""
        if self._spool is not None:
            self._spool.close()

    def _append(self, waiting: Waiting, number: int) -> None:
        self._waiting[number] = waiting
        self._next = max(self._next, number + 1)
        self._size += waiting.size
        self._some.set()
        self._none.clear()
        self.tell()

    def _forget(self, waiting: Waiting) -> None:
        number = next((number for number, one in self._waiting.items() if one is waiting), None)
        if number is None:
            return
        del self._waiting[number]
        self._size -= waiting.size
        if not self._waiting:
            self._some.clear()
            self._none.set()
        self.tell()

    async def _kept(self, number: int, batch: Batch) -> Waiting:
        in_memory = Waiting(batch.items, batch.made, len(batch.payload), payload=batch.payload)
        if self._spool is None:
            return in_memory
        try:
            stored = await asyncio.to_thread(self._spool.write, number, batch)
        except OSError as error:
            if self._once.first(f"disk {error.errno}"):
                log.error("the spool takes no batch; it waits in memory", problem=error.strerror)
            return in_memory
        return Waiting(batch.items, batch.made, stored.size, stored=stored)

    async def _compressed(self, waiting: Waiting) -> bytes:
        if self._spool is None or waiting.stored is None:
            return waiting.payload
        return await asyncio.to_thread(self._spool.read, waiting.stored)

    async def _delete(self, waiting: Waiting) -> None:
        if self._spool is None or waiting.stored is None:
            return
        try:
            await asyncio.to_thread(self._spool.delete, waiting.stored)
        except OSError as error:
            if self._once.first(f"delete {error.errno}"):
                log.error("a spooled batch cannot be deleted; it will be sent again", problem=error.strerror)

    async def _make_room(self) -> None:
        while self._size > self._limit:
            oldest = next((one for one in self._waiting.values() if one is not self._held), None)
            if oldest is None:
                return
            self._tally.overflowed(oldest.items)
            if self._once.first("overflow"):
                log.error(f"the queue of {self._tally.signal} is full; the oldest are dropped", limit=self._limit)
            self._forget(oldest)
            await self._delete(oldest)
