"""A TCP relay before a server, which can swallow everything as a broken network does."""

from __future__ import annotations

import asyncio


class Relay:
    """Passes bytes on in both directions while it is not ``dark``; in the dark it accepts, reads and says nothing."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.dark = False
        self.port = 0

    async def open(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut every line."""
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def lead_to(self, host: str, port: int) -> None:
        """Cut every line; new ones lead to another server."""
        self._upstream = (host, port)
        await self.cut()

    async def cut(self) -> None:
        """Cut every line that is open now."""
        cut = list(self._tasks)
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection(*self._upstream)
        except OSError:  # nobody listens behind it now
            writer.close()
            self._tasks.discard(task) if task else None
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back))
                group.create_task(self._pass(there, writer))
        except asyncio.CancelledError:
            pass  # told to cut the line
        finally:
            back.close()
            writer.close()
            self._tasks.discard(task) if task else None

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self.dark:
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            pass  # one side is gone, and so is the other then
        finally:
            writer.close()
