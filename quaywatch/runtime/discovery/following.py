"""Follows the pods of a node: a list, then what changes, and a new list whenever changes may have been missed.

A watch that ends is taken up again at the version it came to, so that nothing is lost; one whose version the server has
forgotten is replaced by a list, whose absences are the pods that went meanwhile. Now and then a list is made although
nothing seems wrong. While the API server cannot be reached, the pods that were known stay known.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from typing import Final, Protocol

import structlog

from quaywatch.clock import Clock
from quaywatch.contract import Meter
from quaywatch.drivers.deadline import deadline
from quaywatch.drivers.kubernetes import ExpiredError, Pod, PodChange, PodList
from quaywatch.errors import QuaywatchError
from quaywatch.runtime.catalogue import DISCOVERY_LISTS, DISCOVERY_UP

_log = structlog.get_logger(__name__)

_ANYTHING: Final = "0"
"""A list that the server has at hand: many agents that start at once cost it little."""
_LATEST: Final = ""
_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 30.0
"""Seconds before the API server is asked again, doubled from one failure to the next."""
_MOST_DOUBLINGS: Final = 10
"""More of them change nothing, and an outage of hours would bring numbers that no float can hold."""
_LASTING: Final = 5.0
"""Seconds of a watch after which its end is no failure."""
_MARGIN: Final = 10.0
"""Seconds that a server may be late in ending a watch."""


class PodSource(Protocol):
    """Where pods are read, as `quaywatch.drivers.kubernetes.NodePods` does."""

    async def list(self, since: str) -> PodList:
        """All pods, as of this version or later."""
        ...

    def watch(self, version: str, seconds: float) -> AsyncGenerator[PodChange, None]:
        """What changes after this version, for so many seconds at most."""
        ...

    async def close(self) -> None:
        """Cut the line."""
        ...


class Following:
    """Knows the pods of a node.

    Args:
        source: where they are read.
        changed: hears of them when they are known first, and when they changed.
        meter: where `quaywatch.discovery.*` goes.
        clock: time.
        resync: seconds after which a list is made although nothing seems wrong.
        chance: numbers from 0 to 1 that keep the agents of many nodes apart.
    """

    def __init__(
        self,
        source: PodSource,
        *,
        changed: Callable[[Collection[Pod]], None],
        meter: Meter,
        clock: Clock,
        resync: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._source = source
        self._changed = changed
        self._meter = meter
        self._clock = clock
        self._resync = resync
        self._chance = chance
        self._pods: dict[tuple[str, str], Pod] | None = None
        self._since = _ANYTHING
        """The version that the next list must not be older than."""
        self._version: str | None = None
        """Where a watch goes on; None when a list is needed first."""
        self._list_at = 0.0
        self._failures = 0
        self._troubled = False
        self.looked = False
        """Whether the pods were asked for once, and there was an answer, or none."""

    async def follow(self) -> None:
        """Follow for ever, until cancelled."""
        for cause in ("start", "expired", "resync"):
            self._meter.add(DISCOVERY_LISTS, 0, cause)
        try:
            while True:
                await self._turn()
                await self._clock.sleep(self._wait())
        finally:
            await self._source.close()

    async def _turn(self) -> None:
        """List where need be, and watch until the watch ends."""
        try:
            if self._version is None or self._clock.monotonic() >= self._list_at:
                await self._list()
            await self._watch()
        except ExpiredError as error:
            _log.info("pods are listed anew", why=str(error))
            self._version, self._since = None, _LATEST
            self._failures += 1
        except QuaywatchError as error:
            self._cut_off(str(error))
        except Exception as error:  # noqa: BLE001 - a task's border: a defect here must not end the following
            self._cut_off("", error)

    async def _list(self) -> None:
        cause = "resync" if self._version else {_ANYTHING: "start"}.get(self._since, "expired")
        found = await self._source.list(self._since)
        self._meter.add(DISCOVERY_LISTS, 1, cause)
        self._version = self._since = found.version
        self._list_at = self._clock.monotonic() + self._resync * (1 + self._chance() / 2)
        self._become({pod.key: pod for pod in found.pods if matters(pod)})

    async def _watch(self) -> None:
        """Take changes until the server, the line or the time for the next list ends it."""
        began = self._clock.monotonic()
        seconds = max(1.0, self._list_at - began)
        try:
            async with (
                deadline(seconds + _MARGIN, "the watch of the node's pods"),
                aclosing(self._source.watch(self._version or "", seconds)) as changes,
            ):
                async for change in changes:
                    self._stands()
                    self._take(change)
        finally:
            if lasted := self._clock.monotonic() - began >= _LASTING:
                self._failures = 0
        self._failures += not lasted

    def _take(self, change: PodChange) -> None:
        self._version = self._since = change.version
        if change.pod is None:
            return
        pods = dict(self._pods or {})
        pods.pop(change.pod.key, None)
        if matters(change.pod) and not change.gone:
            pods[change.pod.key] = change.pod
        self._become(pods)

    def _become(self, pods: dict[tuple[str, str], Pod]) -> None:
        self.looked = True
        if pods != self._pods:
            self._pods = pods
            self._changed(tuple(pods[key] for key in sorted(pods)))

    def _stands(self) -> None:
        self._meter.set(DISCOVERY_UP, 1)
        if self._troubled:
            _log.info("pods are followed again")
        self._troubled = False

    def _cut_off(self, error: str, defect: Exception | None = None) -> None:
        """Go on with what is known; it is told once, however long it lasts."""
        if not self._troubled:
            _log.warning("pods cannot be followed", error=error, exc_info=defect)
        self._troubled = self.looked = True
        self._failures += 1
        self._meter.set(DISCOVERY_UP, 0)

    def _wait(self) -> float:
        """Seconds until the next turn: the more failures in a row, the longer."""
        if self._failures == 0:
            return 0.0
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(self._failures - 1, _MOST_DOUBLINGS))
        return longest * (0.5 + 0.5 * self._chance())


def matters(pod: Pod) -> bool:
    """Whether a pod says something to us, and can be spoken to."""
    return pod.running and bool(pod.address) and bool(pod.annotations)
