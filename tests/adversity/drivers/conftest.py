"""Servers that misbehave on purpose, on loopback, in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
import pytest_asyncio

from sandbox.process import free_port

Listen = Callable[..., Awaitable[int]]
"""``await listen(*replies, cut=False)``: the port of a server that answers what it reads with these, one after the
other, and then says no more, or cuts the line."""


@pytest_asyncio.fixture
async def listen() -> AsyncIterator[Listen]:
    """A maker of servers that fall silent or cut the line.

    At the end every client has let go of its connection: otherwise the server's tasks are left behind and found.
    """
    servers: list[asyncio.Server] = []

    async def start(*replies: bytes, cut: bool = False) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _talk(reader, writer, replies, cut=cut)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: Sequence[bytes], *, cut: bool
) -> None:
    try:
        for reply in replies:
            await reader.read(65536)
            writer.write(reply)
        while not cut and await reader.read(65536):
            pass
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
def refused_port() -> int:
    """A loopback port nobody listens on."""
    return free_port()
