"""Redis and Valkey: one connection, one command at a time.

Spoken in RESP2 and without retries: what an old server or a user with few rights cannot do is not asked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from redis import exceptions
from redis.asyncio.connection import Connection

from quaywatch.errors import (
    AuthError,
    ConnectError,
    FaultError,
    ParseError,
    PermissionDeniedError,
    TargetError,
    VersionError,
)
from quaywatch.secret import Secret

from .deadline import deadline
from .kept import Kept
from .network import connect_error, cut, revealed
from .trust import Trust

_RESP2: Final = 2
_COMMAND_DENIED: Final = re.compile(r"run the '([\w|-]+)' command")
_KEY_DENIED: Final = re.compile(r"access (a key|one of the keys)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where a Redis or Valkey is and how to log in.

    Args:
        host: name or address.
        port: TCP port.
        password: read anew at each connect; None where none is asked for.
        username: the ACL user; empty for the default one.
        db: the number of the database that is selected.
        ssl: how TLS is made and verified; None speaks plain.
        connect_within: seconds for connecting and logging in.
        answer_within: seconds for one call, waiting for the connection included.
    """

    host: str
    port: int = 6379
    password: Secret | None = None
    username: str = ""
    db: int = 0
    ssl: Trust | None = None
    connect_within: float = 3.0
    answer_within: float = 5.0

    @property
    def where(self) -> str:
        """The address in one word, for messages."""
        return f"{self.host}:{self.port}"


class _Line(Connection):
    """redis-py's connection, over a given TLS context, and one that can be cut."""

    def __init__(self, address: RedisAddress, password: str | None) -> None:
        super().__init__(
            host=address.host,
            port=address.port,
            username=address.username or None,
            password=password,
            db=address.db,
            # The bounds are ours: one deadline around each call.
            socket_timeout=None,
            socket_connect_timeout=address.connect_within,
            # A customer's key may be any bytes.
            decode_responses=True,
            encoding_errors="backslashreplace",
            protocol=_RESP2,
        )
        # No CLIENT SETINFO: a user with few rights would fill the server's log of refusals.
        self.driver_info = None
        self._tls = address.ssl.context() if address.ssl else None

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._tls}

    @property
    def closed(self) -> bool:
        """Whether the line was cut, by us or by the server."""
        return self._writer is None or self._writer.is_closing() or self._reader is None or self._reader.at_eof()

    async def close(self) -> None:
        """Cut the line at once: a TLS farewell would wait for the other side."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._close()  # type: ignore[no-untyped-call]

    async def ask(self, *words: str | int) -> Any:
        """One command's answer."""
        try:
            await self.send_command(*words)
            return await self.read_response()
        except exceptions.ResponseError:
            raise
        except BaseException:
            await self.close()
            raise

    async def ask_all(self, commands: Sequence[Sequence[str | int]]) -> list[Any]:
        """The commands' answers in their order, sent in one go; a refusal stands in its command's place."""
        try:
            await self.send_packed_command(self.pack_commands(commands))
            return [await self._answer() for _ in commands]
        except BaseException:
            await self.close()
            raise

    async def _answer(self) -> Any:
        try:
            return await self.read_response()
        except exceptions.ResponseError as error:
            return error


