"""Two hundred runs, twenty more killed in the middle, and a sweep: nothing of them is left but what the docs name."""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from probes import shipment_confirm
from quaywatch.contract import Odoo as Contract
from quaywatch.contract import Outcome, Probe
from quaywatch.drivers.odoo import OdooServer
from quaywatch.runtime.probing import RunRecord
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import Postgres, sql
from sandbox.world import World
from tests.integration.probes.flows import SHIPMENT, flows
from tests.integration.probes.support import address, marked, number, rows, run_once, sweep_once

PARTS = ("odoo14", "odoo19")
ROOT = Path(__file__).parents[3]
INSTALLATION, OTHERS = "test-nothing-left", "test-nothing-left-others"
RUNS, KILLED = 100, 10
"""For each of the two Odoos."""
RUNS_AT_ONCE, KILLED_AT_ONCE = 4, 2
KILLED_WITHIN = 1.5
"""Seconds, about the time of a run on a busy machine."""
SWEPT_WITHIN = 60.0
WITH_JANITOR, AFTER_SHIPPING = "For ever, with a janitor", "What shipment_confirm leaves"
OF_ODOO_ITSELF = {"ir_cron_progress", "ir_cron_trigger"}
"""Tables that Odoo's own clock fills, probes or not."""
RESERVED = "select coalesce(sum(reserved_quantity), 0) from stock_quant"


def documented(section: str) -> set[str]:
    """The tables of which a section of the docs says that a run's rows stay in them."""
    _, _, after = (ROOT / "docs" / "residue.md").read_text().partition(f"## {section}\n")
    lines = re.findall(r"^\| (`[^|]*`) \|", after.partition("\n## ")[0], re.MULTILINE)
    return {name for line in lines for name in re.findall(r"`(\w+)`", line)}


async def many(count: int, at_once: int, work: Callable[[int], Awaitable[None]]) -> None:
    """Do something so many times, a few at a time."""
    places = asyncio.Semaphore(at_once)

    async def one(turn: int) -> None:
        async with places:
            await work(turn)

    await asyncio.gather(*(one(turn) for turn in range(count)))


async def runs(server: Odoo) -> list[RunRecord]:
    """Runs that are left alone, each of a tick of its own."""
    driver, records = OdooServer(address(server, answer_within=20)), list[RunRecord]()

    async def one(turn: int) -> None:
        records.append(await run_once(driver, server, installation=INSTALLATION, tick=float(turn)))

    await many(RUNS, RUNS_AT_ONCE, one)
    await driver.close()
    return records


async def killed(server: Odoo, seed: int) -> None:
    """Processes that run the probe and are killed at a random moment, without a chance to undo anything."""
    moments = random.Random(seed)  # noqa: S311 - no secret

    async def one(_turn: int) -> None:
        program = (sys.executable, "-m", "tests.integration.probes.runs_until_killed", INSTALLATION)
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=null)
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(asdict(server)).encode() + b"\n")
        assert await process.stdout.readline() == b"ready\n"
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), moments.uniform(0, KILLED_WITHIN))
        process.kill()
        await process.communicate()

    await many(KILLED, KILLED_AT_ONCE, one)


async def sweep_up(server: Odoo, postgres: Postgres) -> float:
    """Sweep until no order with a mark is left; how many records that took."""
    driver, swept, until = OdooServer(address(server)), 0.0, time.monotonic() + SWEPT_WITHIN
    while marked(postgres, server.database, INSTALLATION):
        assert time.monotonic() < until, f"{server.database}: the sweep leaves orders"
        meter = await sweep_once(driver, server, installation=INSTALLATION)
        swept += number(meter, "quaywatch.probe.swept") or 0
    assert number(await sweep_once(driver, server, installation=INSTALLATION), "quaywatch.probe.residue") == 0
    await driver.close()
    return swept


@pytest.mark.timeout(280)
async def test_nothing_is_left_but_what_the_docs_name(world: World) -> None:
    """No table of either database has grown that docs/residue.md does not name, and no stock is reserved."""
    servers = (world.odoo14, world.odoo19)
    for server in servers:
        driver = OdooServer(address(server))
        await run_once(driver, server, installation=INSTALLATION)
        await driver.close()
    before = [rows(world.postgres, server.database) for server in servers]
    reserved = [sql(world.postgres, RESERVED, server.database) for server in servers]

    running = asyncio.gather(*(runs(server) for server in servers))
    await asyncio.gather(*(killed(server, seed) for seed, server in enumerate(servers)))
    records = [record for done in await running for record in done]
    assert [record.message for record in records if record.outcome is not Outcome.SUCCESS] == []
    left = [marked(world.postgres, server.database, INSTALLATION) for server in servers]
    swept = [await sweep_up(server, world.postgres) for server in servers]
    assert sum(left) > 0, "no process was killed in the middle of a run: the test shows nothing"
    assert sum(swept) >= sum(left)

    for server, then, stock in zip(servers, before, reserved, strict=True):
        now = rows(world.postgres, server.database)
        grown = {table for table, count in now.items() if count > then.get(table, 0)}
        assert grown - OF_ODOO_ITSELF <= documented(WITH_JANITOR)
        assert sql(world.postgres, RESERVED, server.database) == stock


@pytest.mark.parametrize("name", ["odoo14", "odoo19"])
async def test_the_other_flows_leave_what_the_docs_name(world: World, name: str) -> None:
    """After another run of each flow no table has grown that the docs do not name; a shipment has a list of its own."""
    server: Odoo = world.endpoints[name]
    undone = {probe: options for probe, options in flows(server).items() if probe is not shipment_confirm.PROBE}
    shipped = {shipment_confirm.PROBE: SHIPMENT}
    driver = OdooServer(address(server, answer_within=20))
    await run_each(driver, server, {**undone, **shipped}, tick=1.0)
    counts = [rows(world.postgres, name)]
    for probes, section in ((undone, WITH_JANITOR), (shipped, AFTER_SHIPPING)):
        await run_each(driver, server, probes, tick=2.0)
        counts.append(rows(world.postgres, name))
        grown = {table for table, count in counts[-1].items() if count > counts[-2].get(table, 0)}
        assert grown - OF_ODOO_ITSELF <= documented(section)
    await driver.close()


async def run_each(driver: OdooServer, server: Odoo, probes: dict[Probe[Contract, Any], Any], *, tick: float) -> None:
    """One run of each flow, which must succeed."""
    for probe, options in probes.items():
        record = await run_once(driver, server, options, probe=probe, installation=OTHERS, tick=tick)
        assert record.message == ""
