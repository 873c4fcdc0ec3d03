"""SIGTERM in the middle of a run on a real Odoo."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import asyncpg

from sandbox.parts.postgres import sql
from sandbox.world import World
from tests.integration.cli.agent import running, until

PARTS = ("postgres", "odoo14")
INSTALLATION = "stop-in-a-run"
STOPS_WITHIN = 10.0
WAITING = "select count(*) from pg_locks where not granted and relation = 'stock_picking'::regclass"
OPEN = f"select count(*) from sale_order where client_order_ref like 'quaywatch/{INSTALLATION}/%' and state <> 'cancel'"  # noqa: S608


async def test_what_a_run_did_is_undone_before_the_agent_ends(world: World, tmp_path: Path) -> None:
    """Odoo is at confirming the order when the agent is told to stop; it ends in time, with 0, and leaves no order."""
    odoo = world.odoo14
    login = {"login": odoo.login, "password": odoo.password}
    janitor = {"login": odoo.janitor_login, "password": odoo.janitor_password}
    erp = {"kind": "odoo", "url": odoo.url, "database": odoo.database, **login, "janitor": janitor}
    flow = {"targets": ["erp"], "partner": odoo.partner_id, "product": odoo.product_id, "every": 10, "deadline": 9}
    configuration = {"installation": INSTALLATION, "targets": {"erp": erp}, "probes": {"order_create": flow}}
    holder = await asyncpg.connect(world.postgres.superuser_dsn(odoo.database))
    try:
        with running(tmp_path, configuration) as agent:
            async with holder.transaction():
                await holder.execute("lock table stock_picking in share mode")
                await asyncio.to_thread(
                    until, lambda: sql(world.postgres, WAITING, odoo.database) != "0", "the order is being confirmed"
                )
                began = time.monotonic()
                agent.signal(signal.SIGTERM)
                await asyncio.to_thread(until, lambda: bool(agent.events("stopping")), "the agent stops")
            code = await asyncio.to_thread(agent.process.wait, 60)
            took = time.monotonic() - began
    finally:
        await holder.close()
    assert (code, sql(world.postgres, OPEN, odoo.database)) == (0, "0")
    assert took < STOPS_WITHIN
