"""An agent as a process of its own, for tests and trials that kill it.

It watches one shared PostgreSQL target, with one exporter and one probe that notes its runs, in a table or in a file,
and says again and again as a line of JSON in a file what it does. Its log is lines of JSON too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from exporters.postgres_locks import EXPORTER as LOCKS
from quaywatch.contract import (
    Probe,
    ProbeTask,
    SweepOrder,
    Swept,
    Target,
    TargetKind,
    Transaction,
    Transport,
    Watched,
)
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.runtime.catalogue import LEASE_HELD, LEASE_UNCONFIRMED, PROBE_RUNS, TARGET_UP
from quaywatch.secret import Secret
from tests.integration.runtime.agents import Bench, leased, task
from tests.unit.runtime.fakes import value

Note = Callable[[str], Awaitable[None]]
"""Takes the mark of a run."""


def in_table(dsn: str, name: str) -> Note:
    """Writes mark and agent into the table ``runs``."""

    async def note(mark: str) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("insert into runs values ($1, $2)", mark, name)
        finally:
            await connection.close()

    return note


def in_file(path: str) -> Note:
    """Writes mark and time as a line of JSON, which no fault of a server keeps from being written."""
    file = Path(path).open("a")  # noqa: SIM115 - open as long as the process lives

    async def note(mark: str) -> None:
        file.write(json.dumps({"mark": mark, "at": time.time()}) + "\n")
        file.flush()
        await asyncio.sleep(0)

    return note


def noting(note: Note) -> Probe[Any, Any]:
    """A probe whose only step notes its run."""

    async def run(_driver: Any, _options: Any, transaction: Transaction) -> None:
        async with transaction.step("note"):
            await note(transaction.mark)

    async def sweep(_driver: Any, _options: Any, _order: SweepOrder) -> Swept:
        return Swept()

    return Probe(
        name="note",
        flow="note",
        transport=Transport.RPC,
        drives=TargetKind.POSTGRES,
        options=type(None),
        steps=("note",),
        run=run,
        sweep=sweep,
    )


async def live(settings: dict[str, Any]) -> None:
    """Watch, and say what is seen, until killed."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    login = {"user": settings["user"], "password": Secret(settings["password"])}
    where = PostgresAddress(host=settings["host"], port=settings["port"], **login)
    note = in_file(settings["ledger"]) if "ledger" in settings else in_table(settings["dsn"], settings["name"])
    probe = ProbeTask(noting(note), None, settings["every"], 2.0)
    bench = Bench(leased(where, settings["ttl"], fail_open=settings.get("fail_open", True)))
    target = Target("db", TargetKind.POSTGRES)
    watched = Watched(target, lambda: PostgresCluster(where), (task(LOCKS, settings["every"]),), (probe,))
    with Path(settings["said"]).open("w") as said_to:  # noqa: ASYNC230 - a local file, opened once
        async with bench.watching(watched):
            while True:
                said = {
                    "at": time.time(),
                    "up": value(bench.everything, TARGET_UP, target="db"),
                    "held": value(bench.everything, LEASE_HELD, target="db"),
                    "missed": value(bench.everything, PROBE_RUNS, outcome="missed"),
                    "unconfirmed": value(bench.everything, LEASE_UNCONFIRMED, target="db"),
                }
                said_to.write(json.dumps(said) + "\n")
                said_to.flush()
                await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(live(json.loads(sys.argv[1])))
