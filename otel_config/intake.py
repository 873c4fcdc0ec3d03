"""Spans and lines of the log between the moment they are said and the batch that they leave in."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar

from .encoding import BATCH_BYTES, Batch, compressed
from .tally import Tally

T = TypeVar("T")
AT_MOST: Final = 8192
"""Items between two exports; what is said beyond that is counted and lost. Only a loop that is held comes near it."""
CHUNK: Final = 200
"""Items that are encoded in one go, which is how long the loop is held."""


class Intake(Generic[T]):
    """Takes items from any thread, and gives them as batches to the loop.

    Args:
        encode: a request with these items.
        tally: where it is told what was lost.
        batch_bytes: the most bytes of a request before compression.
    """

    def __init__(self, encode: Callable[[Sequence[T]], bytes], tally: Tally, batch_bytes: int = BATCH_BYTES) -> None:
        self._encode = encode
        self._tally = tally
        self._batch_bytes = batch_bytes
        self._items: deque[T] = deque()
        self._missed: deque[None] = deque()

    def add(self, item: T) -> None:
        """Take one item; it never blocks and never fails."""
        if len(self._items) < AT_MOST:
            self._items.append(item)
        else:
            self._missed.append(None)

    def batches(self) -> Iterator[Batch]:
        """What came in since the last time. Each step is short: who drains it on a loop yields between two."""
        self._tell_missed()
        left = len(self._items)  # what comes in meanwhile is for the next time
        while left > 0:
            chunk = [self._items.popleft() for _ in range(min(CHUNK, left))]
            left -= len(chunk)
            yield from self._encoded(chunk)

    def ending(self) -> Iterator[Batch]:
        """The last ones: what was said has no end of its own."""
        return self.batches()

    def _encoded(self, items: Sequence[T]) -> Iterator[Batch]:
        """One batch, or several: a request that is too large, or that one item spoils, is halved until it is not."""
        try:
            payload = self._encode(items)
        except (TypeError, ValueError):
            payload = None
        if payload is not None and len(payload) <= self._batch_bytes:
            yield Batch(compressed(payload), len(items), self._tally.clock.time())
        elif len(items) > 1:
            half = len(items) // 2
            yield from self._encoded(items[:half])
            yield from self._encoded(items[half:])
        else:
            self._tally.invalid()

    def _tell_missed(self) -> None:
        if missed := len(self._missed):
            for _ in range(missed):
                self._missed.popleft()
            self._tally.missed(missed)
