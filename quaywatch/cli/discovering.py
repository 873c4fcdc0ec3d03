"""The pods of the agent's node among its targets: how they are found, and when the agent hears of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

import structlog

from quaywatch.clock import Clock
from quaywatch.config import Settings
from quaywatch.config.discovery_table import DiscoveryTable
from quaywatch.config.pods import with_pods
from quaywatch.contract import Meter
from quaywatch.drivers.kubernetes import NodePods, Pod
from quaywatch.errors import QuaywatchError
from quaywatch.runtime.catalogue import DISCOVERY_LISTS, DISCOVERY_REFUSED, DISCOVERY_TARGETS, DISCOVERY_UP
from quaywatch.runtime.discovery import Following, PodSource, matters

from .plan import api_address

_log: Any = structlog.get_logger(__name__)


def node_pods(table: DiscoveryTable) -> NodePods:
    """Where the pods of the node are read."""
    return NodePods(api_address(table), table.node)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the node's pods gave.

    Args:
        settings: with a target for each pod.
        told: what was found, in one line; empty without discovery.
        wrong: a sentence for each pod that is not watched, or for why the pods are not known.
    """

    settings: Settings
    told: str = ""
    wrong: tuple[str, ...] = ()


async def look(settings: Settings) -> Look:
    """Ask once which pods there are."""
    table = settings.discovery
    if table is None:
        return Look(settings)
    source = node_pods(table)
    try:
        found = with_pods(settings, [pod for pod in (await source.list("")).pods if matters(pod)])
    except QuaywatchError as error:
        return Look(settings, f"discovery: the pods of {table.node} are not known", (str(error),))
    finally:
        await source.close()
    told = f"discovery: {found.targets} pods of {table.node} are watched, {len(found.refused)} are refused"
    return Look(found.settings, told, found.refused)


class Discovering:
    """Knows the pods of the node while a configuration asks for them; those known stay until others are.

    Args:
        meter: where `quaywatch.discovery.*` goes.
        clock: time.
        apply: puts the targets to work again; called after pods came, changed or went.
        source: where the pods that a table asks for are read.
    """

    def __init__(
        self,
        meter: Meter,
        clock: Clock,
        apply: Callable[[], Awaitable[None]],
        source: Callable[[DiscoveryTable], PodSource] = node_pods,
    ) -> None:
        self._meter = meter
        self._clock = clock
        self._apply = apply
        self._source = source
        self._table: DiscoveryTable | None = None
        self._following: Following | None = None
        self._follower: asyncio.Task[None] | None = None
        self._worker: asyncio.Task[None] | None = None
        self._pods: Collection[Pod] = ()
        self._news = asyncio.Event()
        self._refused: frozenset[str] = frozenset()

    @property
    def looked(self) -> bool:
        """Whether the pods were asked for once, where they are to be: answered or not."""
        return self._following is None or self._following.looked

    def found(self, settings: Settings) -> Settings:
        """The settings with the pods of this moment among the targets; a wrong annotation is told once."""
        if settings.discovery is None:
            return settings
        found = with_pods(settings, self._pods)
        self._meter.set(DISCOVERY_TARGETS, found.targets)
        self._meter.set(DISCOVERY_REFUSED, len(found.refused))
        for sentence in sorted(set(found.refused) - self._refused):
            _log.warning("a pod is not watched", why=sentence)
        self._refused = frozenset(found.refused)
        return found.settings

    async def take(self, table: DiscoveryTable | None) -> None:
        """Follow as this table says from now on; without one, nothing, and no pod is known any more."""
        if table == self._table:
            return
        self._table = table
        await _ended(self._follower)
        self._forget()
        if table is not None:
            self._following = Following(
                self._source(table), changed=self._hear, meter=self._meter, clock=self._clock, resync=table.resync
            )
            self._follower = asyncio.create_task(self._following.follow(), name="pods")
            self._worker = self._worker or asyncio.create_task(self._put_to_work(), name="targets of pods")

    async def stop(self) -> None:
        """End everything; what was found stays for the last export."""
        await _ended(self._follower)
        await _ended(self._worker)

    def _forget(self) -> None:
        self._following = None
        if self._table is None:
            self._pods = ()
            self._refused = frozenset()
        for metric in (DISCOVERY_UP, DISCOVERY_TARGETS, DISCOVERY_REFUSED, DISCOVERY_LISTS):
            self._meter.clear(metric)

    def _hear(self, pods: Collection[Pod]) -> None:
        self._pods = pods
        self._news.set()

    async def _put_to_work(self) -> None:
        """What changes while the targets are put to work is put to work after it, all at once."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._apply()
            except Exception:  # noqa: BLE001 - a task's border: a defect here must not end the discovery
                _log.exception("pods were not put to work")


async def _ended(task: asyncio.Task[None] | None) -> None:
    """End a task and wait for its end; who waits can be cancelled all the same."""
    if task is not None:
        task.cancel()
        await asyncio.wait({task})