class RedisServer:
    """A Redis or Valkey server."""

    def __init__(self, address: RedisAddress, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._kept = Kept(self._connect, monotonic=monotonic)

    async def ping(self) -> None:
        """Connect if need be, log in and get one answer.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        await self.command("PING")

    async def info(self, *sections: str) -> Mapping[str, str]:
        """``INFO`` as raw strings; each section is asked for by itself, since servers before 7.0 take one at a time.

        Raises:
            TargetError: within ``answer_within`` seconds for each section.
        """
        answers = [await self.command("INFO", section) for section in sections] or [await self.command("INFO")]
        return {name: value for answer in answers for name, value in _fields(answer)}

    async def command(self, *words: str | int) -> Any:
        """One read command's answer; strings are text.

        Raises:
            TargetError: within ``answer_within`` seconds, waiting for the connection and connecting included.
        """
        async with deadline(self._address.answer_within, f"{self._address.where}: reading"), self._kept.turn() as line:
            with self._errors(str(words[0])):
                return await line.ask(*words)

    async def pipeline(self, *commands: Sequence[str | int]) -> Sequence[Any]:
        """The answers of several read commands in one round trip.

        The error of a command that the server refused stands in its place, so that the others' answers are kept.

        Raises:
            TargetError: within ``answer_within`` seconds for all of them together.
        """
        if not commands:
            return ()
        async with deadline(self._address.answer_within, f"{self._address.where}: reading"), self._kept.turn() as line:
            with self._errors(str(commands[0][0])):
                answers = await line.ask_all(commands)
        return [self._told(answer, str(words[0])) for answer, words in zip(answers, commands, strict=True)]

    async def close(self) -> None:
        """Let go of the connection; never raises, never waits."""
        await self._kept.close()

    def _told(self, answer: Any, command: str) -> Any:
        if not isinstance(answer, exceptions.ResponseError):
            return answer
        return redis_error(answer, where=self._address.where, user=self._address.username, command=command)

    async def _connect(self) -> _Line:
        address = self._address
        line = _Line(address, revealed(address.password) if address.password else None)
        try:
            with self._errors("AUTH"):
                async with deadline(address.connect_within, f"{address.where}: connecting"):
                    await line.connect()  # type: ignore[no-untyped-call]
                    # So that the server's client list names us; a user with few rights may not, and need not.
                    with suppress(exceptions.ResponseError):
                        await line.ask("CLIENT", "SETNAME", "quaywatch")
        except BaseException:
            await line.close()
            raise
        return line

    @contextmanager
    def _errors(self, command: str) -> Iterator[None]:
        try:
            yield
        except exceptions.RedisError as error:
            raise redis_error(error, where=self._address.where, user=self._address.username, command=command) from error
        except OSError as error:
            raise connect_error(error, self._address.where) from error


def redis_error(error: exceptions.RedisError, *, where: str, user: str, command: str) -> TargetError:
    """The error for what redis-py raised when ``command`` was asked."""
    who = user or "default"
    match error:
        case exceptions.AuthenticationError() | exceptions.AuthorizationError():
            return AuthError(f"{where}: the login was refused", remedy=f"check the password of user {who}")
        case exceptions.NoPermissionError():
            return _permission_error(str(error), where, who, command)
        case exceptions.BusyLoadingError():
            return ConnectError(f"{where}: the server is loading its data", remedy="wait", code="LOADING")
        case exceptions.ConnectionError() | exceptions.TimeoutError():
            return _connection_error(error, where)
        case exceptions.ResponseError():
            return _response_error(error, where, command)
    return ParseError(f"{where}: the answer could not be understood", remedy="check that Redis answers there")


def _permission_error(words: str, where: str, who: str, command: str) -> PermissionDeniedError:
    if _KEY_DENIED.search(words):
        what, grant = f"access a key that {command} names", "~<key>"
    else:
        denied = _COMMAND_DENIED.search(words)  # from 7.0 on with its subcommand, such as slowlog|len
        what, grant = f"run {command}", f"+{denied[1] if denied else command.lower()}"
    return PermissionDeniedError(
        f"{where}: user {who} may not {what}", remedy=f"run: ACL SETUSER {who} {grant}", code="NOPERM"
    )


def _connection_error(error: exceptions.RedisError, where: str) -> ConnectError:
    if isinstance(error.__context__, OSError):
        return connect_error(error.__context__, where)
    if "max number of clients" in str(error):
        return ConnectError(f"{where}: the server has too many clients", remedy="raise maxclients")
    return cut(where)


def _response_error(error: exceptions.ResponseError, where: str, command: str) -> TargetError:
    words = str(error)
    code = words.partition(" ")[0]
    if "unknown command" in words.lower() or "unknown subcommand" in words.lower():
        return VersionError(f"{where}: the server does not know {command}", remedy="an older server, or it is disabled")
    if code == "DENIED":
        return AuthError(f"{where}: the server is in protected mode", remedy="give it a password", code=code)
    return FaultError(f"{where}: {command} was answered with an error", code=code if code.isupper() else "ERR")


def _fields(answer: str) -> Iterator[tuple[str, str]]:
    for line in answer.splitlines():
        name, colon, value = line.partition(":")
        if colon and not name.startswith("#"):
            yield name, value
