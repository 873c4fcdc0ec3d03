"""The pods of the node between one configuration and the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import structlog

from quaywatch.cli.discovering import Discovering
from quaywatch.clock import SystemClock
from quaywatch.config import load_text
from quaywatch.drivers.kubernetes import Pod, PodChange, PodList
from quaywatch.runtime.instruments import Instruments
from tests.unit.config.registry import EXPORTERS, PROBES

TEXT = "environment: test\ninstallation: acme\ntargets: {}\ndiscovery: {node: worker-1}\n"


class Node:
    """A node with one pod, whose annotation is wrong; nothing changes there."""

    async def list(self, _since: str) -> PodList:
        """The pod."""
        return PodList("1", (Pod("erp", "db-0", "10.0.0.7", running=True, annotations={"kind": "postgre"}),))

    async def watch(self, version: str, _seconds: float) -> AsyncGenerator[PodChange, None]:
        """The watch stands."""
        yield PodChange(version)
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """There is no line."""


async def test_a_refusal_is_told_once_for_each_time_that_discovery_is_put_in() -> None:
    """Not again while it goes on; again when discovery was taken out and put back."""
    clock, heard = SystemClock(), asyncio.Event()
    settings = load_text(TEXT, "test.yaml", {}, EXPORTERS, PROBES)

    async def apply() -> None:
        heard.set()

    discovering = Discovering(Instruments("", clock), clock, apply, lambda _: Node())
    told = []
    for _ in range(2):
        await discovering.take(settings.discovery)
        await asyncio.wait_for(heard.wait(), 5)
        with structlog.testing.capture_logs() as lines:
            discovering.found(settings)
            discovering.found(settings)
        told.append([line["event"] for line in lines])
        await discovering.take(None)
        heard.clear()
    await discovering.stop()
    assert told == [["a pod is not watched"]] * 2
