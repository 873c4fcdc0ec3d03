"""Who acts on a shared target when several agents run: one at a time, and never nobody.

`PostgresLeases` keeps one session to a PostgreSQL server; each lease is a session advisory lock, so it ends with its
holder's process at once, and with its host within the time to live. While that server cannot be reached, who acted
goes on acting; ``docs/decisions/0003-leases-fail-open.md`` says why.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import structlog

from quaywatch.contract import Meter, Row
from quaywatch.drivers.deadline import deadline
from quaywatch.errors import ConnectError, FaultError, TargetError

from .catalogue import LEASE_CHANGES, LEASE_HELD, LEASE_UNREACHABLE
from .clock import Clock

_log = structlog.get_logger(__name__)

BEAT_AT_MOST: Final = 5.0
"""Seconds between two beats at most, whatever the time to live."""
PATIENCE: Final = 4
"""Times to live after which an agent that knew another holder no longer trusts that one lives."""

_BEAT: Final = """
with mine as (
  select (classid::bigint << 32) | objid::bigint as key
    from pg_catalog.pg_locks
   where locktype = 'advisory' and objsubid = 1 and pid = pg_catalog.pg_backend_pid()
)
select key,
       case when key in (select key from mine) then true else pg_catalog.pg_try_advisory_lock(key) end as held
  from unnest($1::bigint[]) as wanted (key)
"""
_RELEASE: Final = "select pg_catalog.pg_advisory_unlock(key) from unnest($1::bigint[]) as given (key)"
_PROCESS: Final = "select pg_catalog.pg_backend_pid() as pid"
_SETTINGS: Final = """
select pg_catalog.set_config(name, setting, false)
  from unnest($1::text[], $2::text[]) as given (name, setting)
