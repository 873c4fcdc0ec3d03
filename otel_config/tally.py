"""What became of one signal's batches, and of what was in them, told to the meter."""

from dataclasses import dataclass

from quaywatch.clock import Clock
from quaywatch.contract import Meter

from .catalogue import BATCH_OUTCOMES, EXPORT_BATCHES, ITEM_OUTCOMES, ITEMS, LAST_SUCCESS, QUEUE_AGE, QUEUE_SIZE, Signal


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Counts batches and items, which are points, spans or records of the log. Not for other threads than the loop's.

    Every outcome is counted from 0, so that the first failure is seen as an increase.
    """

    signal: Signal
    meter: Meter
    clock: Clock

    def __post_init__(self) -> None:
        for outcome in BATCH_OUTCOMES:
            self._batches(0, outcome)
        for outcome in ITEM_OUTCOMES:
            self._items(0, outcome)

    def sent(self, items: int, rejected: int) -> None:
        """The back end took a batch, all but so many of its items."""
        self._batches(1, "partial" if rejected else "sent")
        self._items(rejected, "rejected")
        self._items(items - rejected, "sent")
        self.meter.set(LAST_SUCCESS, self.clock.time(), self.signal)

    def poisoned(self, items: int) -> None:
        """A batch was dropped, since it would be refused for ever or cannot be read."""
        self._batches(1, "poison")
        self._items(items, "poison")

    def failed(self) -> None:
        """An attempt failed; the batch waits."""
        self._batches(1, "outage")

    def overflowed(self, items: int) -> None:
        """A batch was pushed out by newer ones."""
        self._batches(1, "overflow")
        self._items(items, "overflow")

    def missed(self, items: int) -> None:
        """Items came faster than they could be encoded, and are in no batch; they count as one all the same."""
        self.overflowed(items)

    def invalid(self) -> None:
        """An item cannot be encoded, or is larger than a batch may be."""
        self._items(1, "invalid")

    def waiting(self, size: int, age: float) -> None:
        """So many bytes wait, the oldest of them for so many seconds."""
        self.meter.set(QUEUE_SIZE, size, self.signal)
        self.meter.set(QUEUE_AGE, age, self.signal)

    def _batches(self, count: int, outcome: str) -> None:
        self.meter.add(EXPORT_BATCHES, count, self.signal, outcome)

    def _items(self, count: int, outcome: str) -> None:
        self.meter.add(ITEMS[self.signal], count, outcome)
