"""Leases by one Lease object of Kubernetes: who holds it acts on all shared targets.

Nobody compares clocks. Whether a holder is alive is judged as client-go does: by whether its renewal time changed
within the time to live, as measured here since the change was seen. A write names the version that was read, so of
several agents that try at once one gets it.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from quaywatch.clock import Clock
from quaywatch.contract import Meter
from quaywatch.drivers.kubernetes import LeaseObject
from quaywatch.errors import QuaywatchError

from .contention import Beat, ContendedLeases

_TRIES: Final = 2
"""How often one beat reads and writes: the object may be changed by somebody who contends for nothing."""
_LET_GO_WITHIN: Final = 0.5


class LeaseStore(Protocol):
    """The Lease object, as `quaywatch.drivers.kubernetes.KubernetesLease` speaks to it."""

    async def read(self) -> LeaseObject | None:
        """The object; None when there is none."""
        ...

    async def create(self, **spec: Any) -> LeaseObject | None:
        """A new object; None when somebody else made it meanwhile."""
        ...

    async def update(self, changed: LeaseObject) -> LeaseObject | None:
        """The object after the update; None when somebody else changed it since it was read."""
        ...

    async def close(self) -> None:
        """Cut the line."""
        ...


class KubernetesLeases(ContendedLeases):
    """Implements `Leases` by one Lease object for all shared targets.

    Args:
        store: the object.
        identity: who this agent is, different for each process.
        ttl: seconds after which a holder that says nothing has lost its lease.
        meter: where `quaywatch.lease.*` goes.
        clock: time.
        fail_open: whether who acted goes on while the keeper cannot be reached.
        chance: numbers from 0 to 1 that keep the agents' beats apart.
    """

    def __init__(
        self,
        store: LeaseStore,
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
        self._seen: tuple[str, str] = ("", "")
        """Holder and renewal time, as they were last seen."""
        self._seen_at = clock.monotonic()
        self._mine: LeaseObject | None = None

    async def _beat(self, wanted: frozenset[str]) -> Beat:
        if not wanted:
            await self._let_go()
            return Beat(frozenset())
        for _ in range(_TRIES):
            found = await self._store.read()
            self._observe(found)
            if found is not None and not self._may_be_taken(found):
                break
            self._mine = await self._taken(found)
            if self._mine is not None:
                return Beat(wanted)
        self._mine = None
        return Beat(frozenset(), dict.fromkeys(wanted, self._clock.monotonic() - self._seen_at))

    def _observe(self, found: LeaseObject | None) -> None:
        seen = (found.holder, found.renewed) if found else ("", "")
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock.monotonic()

    def _may_be_taken(self, found: LeaseObject) -> bool:
        silent = self._clock.monotonic() - self._seen_at
        return found.holder in {"", self._identity} or silent >= found.duration

    async def _taken(self, found: LeaseObject | None) -> LeaseObject | None:
        now = written(self._clock.time())
        mine = {"holderIdentity": self._identity, "leaseDurationSeconds": math.ceil(self._ttl), "renewTime": now}
        if found is None:
            return await self._store.create(**mine, acquireTime=now, leaseTransitions=0)
        if found.holder != self._identity:
            mine |= {"acquireTime": now, "leaseTransitions": found.transitions + 1}
        return await self._store.update(found.changed(**mine))

    async def _let_go(self) -> None:
        """Say that nobody holds it, so that another agent takes it with its next beat."""
        mine, self._mine = self._mine, None
        if mine is None:
            return
        free = mine.changed(holderIdentity="", leaseDurationSeconds=1, renewTime=written(self._clock.time()))
        with suppress(QuaywatchError, TimeoutError):
            async with asyncio.timeout(_LET_GO_WITHIN):
                await self._store.update(free)

    async def _hang_up(self) -> None:
        await self._store.close()


def written(moment: float) -> str:
    """A Unix time as Kubernetes writes it, with microseconds."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
