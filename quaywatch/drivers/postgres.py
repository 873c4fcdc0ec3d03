"""PostgreSQL: one kept session for a cluster, and short visits to its databases.

Every session is read-only, calls itself ``quaywatch``, tags its SQL with a comment and bounds statements and lock
waits on the server; the client's own deadline comes on top, since the server's does not cover a half-open line. A
session that missed a deadline, or whose caller was cancelled, is cut without a farewell.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import asyncpg

from quaywatch.contract import Row
from quaywatch.errors import ConnectError, TargetError
from quaywatch.secret import Secret

from .deadline import deadline
from .kept import Kept
from .network import cut, revealed
from .postgres_errors import postgres_errors
from .trust import Trust

_TAG: Final = "/* quaywatch */ "
_NAME: Final = {"application_name": "quaywatch"}
_FAREWELL_WITHIN: Final = 0.5
_SERVER_SHARE: Final = 0.9
"""The server's own statement time-out comes a little before the client's: a slow statement then keeps the session."""
_STATEMENTS_KEPT: Final = 100
"""Statements that a session keeps prepared: more than the exporters of a cluster have."""
_NO_PASSWORD: Final = Secret("")
_OVER_TLS: Final = "select ssl from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()"
_NO_ENTRY: Final = "28000"
"""What the server says, among other cases, to who comes without TLS where it is demanded."""
_DATABASES: Final = """
select datname
  from pg_catalog.pg_database
 where datallowconn and not datistemplate and ($1::bool or not pg_catalog.pg_is_in_recovery())
 order by datname
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """Where a cluster is and how to log in.

    Args:
        host: name, address, or the directory of a Unix socket.
        port: TCP port.
        user: the role; needs ``pg_monitor`` for most of what is read.
        password: read anew at each connect.
        database: where cluster-wide reads happen.
        ssl: how TLS is made and verified; None takes TLS where the server offers it, unverified; False goes without.
        pooled: behind a pooler in transaction mode: each read is a transaction that sets its own limits.
        connect_within: seconds for connecting and logging in.
        answer_within: seconds for one read, waiting for the kept session included.
        lock_within: seconds a read waits behind somebody's lock.
        on_standby: whether there are databases to be visited while the server is a standby.
    """

    host: str
    port: int = 5432
    user: str = "quaywatch"
    password: Secret = _NO_PASSWORD
    database: str = "postgres"
    ssl: Trust | Literal[False] | None = None
    pooled: bool = False
    connect_within: float = 3.0
    answer_within: float = 5.0
    lock_within: float = 0.1
    on_standby: bool = False

    @property
    def where(self) -> str:
        """The address in one word, for messages."""
        return f"{self.host}:{self.port}/{self.database}"

    @property
    def limits(self) -> dict[str, str]:
        """The server settings that bound a read, in milliseconds; compiling one would cost more than running it.

        ``jit`` itself is asyncpg's to switch, which behind a pooler would leave it off for whoever comes next.
        """
        return {
            "jit_above_cost": "-1",
            "statement_timeout": str(max(1, round(self.answer_within * _SERVER_SHARE * 1000))),
            "lock_timeout": str(max(1, round(self.lock_within * 1000))),
        }

    @property
    def settings(self) -> dict[str, str]:
        """What a session sets when it starts: nothing behind a pooler, where it would stay for whoever comes next."""
        return {} if self.pooled else {**_NAME, "default_transaction_read_only": "on", **self.limits}


