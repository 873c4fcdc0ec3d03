"""Blocking calls of the SDK, which keep no promise about time, made bearable."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


async def bounded(call: Callable[[], object], within: float) -> bool:
    """Whether a blocking call came back without an error within so many seconds.

    It runs in a daemon thread, which neither the loop's end nor the process's waits for.
    """
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    errors: list[Exception] = []

    def run() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - somebody else's code; that it failed is all that counts
            errors.append(error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name="telemetry flush", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await done.wait()
    return done.is_set() and not errors
