"""An agent as a process of its own, for the trial of shards: it reads many HTTP targets, and says who it is to each."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from quaywatch.contract import Exporter, ExporterTask, Http, Metric, Sample, Target, TargetKind, Watched
from quaywatch.contract.metrics import Kind
from quaywatch.drivers.http import HttpAddress, HttpServer
from quaywatch.drivers.kubernetes import KubernetesMembers, LeaseAddress
from quaywatch.drivers.postgres import PostgresAddress, PostgresSession
from quaywatch.runtime.leases import KubernetesShards, Leases, PostgresShards
from quaywatch.secret import Secret
from tests.integration.runtime.agents import Bench

READ = Metric("trial.read", Kind.GAUGE, "", "1 when it was read.", ())


async def _collect(driver: Http, _options: None, _state: None) -> AsyncIterator[Sample]:
    await driver.get("/read")
    yield Sample(READ, 1)


_EXPORTER: Exporter[Any, Any, Any] = Exporter(
    name="trial",
    reads=TargetKind.HTTP,
    metrics=(READ,),
    options=type(None),
    collect=_collect,
    state=lambda: None,
)


def _watched(settings: dict[str, Any], name: str) -> Watched:
    address = HttpAddress(url=f"{settings['ledger']}/{name}", headers={"X-Agent": Secret(settings["name"])})
    every = settings["every"]
    task = ExporterTask(_EXPORTER, None, every, every * 0.8)
    return Watched(Target(name, TargetKind.HTTP), partial(HttpServer, address), (task,), fingerprint=name)


def _keeper(settings: dict[str, Any]) -> Callable[[Bench], Leases]:
    where, ttl = settings["keeper"], settings["ttl"]

    def postgres(bench: Bench) -> Leases:
        address = PostgresAddress(**{**where, "password": Secret(where["password"])})
        return PostgresShards(
            lambda: PostgresSession(address), installation="shards", ttl=ttl, meter=bench.meter, clock=bench.clock
        )

    def kubernetes(bench: Bench) -> Leases:
        members = KubernetesMembers(LeaseAddress(**where), settings["name"])
        return KubernetesShards(members, identity=settings["name"], ttl=ttl, meter=bench.meter, clock=bench.clock)

    return kubernetes if "token_file" in where else postgres


async def _live(settings: dict[str, Any]) -> None:
    targets = [_watched(settings, f"t{number}") for number in range(settings["targets"])]
    async with Bench(_keeper(settings)).watching(*targets):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_live(json.loads(sys.argv[1])))
