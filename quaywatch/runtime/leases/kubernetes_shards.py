"""Shards by one Lease object for each member, which it renews, and on which it says whom it knows.

A target has no object of its own, so what keeps two members from reading it is order. A beat first writes the members
that the beat before found, then reads all objects, and acts by what it read, but only while every other member's object
says that it knows this one. Who knows a newcomer has left it its share with the very beat that found it, before it says
so; a newcomer that says nothing yet acts on nothing. So of two members neither acts on a target that the other, heavier
one acts on.

Nobody compares clocks: a member lives whose object changed within its duration, as measured here since the change was
seen, and one that cannot renew its own for that long leaves everything.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import structlog

from quaywatch.clock import Clock
from quaywatch.contract import Meter
from quaywatch.drivers.kubernetes import LeaseObject
from quaywatch.errors import QuaywatchError

from .contention import PATIENCE, Beat, ContendedLeases
from .kubernetes import written
from .shares import share

_log = structlog.get_logger(__name__)

_LET_GO_WITHIN: Final = 0.5
_NOBODY: Final = frozenset[str]()


class MemberStore(Protocol):
    """The members' objects, as `quaywatch.drivers.kubernetes.KubernetesMembers` speaks to them."""

    @property
    def own(self) -> str:
        """The name of this member's object."""
        ...

    async def all(self) -> Sequence[LeaseObject]:
        """Every member's object, as of now."""
        ...

    async def read(self) -> LeaseObject | None:
        """This member's object; None when there is none."""
        ...

    async def create(self, note: str, **spec: object) -> LeaseObject | None:
        """This member's object, made; None when it is there."""
        ...

    async def update(self, changed: LeaseObject) -> LeaseObject | None:
        """It after the update; None when it was changed or removed since it was read."""
        ...

    async def delete(self, gone: LeaseObject) -> None:
        """Remove an object, unless it was changed since it was read."""
        ...

    async def close(self) -> None:
        """Cut the line."""
        ...


class KubernetesShards(ContendedLeases):
    """Implements `quaywatch.runtime.leases.Leases`.

    Args:
        store: the members' objects.
        identity: who this agent is, different for each process.
        ttl: seconds after which a member that says nothing has lost its share.
        meter: where `quaywatch.lease.*` goes.
        clock: time.
        fail_open: whether who acted goes on while the keeper cannot be reached.
        chance: numbers from 0 to 1 that keep the agents' beats apart.
    """

    fills_in = False

    def __init__(
        self,
        store: MemberStore,
        *,
        identity: str,
        ttl: float,
        meter: Meter,
        clock: Clock,
        fail_open: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(ttl=ttl, meter=meter, clock=clock, fail_open=fail_open, chance=chance)
        self._store = store
        self._identity = identity
        self._mine: LeaseObject | None = None
        self._known = _NOBODY
        """The members that the last beat found, and acted by."""
        self._seen: dict[str, tuple[tuple[str, str], float]] = {}
        """By a member's name: its holder and renewal, and since when these are known."""
        self._displaced = False

    async def _beat(self, wanted: frozenset[str]) -> Beat:
        said = self._known
        self._mine = await (self._join() if self._mine is None else self._renew(self._mine, said))
        if self._mine is None:
            self._known = _NOBODY
            return Beat(_NOBODY)
        found = await self._store.all()
        living = [one for one in found if self._lives(one)]
        self._known = frozenset(one.name for one in living) | {self._store.own}
        await self._sweep(found)
        acts = said and all(map(self._leaves_me_mine, living))
        return Beat(share(wanted, sorted(self._known), self._store.own) if acts else _NOBODY)

    async def _join(self) -> LeaseObject | None:
        """Make the object, or take over what an earlier process of this name left; None while one still lives."""
        found = await self._store.read()
        if found is None:
            return await self._store.create("", **self._spec())
        if found.holder not in {"", self._identity} and self._lives(found):
            if not self._displaced:
                _log.warning(
                    "another process is the replica of this name", replica=self._store.own, holder=found.holder
                )
            self._displaced = True
            return None
        self._displaced = False
        return await self._store.update(found.noted("").changed(**self._spec()))

    async def _renew(self, mine: LeaseObject, said: frozenset[str]) -> LeaseObject | None:
        """The object, renewed; None when it is another process's by now, or nobody's. A label on it hurts nobody."""
        renewed = await self._store.update(mine.noted(_text(said)).changed(**self._spec()))
        if renewed is not None:
            return renewed
        found = await self._store.read()
        if found is None or found.holder != self._identity:
            return None
        return await self._store.update(found.noted(_text(said)).changed(**self._spec()))

    def _spec(self) -> dict[str, object]:
        now = written(self._clock.time())
        return {"holderIdentity": self._identity, "leaseDurationSeconds": math.ceil(self._ttl), "renewTime": now}

    def _lives(self, one: LeaseObject) -> bool:
        return self._silence_of(one) < one.duration

    def _silence_of(self, one: LeaseObject) -> float:
        now, sign = self._clock.monotonic(), (one.holder, one.renewed)
        before, since = self._seen.get(one.name, (None, now))
        since = since if before == sign else now
        self._seen[one.name] = (sign, since)
        return now - since

    def _leaves_me_mine(self, other: LeaseObject) -> bool:
        """Whether a member, by what it says, acts on nothing that this one may act on."""
        return other.name == self._store.own or not other.note or self._store.own in _members(other.note)

    async def _sweep(self, found: Iterable[LeaseObject]) -> None:
        """Remove what members left that are gone for long."""
        for one in found:
            if self._silence_of(one) >= PATIENCE * one.duration:
                with suppress(QuaywatchError):
                    await self._store.delete(one)
        names = {one.name for one in found}
        self._seen = {name: sign for name, sign in self._seen.items() if name in names}

    async def _let_go(self) -> None:
        """Leave, so that the others share it out with their next beat."""
        mine, self._mine = self._mine, None
        if mine is not None:
            with suppress(QuaywatchError, TimeoutError):
                async with asyncio.timeout(_LET_GO_WITHIN):
                    await self._store.delete(mine)

    async def _hang_up(self) -> None:
        await self._store.close()


def _text(members: frozenset[str]) -> str:
    return ",".join(sorted(members))


def _members(text: str) -> list[str]:
    return text.split(",")
