"""How agents contend for leases, whoever keeps these: the beats, and what holds while the keeper cannot be reached.

While it cannot, who acted goes on acting, unless it was told to stop then; ``docs/decisions/0003-leases-fail-open.md``
says why.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Final

import structlog

from quaywatch.clock import Clock
from quaywatch.contract import Meter
from quaywatch.drivers.deadline import deadline
from quaywatch.errors import TargetError
from quaywatch.runtime.catalogue import LEASE_CHANGES, LEASE_HELD, LEASE_UNCONFIRMED, LEASE_UNREACHABLE

_log = structlog.get_logger(__name__)

BEAT_AT_MOST: Final = 5.0
"""Seconds between two beats at most, whatever the time to live."""
PATIENCE: Final = 4
"""Times to live after which an agent that knew another holder no longer trusts that one lives."""
_TOLD: Final = 20
"""Names of targets in one line of the log."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a keeper answered: the targets held, and for others the seconds since their holder gave a sign of life."""

    held: frozenset[str]
    silences: Mapping[str, float] = field(default_factory=dict)


class ContendedLeases(ABC):
    """Contends for leases, beat by beat; subclasses speak to the keeper.

    ``fills_in`` is whether an agent acts on targets whose holder is not known while the keeper cannot be reached.

    Args:
        ttl: seconds after which a holder that says nothing has lost its leases.
        fail_open: whether who acted goes on while the keeper cannot be reached; otherwise it stops after ``ttl``, and
            nobody begins, so that two never act for longer than that.
        meter: where `quaywatch.lease.*` goes.
        clock: monotonic time, and the time of day at which another holder was last known to live.
        chance: numbers from 0 to 1 that keep the agents' beats apart.
    """

    fills_in: ClassVar[bool] = True

    def __init__(
        self,
        *,
        ttl: float,
        meter: Meter,
        clock: Clock,
        fail_open: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._ttl = ttl
        self._fail_open = fail_open
        self._meter = meter
        self._clock = clock
        self._chance = chance
        self._changed: Callable[[], None] = lambda: None
        self._wanted: frozenset[str] = frozenset()
        self._locked: frozenset[str] = frozenset()
        self._refused: frozenset[str] = frozenset()
        self._acting: frozenset[str] = frozenset()
        self._elsewhere: dict[str, float] = {}
        """Of the targets that others hold, the Unix time at which their holder was last known to live."""
        self._last_beat = clock.monotonic()
        self._cut_off_since: float | None = None
        self._wake = asyncio.Event()
        self._asking: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def held(self, name: str) -> bool:
        """Whether this agent acts on the target now; not after it was frozen for longer than the time to live."""
        goes_on = self._fail_open and self._cut_off_since is not None
        return name in self._acting and (goes_on or self._silence() < self._ttl)

    def taken_over(self, name: str) -> float | None:
        """The Unix time at which the holder before this one was last known to live, told once; None if none was."""
        return self._elsewhere.pop(name, None) if name in self._acting else None

    async def confirm(self, name: str) -> bool:
        """Ask the keeper now; a run that begins without its word is counted as one that may be another's too."""
        if self._cut_off_since is None and self._task is not None:
            answered = asyncio.get_running_loop().create_future()
            self._asking.append(answered)
            self._wake.set()
            await answered
        confirmed = self._cut_off_since is None and name in self._locked
        if not confirmed and name in self._acting:
            self._meter.add(LEASE_UNCONFIRMED, 1, name)
        return confirmed

    def want(self, names: Iterable[str]) -> None:
        """Contend for these targets from now on, and let go of all others."""
        wanted = frozenset(names)
        for name in self._wanted - wanted:
            self._elsewhere.pop(name, None)
            for metric in (LEASE_HELD, LEASE_CHANGES, LEASE_UNCONFIRMED):
                self._meter.clear(metric, name)
        for name in wanted - self._wanted:
            self._meter.set(LEASE_HELD, 0, name)
            for metric in (LEASE_CHANGES, LEASE_UNCONFIRMED):
                self._meter.add(metric, 0, name)
        self._wanted = wanted
        self._acting &= wanted
        self._wake.set()

    def start(self, changed: Callable[[], None]) -> None:
        """Begin to contend; ``changed`` is called after `held` has changed for any target."""
        self._changed = changed
        self._meter.set(LEASE_UNREACHABLE, 0)
        self._task = asyncio.create_task(self._contend(), name="leases")

    async def close(self) -> None:
        """Let go of everything, for others to take it at once where the keeper can be reached."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        _tell(self._asking)
        await self._let_go()
        await self._hang_up()

    @abstractmethod
    async def _beat(self, wanted: frozenset[str]) -> Beat:
        """Keep what is held, take what is free among the wanted, and let go of everything else.

        Raises:
            TargetError: when the keeper cannot be reached, or what it says cannot be relied on.
        """

    @abstractmethod
    async def _let_go(self) -> None:
        """Give back what is held; never raises, and is done within half a second."""

    @abstractmethod
    async def _hang_up(self) -> None:
        """Cut the line; never raises, never waits for the other side."""

    async def _contend(self) -> None:
        while True:
            self._wake.clear()
            self._stop_in_time()
            asking, self._asking = self._asking, []
            began = self._clock.monotonic()
            try:
                async with deadline(self._ttl / 3, "the keeper of the leases"):
                    beat = await self._beat(self._wanted)
            except TargetError as error:
                await self._cut_off(error)
            except Exception as error:  # noqa: BLE001 - a task's border: a defect here must not end the contention
                await self._cut_off(error)
            else:
                self._answered(beat, began)
            finally:
                _tell(asking)
            await self._pause()

    async def _pause(self) -> None:
        beat = min(self._ttl / 3, BEAT_AT_MOST) * (0.75 + 0.5 * self._chance())
        over_in = self._ttl - self._silence()
        is_due = not self._fail_open and self._acting and over_in > 0
        with suppress(TimeoutError):
            async with asyncio.timeout(min(beat, over_in) if is_due else beat):
                await self._wake.wait()

    def _answered(self, beat: Beat, began: float) -> None:
        """Take an answer; what it grants is granted from when it was asked for."""
        self._last_beat = began
        self._cut_off_since = None
        self._locked = beat.held & self._wanted
        self._refused = self._wanted - beat.held
        for name in self._refused:
            self._elsewhere[name] = self._clock.time() - self._silence_that_counts(beat.silences.get(name, 0.0))
        self._meter.set(LEASE_UNREACHABLE, 0)
        self._act_on(self._locked)

    def _silence_that_counts(self, seconds: float) -> float:
        """A holder beats within half a time to live; one that did is alive now."""
        return seconds if seconds > self._ttl / 2 else 0.0

    async def _cut_off(self, error: Exception) -> None:
        """The keeper cannot be reached: who acted goes on, and where no holder is known, or trusted, this one acts."""
        now = self._clock.monotonic()
        if self._cut_off_since is None:
            self._cut_off_since = now
            defect = None if isinstance(error, TargetError) else error
            _log.warning("leases cannot be kept", error=str(error) if defect is None else "", exc_info=defect)
        await self._hang_up()
        self._meter.set(LEASE_UNREACHABLE, 1)
        fills_in = self.fills_in and self._fail_open
        self._act_on(self._acting | (self._orphans(now - self._cut_off_since) if fills_in else frozenset()))
        self._stop_in_time()

    def _stop_in_time(self) -> None:
        """Leave what another may have taken by now, where that weighs more than going blind."""
        if not self._fail_open and self._acting and self._silence() >= self._ttl:
            self._act_on(())

    def _orphans(self, seconds: float) -> frozenset[str]:
        """The targets whose holder nobody knows, or trusts, after so many seconds without the keeper."""
        trusted = self._refused if seconds < PATIENCE * self._ttl else frozenset()
        return self._wanted - trusted

    def _act_on(self, names: Iterable[str]) -> None:
        acting = frozenset(names) & self._wanted
        changed, self._acting = acting ^ self._acting, acting
        for name in self._wanted:
            self._meter.set(LEASE_HELD, int(name in self._locked and self._silence() < self._ttl), name)
        for name in changed:
            self._meter.add(LEASE_CHANGES, 1, name)
        for some, words in ((changed & acting, "acts on shared targets"), (changed - acting, "left shared targets")):
            if some:
                _log.info(words, number=len(some), targets=sorted(some)[:_TOLD])
        if changed:
            self._changed()

    def _silence(self) -> float:
        return self._clock.monotonic() - self._last_beat


def _tell(asking: Iterable[asyncio.Future[None]]) -> None:
    """Wake those that wait for an answer, unless they wait no more."""
    for waiting in asking:
        if not waiting.done():
            waiting.set_result(None)
