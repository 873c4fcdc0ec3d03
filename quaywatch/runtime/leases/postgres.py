"""Who acts on a shared target when several agents run: one at a time, and never nobody.

`PostgresLeases` keeps one session to a PostgreSQL server; each lease is a session advisory lock, so it ends with its
holder's process at once, and with its host within the time to live. While that server cannot be reached, who acted
goes on acting; ``docs/decisions/0003-leases-fail-open.md`` says why.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from quaywatch.clock import Clock
from quaywatch.contract import Meter, Row
from quaywatch.errors import ConnectError, FaultError

from .contention import Beat, ContendedLeases

_BEAT: Final = """
with locks as (
  select (classid::bigint << 32) | objid::bigint as key, pid
    from pg_catalog.pg_locks
   where locktype = 'advisory' and objsubid = 1 and granted
     and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
), mine as (
  select key from locks where pid = pg_catalog.pg_backend_pid()
)
select key,
       case when key in (select key from mine) then true else pg_catalog.pg_try_advisory_lock(key) end as held,
       (select extract(epoch from pg_catalog.clock_timestamp() - state_change)::float8
          from locks join pg_catalog.pg_stat_activity using (pid)
         where locks.key = wanted.key and pid <> pg_catalog.pg_backend_pid()
         limit 1) as silence
  from unnest($1::bigint[]) as wanted (key)
"""
"""Takes what is free. All agents log in as one role, so each may see how long the session of another is silent."""
_RELEASE: Final = "select pg_catalog.pg_advisory_unlock(key) from unnest($1::bigint[]) as given (key)"
_PROCESS: Final = "select pg_catalog.pg_backend_pid() as pid"
_SETTINGS: Final = """
select pg_catalog.set_config(name, setting, false)
  from unnest($1::text[], $2::text[]) as given (name, setting)
"""
_HAS_IDLE_SESSION_TIMEOUT: Final = 140_000


class LeaseSession(Protocol):
    """The session that holds the locks, as `quaywatch.drivers.postgres.PostgresSession` is one.

    It must reach the server itself: behind a pooler in transaction mode a lock belongs to nobody.
    """

    @property
    def version(self) -> int:
        """``server_version_num``."""
        ...

    async def connect(self) -> None:
        """Connect and log in."""
        ...

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Row]:
        """All rows of one statement; raises `quaywatch.errors.ConnectError` when the line was cut."""
        ...

    async def close(self) -> None:
        """Cut the line; never raises, never waits."""
        ...


def lock_key(installation: str, name: str) -> int:
    """The advisory lock's key for a target: 64 bits with a sign, the same on every agent of the installation."""
    digest = hashlib.blake2b(f"quaywatch\0{installation}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


class PostgresLeases(ContendedLeases):
    """Implements `Leases` by PostgreSQL's session advisory locks.

    Args:
        session: makes a session that is not connected yet.
        installation: agents of one installation share its leases.
        ttl: seconds after which a holder that says nothing has lost its leases.
        meter: where `quaywatch.lease.*` goes.
        clock: time.
        fail_open: whether who acted goes on while the keeper cannot be reached.
        chance: numbers from 0 to 1 that keep the agents' beats apart.
    """

    def __init__(
        self,
        session: Callable[[], LeaseSession],
        *,
        installation: str,
        ttl: float,
        meter: Meter,
        clock: Clock,
        fail_open: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(ttl=ttl, meter=meter, clock=clock, fail_open=fail_open, chance=chance)
        self._new_session = session
        self._installation = installation
        self._session: LeaseSession | None = None
        self._process = 0
        self._pooled = False

    async def _beat(self, wanted: frozenset[str]) -> Beat:
        """Keep the session alive and take every lock that is free.

        A session that was cut is no outage yet, and its locks may be another's by now: a new one is asked at once.
        """
        if self._session is not None:
            try:
                return await self._ask(self._session, wanted)
            except ConnectError:
                await self._hang_up()
        return await self._ask(await self._connected(), wanted)

    async def _ask(self, session: LeaseSession, names: frozenset[str]) -> Beat:
        wanted = {lock_key(self._installation, name): name for name in names}
        if given_up := [lock_key(self._installation, name) for name in self._locked - names]:
            await session.fetch(_RELEASE, given_up)
        await self._expect_process(session)
        rows = await session.fetch(_BEAT, list(wanted))
        held = frozenset(wanted[row["key"]] for row in rows if row["held"])
        return Beat(held, {wanted[row["key"]]: row["silence"] or 0.0 for row in rows if not row["held"]})

    async def _connected(self) -> LeaseSession:
        session = self._session = self._new_session()
        await session.connect()
        await session.fetch(_SETTINGS, *self._settings(session.version))
        self._process = (await session.fetch(_PROCESS))[0]["pid"]
        return session

    def _settings(self, version: int) -> tuple[list[str], list[str]]:
        """What makes the server itself end the session of a holder that fell silent, within the time to live."""
        third = str(max(1, round(self._ttl / 3)))
        settings = {
            "tcp_keepalives_idle": third,
            "tcp_keepalives_interval": third,
            "tcp_keepalives_count": "2",
        }
        if version >= _HAS_IDLE_SESSION_TIMEOUT:
            settings["idle_session_timeout"] = str(round(self._ttl * 1000))
        return list(settings), list(settings.values())

    async def _expect_process(self, session: LeaseSession) -> None:
        """Make sure that the session's server process is the one that took the locks.

        Once it was not, it never will be: the locks are lost in a pooler, where even this agent would be refused.
        """
        self._pooled = self._pooled or (await session.fetch(_PROCESS))[0]["pid"] != self._process
        if self._pooled:
            raise FaultError(
                "the leases' session changed its server process",
                remedy="let the agent reach the server directly: a pooler in transaction mode cannot keep locks",
            )

    async def _let_go(self) -> None:
        """The server frees the locks as soon as it sees the line cut."""

    async def _hang_up(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
