"""The event loop that every command runs on: names are looked up by threads of their own.

The standard library's loop looks them up in its default executor, a handful of threads which the page, the spool, long
answers and reloads need as well. A deadline frees who waits for a name, not the thread: a name server that does not
answer would keep them all for half a minute, and the end of the process would wait for them.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

T = TypeVar("T")
LOOK_UPS_AT_MOST: Final = 100
"""Names that are looked up at the same time; whoever asks for one more waits, within his own deadline."""

Addresses = list[Any]
"""What ``getaddrinfo`` gives."""
Question = tuple[bytes | str | None, bytes | str | int | None, int, int, int, int]
"""What it takes: host, port, family, type, protocol and flags."""
LookUp = Callable[..., Any]
"""``getaddrinfo``, or what stands for it in a test."""


def run(main: Coroutine[Any, Any, T], look_up: LookUp = socket.getaddrinfo) -> T:
    """Run to the end, as ``asyncio.run`` does; look-ups that hang are not waited for, then or when the process ends."""
    with asyncio.Runner(loop_factory=partial(_Loop, look_up)) as runner:
        return runner.run(main)


class _Loop(asyncio.SelectorEventLoop):
    """The standard loop, but for the way it finds addresses."""

    def __init__(self, look_up: LookUp) -> None:
        super().__init__()
        self._names = LookUps(look_up, self)

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - as the loop's callers name it
        proto: int = 0,
        flags: int = 0,
    ) -> Addresses:
        return await self._names.ask((host, port, family, type, proto, flags))


class LookUps:
    """Looks names up in daemon threads. Whoever asks for a name that is being looked up waits for the same answer.

    Args:
        look_up: the blocking call.
        loop: where the answers are waited for.
        most: how many run at a time; the others take their turn.
    """

    def __init__(self, look_up: LookUp, loop: asyncio.AbstractEventLoop, most: int = LOOK_UPS_AT_MOST) -> None:
        self._look_up = look_up
        self._loop = loop
        self._most = most
        self._running = 0
        self._asked: dict[Question, asyncio.Future[Addresses]] = {}
        self._waiting: deque[Question] = deque()

    async def ask(self, question: Question) -> Addresses:
        """The addresses; a caller that is cancelled leaves the look-up to those who ask after him.

        Raises:
            OSError: whatever the look-up says.
        """
        answer = self._asked.get(question)
        if answer is None:
            answer = self._asked[question] = self._loop.create_future()
            answer.add_done_callback(asyncio.Future.exception)  # that nobody waits any more is no defect
            self._waiting.append(question)
            self._begin()
        return await asyncio.shield(answer)

    def _begin(self) -> None:
        while self._waiting and self._running < self._most:
            self._running += 1
            question = self._waiting.popleft()
            threading.Thread(target=self._find, args=(question,), name="name look-up", daemon=True).start()

    def _find(self, question: Question) -> None:
        """In a thread of its own, which may outlast the loop."""
        told: Addresses | Exception
        try:
            told = self._look_up(*question)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's
            told = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._found, question, told)

    def _found(self, question: Question, told: Addresses | Exception) -> None:
        self._running -= 1
        answer = self._asked.pop(question)
        if isinstance(told, Exception):
            answer.set_exception(told)
        else:
            answer.set_result(told)
        self._begin()