"""
_HAS_IDLE_SESSION_TIMEOUT: Final = 140_000


class Leases(Protocol):
    """Decides on which shared targets this agent acts."""

    def held(self, name: str) -> bool:
        """Whether this agent acts on the target now."""
        ...

    def want(self, names: Iterable[str]) -> None:
        """Contend for these targets from now on, and let go of all others."""
        ...

    def start(self, changed: Callable[[], None]) -> None:
        """Begin; ``changed`` is called after `held` has changed for any target."""
        ...

    async def close(self) -> None:
        """Let go of everything; never raises, never waits for the other side."""
        ...


class AlwaysHeld:
    """For an agent that is alone: it acts on everything."""

    def held(self, _name: str) -> bool:
        """Always."""
        return True

    def want(self, names: Iterable[str]) -> None:
        """Nothing is contended for."""

    def start(self, changed: Callable[[], None]) -> None:
        """Nothing ever changes."""

    async def close(self) -> None:
        """Nothing is kept."""


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


class PostgresLeases:
    """Implements `Leases` by PostgreSQL's session advisory locks.

    Args:
        session: makes a session that is not connected yet.
        installation: agents of one installation share its leases.
        ttl: seconds after which a holder that says nothing has lost its leases.
        meter: where `quaywatch.lease.*` goes.
        clock: monotonic time.
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
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._new_session = session
        self._installation = installation
        self._ttl = ttl
        self._meter = meter
        self._clock = clock
        self._chance = chance
        self._changed: Callable[[], None] = lambda: None
        self._wanted: dict[str, int] = {}
        self._locked: frozenset[str] = frozenset()
        self._refused: frozenset[str] = frozenset()
        self._acting: frozenset[str] = frozenset()
        self._session: LeaseSession | None = None
        self._process = 0
        self._pooled = False
        self._last_beat = clock.monotonic()
        self._cut_off_since: float | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def held(self, name: str) -> bool:
        """Whether this agent acts on the target now; not after it was frozen for longer than the time to live."""
        return name in self._acting and (self._cut_off_since is not None or self._silence() < self._ttl)

    def want(self, names: Iterable[str]) -> None:
        """Contend for these targets from now on, and let go of all others."""
        wanted = {name: lock_key(self._installation, name) for name in names}
        for name in self._wanted.keys() - wanted.keys():
            self._meter.clear(LEASE_HELD, name)
            self._meter.clear(LEASE_CHANGES, name)
        for name in wanted.keys() - self._wanted.keys():
            self._meter.set(LEASE_HELD, 0, name)
            self._meter.add(LEASE_CHANGES, 0, name)
        self._wanted = wanted
        self._acting &= wanted.keys()
        self._wake.set()

    def start(self, changed: Callable[[], None]) -> None:
        """Begin to contend; ``changed`` is called after `held` has changed for any target."""
        self._changed = changed
        self._meter.set(LEASE_UNREACHABLE, 0)
        self._task = asyncio.create_task(self._contend(), name="leases")

    async def close(self) -> None:
        """Let go of everything: the server frees the locks as soon as it sees the line cut."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._hang_up()

    async def _contend(self) -> None:
        while True:
            self._wake.clear()
            try:
                async with deadline(self._ttl / 3, "the server that keeps the leases"):
                    locked = await self._beat()
            except TargetError as error:
                await self._cut_off(error)
            except Exception as error:  # noqa: BLE001 - a task's border: a defect here must not end the contention
                await self._cut_off(error)
            else:
                self._answered(locked)
            await self._pause()

    async def _pause(self) -> None:
        beat = min(self._ttl / 3, BEAT_AT_MOST) * (0.75 + 0.5 * self._chance())
        with suppress(TimeoutError):
            async with asyncio.timeout(beat):
                await self._wake.wait()

    async def _beat(self) -> frozenset[str]:
        """Keep the session alive and take every lock that is free; returns the targets whose locks are held.

        A session that was cut is no outage yet, and its locks may be another's by now: a new one is asked at once.

        Raises:
            TargetError: when the server cannot be reached.
        """
        if self._session is not None:
            try:
                return await self._ask(self._session)
            except ConnectError:
                await self._hang_up()
        return await self._ask(await self._connected())

    async def _ask(self, session: LeaseSession) -> frozenset[str]:
        wanted = dict(self._wanted)
        if given_up := [lock_key(self._installation, name) for name in self._locked - wanted.keys()]:
            await session.fetch(_RELEASE, given_up)
        await self._expect_process(session)
        rows = await session.fetch(_BEAT, list(wanted.values()))
        held = {row["key"] for row in rows if row["held"]}
        return frozenset(name for name, key in wanted.items() if key in held)

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

    def _answered(self, locked: frozenset[str]) -> None:
        self._last_beat = self._clock.monotonic()
        self._cut_off_since = None
        self._locked = locked
        self._refused = frozenset(self._wanted) - locked
        self._meter.set(LEASE_UNREACHABLE, 0)
        self._act_on(locked)

    async def _cut_off(self, error: Exception) -> None:
        """The server cannot be reached: who acted goes on, and where no holder is known, or trusted, this one acts."""
        now = self._clock.monotonic()
        if self._cut_off_since is None:
            self._cut_off_since = now
            defect = None if isinstance(error, TargetError) else error
            _log.warning("leases cannot be kept", error=str(error) if defect is None else "", exc_info=defect)
        await self._hang_up()
        self._meter.set(LEASE_UNREACHABLE, 1)
        trusted = self._refused if now - self._cut_off_since < PATIENCE * self._ttl else frozenset()
        self._act_on(self._acting | (self._wanted.keys() - trusted))

    async def _hang_up(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _act_on(self, names: Iterable[str]) -> None:
        acting = frozenset(names) & self._wanted.keys()
        changed, self._acting = acting ^ self._acting, acting
        for name in self._wanted:
            self._meter.set(LEASE_HELD, int(name in self._locked and self._silence() < self._ttl), name)
        for name in sorted(changed):
            self._meter.add(LEASE_CHANGES, 1, name)
            _log.info("acts on a shared target" if name in acting else "left a shared target", target=name)
        if changed:
            self._changed()

    def _silence(self) -> float:
        return self._clock.monotonic() - self._last_beat
