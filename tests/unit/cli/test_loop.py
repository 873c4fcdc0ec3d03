"""The loop of the commands, with name servers that answer when a test says so, or never."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from quaywatch.cli.loop import Addresses, LookUps, run

FOUND: Addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]
PATIENCE = 30.0


class NameServer:
    """Answers when it is told to; ``asked`` are the hosts, each as often as it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.speaks = threading.Event()

    def __call__(self, host: str, *_: Any) -> Addresses:
        """Blocks, as the system's own look-up does."""
        self.asked.append(host)
        self.speaks.wait()
        if self.error is not None:
            raise self.error
        return FOUND

    async def was_asked(self, times: int) -> None:
        """Wait until it was asked so often."""
        while len(self.asked) < times:  # noqa: ASYNC110 - it is asked from threads
            await asyncio.sleep(0)


@pytest.fixture
def server() -> Iterator[NameServer]:
    """One that says nothing until the end of the test."""
    server = NameServer()
    yield server
    server.speaks.set()


def test_look_ups_that_hang_hold_up_neither_threads_nor_the_end(server: NameServer) -> None:
    """Many more of them than the default executor has threads: work for threads is done, and the run ends."""

    async def main() -> str:
        asks = [asyncio.create_task(asyncio.get_running_loop().getaddrinfo(f"db{n}", 5432)) for n in range(40)]
        async with asyncio.timeout(PATIENCE):
            await server.was_asked(len(asks))
            return await asyncio.to_thread(lambda: "done")

    assert run(main(), server) == "done"
    assert not server.speaks.is_set()


def test_a_connection_is_made_to_what_was_found() -> None:
    """Names go to the look-up, and addresses of servers need none."""
    refused: list[Exception] = []

    def look_up(host: str, *_: Any) -> Addresses:
        raise socket.gaierror(socket.EAI_NONAME, host)

    async def main() -> None:
        for host in ("erp-db.example", "127.0.0.1"):
            try:
                await asyncio.open_connection(host, 1)
            except OSError as error:
                refused.append(error)

    run(main(), look_up)
    assert [type(error) for error in refused] == [socket.gaierror, ConnectionRefusedError]


def question(host: str) -> tuple[str, int, int, int, int, int]:
    """What is asked for a host."""
    return host, 80, 0, 0, 0, 0


async def test_who_asks_the_same_gets_the_same_answer(server: NameServer) -> None:
    """Also when whoever asked first gave up meanwhile; the name is looked up once, and again for who comes later."""
    names = LookUps(server, asyncio.get_running_loop())
    first, second = (asyncio.create_task(names.ask(question("db"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    server.speaks.set()
    async with asyncio.timeout(PATIENCE):
        assert await second == FOUND
        assert await names.ask(question("db")) == FOUND
    assert first.cancelled()
    assert server.asked == ["db", "db"]


async def test_an_error_is_everybodys_and_nobodys(server: NameServer) -> None:
    """Whoever waits gets it; where nobody waits any more, nobody is told."""
    names = LookUps(server, asyncio.get_running_loop())
    server.error = socket.gaierror(socket.EAI_AGAIN, "try again")
    gives_up, waits = (asyncio.create_task(names.ask(question(host))) for host in ("db", "cache"))
    await asyncio.sleep(0)
    gives_up.cancel()
    server.speaks.set()
    async with asyncio.timeout(PATIENCE):
        with suppress(asyncio.CancelledError):
            await gives_up
        with pytest.raises(socket.gaierror, match="try again"):
            await waits


async def test_so_many_at_a_time(server: NameServer) -> None:
    """What is beyond takes its turn when another has come to its end."""
    names = LookUps(server, asyncio.get_running_loop(), most=2)
    asks = [asyncio.create_task(names.ask(question(f"db{n}"))) for n in range(5)]
    async with asyncio.timeout(PATIENCE):
        await server.was_asked(2)
        assert len(server.asked) == 2
        server.speaks.set()
        assert await asyncio.gather(*asks) == [FOUND] * 5
