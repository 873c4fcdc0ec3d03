"""How signals end the process."""

from __future__ import annotations

import asyncio
import os
import signal

from quaywatch.cli.run import Signals


async def test_a_stop_that_does_not_come_to_its_end_is_forced_and_is_no_success() -> None:
    """Work was cut off: whoever started the agent sees its own exit code for that, not 0."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    signals = Signals(loop, end=lambda code: loop.call_soon_threadsafe(ended.set_result, code), within=0.0)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(10):
        await signals.stopped()
        assert await ended == 3
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.remove_signal_handler(number)