class PostgresSession:
    """One session in one database. Not for callers at the same time."""

    def __init__(self, address: PostgresAddress) -> None:
        self._address = address
        self._line: asyncpg.Connection | None = None
        self._version = 0

    @property
    def database(self) -> str:
        """The database this session is in."""
        return self._address.database

    @property
    def version(self) -> int:
        """``server_version_num``, such as 150008.

        Raises:
            ConnectError: before the first connect.
        """
        if not self._version:
            raise ConnectError(f"{self._address.where}: not connected yet")
        return self._version

    @property
    def closed(self) -> bool:
        """Whether there is no line: never made, let go of, or cut."""
        return self._line is None or self._line.is_closed()

    async def connect(self) -> None:
        """Connect and log in.

        Raises:
            ConfigError: when the file of authorities cannot be read.
            TargetError: within ``connect_within`` seconds.
        """
        address = self._address
        password = revealed(address.password)
        tls = address.ssl.context() if address.ssl else address.ssl
        with postgres_errors(address.where, role=address.user):
            async with deadline(address.connect_within, f"{address.where}: connecting"):
                self._line = await asyncpg.connect(
                    host=address.host,
                    port=address.port,
                    user=address.user,
                    password=password,
                    database=address.database,
                    ssl="prefer" if tls is None else tls,
                    # Unnamed statements are parsed twice; a pooler in transaction mode takes no others.
                    statement_cache_size=0 if address.pooled else _STATEMENTS_KEPT,
                    server_settings=address.settings,
                )
        self._version = _version_number(self._line.get_server_version())

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Row]:
        """All rows of one statement.

        Raises:
            TargetError: within ``answer_within`` seconds; the session lives on if the server itself said no.
        """
        line = self._live_line()
        try:
            with postgres_errors(self._address.where, role=self._address.user):
                async with deadline(self._address.answer_within, f"{self._address.where}: reading"):
                    return await self._ask(line, _TAG + sql, arguments)
        except BaseException as error:
            if not _server_said(error):
                line.terminate()
            raise

    async def leave(self) -> None:
        """End the session with a farewell, which leaves no line in the server's log; half a second at most."""
        if self._line is not None:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._line.close(timeout=_FAREWELL_WITHIN)

    async def close(self) -> None:
        """Cut the line; never raises, never waits."""
        if self._line is not None:
            self._line.terminate()

    def _live_line(self) -> asyncpg.Connection:
        if self._line is None or self._line.is_closed():
            raise cut(self._address.where)
        return self._line

    async def _ask(self, line: asyncpg.Connection, sql: str, arguments: Sequence[Any]) -> list[Row]:
        if not self._address.pooled:
            return [dict(record) for record in await line.fetch(sql, *arguments)]
        # No transaction object of asyncpg's: it would roll back, and wait for that, after our deadline has fired.
        await line.execute("; ".join(["begin read only", *_set_local({**_NAME, **self._address.limits})]))
        try:
            rows: list[Row] = [dict(record) for record in await line.fetch(sql, *arguments)]
        except asyncpg.PostgresError:
            await line.execute("rollback")
            raise
        await line.execute("commit")
        return rows


class PostgresCluster:
    """A cluster: the session that is kept for cluster-wide reads, and visits to its databases."""

    def __init__(self, address: PostgresAddress, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._kept = Kept(self._connect, monotonic=monotonic)
        self._version = 0
        self._offers_tls = True

    @property
    def database(self) -> str:
        """The database of the kept session."""
        return self._address.database

    @property
    def version(self) -> int:
        """``server_version_num`` as last seen.

        Raises:
            ConnectError: before the first answer.
        """
        if not self._version:
            raise ConnectError(f"{self._address.where}: not connected yet")
        return self._version

    async def ping(self) -> None:
        """Connect if need be, log in and get one answer.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        await self.fetch("select 1")

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Row]:
        """All rows of one statement, on the kept session.

        Raises:
            TargetError: within ``answer_within`` seconds, waiting for the turn and connecting included.
        """
        async with deadline(self._address.answer_within, f"{self._address.where}: reading"), self._kept.turn() as line:
            return await line.fetch(sql, *arguments)

    async def databases(self) -> Sequence[str]:
        """Names of the databases that accept connections, sorted; templates left out.

        There are none while the server is a standby, whose databases are those of its primary, unless ``on_standby``:
        a promotion brings them, and the primary before has none once it follows. One that this role may not enter is
        named too: a visit then says so, where leaving it out would look like a tenant that is gone.

        Raises:
            TargetError: within ``answer_within`` seconds.
        """
        return [str(row["datname"]) for row in await self.fetch(_DATABASES, self._address.on_standby)]

    @asynccontextmanager
    async def visit(self, database: str) -> AsyncIterator[PostgresSession]:
        """A session in one database, ended with the visit.

        Raises:
            TargetError: within ``connect_within`` seconds when it cannot be made.
        """
        session = await self._visitor(database)
        try:
            yield session
            await session.leave()
        finally:
            await session.close()

    async def close(self) -> None:
        """Let go of the kept session; never raises, never waits."""
        await self._kept.close()

    async def _connect(self) -> PostgresSession:
        session = PostgresSession(self._address)
        await session.connect()
        self._version = session.version
        if self._address.ssl is None and not self._address.pooled:  # of a pooler it is the line behind that is told of
            self._offers_tls = any(row["ssl"] for row in await session.fetch(_OVER_TLS))
        return session

    async def _visitor(self, database: str) -> PostgresSession:
        """A session that does not ask for TLS anew where the kept one was not offered any: a third of the way in."""
        address = self._address if self._offers_tls else replace(self._address, ssl=False)
        session = PostgresSession(replace(address, database=database))
        try:
            await session.connect()
        except TargetError as error:
            self._offers_tls = self._offers_tls or error.code == _NO_ENTRY
            raise
        return session


def _server_said(error: BaseException) -> bool:
    return isinstance(error, TargetError) and bool(error.code) and not isinstance(error, ConnectError)


def _set_local(settings: dict[str, str]) -> list[str]:
    return [f"set local {name} = {value}" for name, value in settings.items()]


def _version_number(version: asyncpg.ServerVersion) -> int:
    # From 10 on the second number is the patch level: asyncpg gives it as micro, with a minor of 0.
    return int(version.major * 10_000 + version.minor * 100 + version.micro)
