"""What became of batches of spans and logs, which the SDK sends from threads of its own."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from quaywatch.clock import Clock
from quaywatch.contract import Meter

from .catalogue import EXPORT_BATCHES, LAST_SUCCESS


@dataclass(slots=True, eq=False)
class Outcomes:
    """Counts one signal's exports; may be told from any thread, tells the meter on the loop it was made on.

    The SDK gives up a batch that it could not send, for whatever reason: that counts as ``outage``.
    """

    signal: Literal["traces", "logs"]
    meter: Meter
    clock: Clock
    failures: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def exported(self, *, success: bool) -> None:
        """One batch was sent, or given up."""
        self.failures += not success
        with suppress(RuntimeError):  # the loop is closed: nobody reads the meter any more
            self._loop.call_soon_threadsafe(self._count, success)

    def _count(self, success: bool) -> None:  # noqa: FBT001 - handed over by the loop, which passes positions only
        self.meter.add(EXPORT_BATCHES, 1, self.signal, "sent" if success else "outage")
        if success:
            self.meter.set(LAST_SUCCESS, self.clock.time(), self.signal)
