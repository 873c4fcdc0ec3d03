"""How the tests of probes log in to the sandbox's Odoos, run order_create there, and look into the databases."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from opentelemetry.trace import NoOpTracer

from probes import order_create
from quaywatch.clock import SystemClock
from quaywatch.contract import Odoo as Driver
from quaywatch.contract import Probe, ProbeTask, SweepOrder, Swept, Target, TargetKind
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import RunRecord, run_probe
from quaywatch.runtime.probing.marks import PROCESS, mark_prefix
from quaywatch.secret import Secret
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import Postgres, sql


def address(server: Odoo, **changed: Any) -> OdooAddress:
    """How to log in as the probe's user, and as the janitor."""
    plain = OdooAddress(
        url=server.url,
        database=server.database,
        login=server.login,
        password=Secret(server.password),
        janitor_login=server.janitor_login,
        janitor_password=Secret(server.janitor_password),
        answer_within=40.0,
    )
    return replace(plain, **changed)


def target(server: Odoo) -> Target:
    """An Odoo as a target of the configuration."""
    return Target(server.database, TargetKind.ODOO)


def task(
    server: Odoo,
    options: Any = None,
    *,
    probe: Probe[Driver, Any] = order_create.PROBE,
    deadline: float = 60,
    undo_within: float = 60,
) -> ProbeTask:
    """order_create, with the sandbox's partner and product, unless told otherwise."""
    options = options or order_create.Options(partner=server.partner_id, product=server.product_id)
    return ProbeTask(replace(probe, undo_within=undo_within), options, every=300, deadline=deadline)


async def run_once(
    driver: OdooServer,
    server: Odoo,
    options: Any = None,
    *,
    installation: str,
    probe: Probe[Driver, Any] = order_create.PROBE,
    tick: float | None = None,
    process: str = PROCESS,
) -> RunRecord:
    """One run, for the present moment unless a tick is given, by this agent unless another is named."""
    return await run_probe(
        task(server, options, probe=probe),
        driver,
        target=target(server),
        tick=time.time() if tick is None else tick,
        installation=installation,
        meter=Instruments("", SystemClock()),
        tracer=NoOpTracer(),
        clock=SystemClock(),
        process=process,
    )


async def sweep_now(
    driver: OdooServer, installation: str, probe: Probe[Driver, Any] = order_create.PROBE, options: Any = None
) -> Swept:
    """A sweep that waits for nothing: it takes even what was made this second."""
    prefix = mark_prefix(installation, probe.name)
    options = options or order_create.Options(partner=0, product=0)
    return await probe.sweep(driver, options, SweepOrder(prefix=prefix, older_than=-2))


def marked(postgres: Postgres, database: str, installation: str) -> int:
    """How many orders bear a mark of an installation."""
    mine = f"client_order_ref like 'quaywatch/{installation}/%'"
    return int(sql(postgres, f"select count(*) from sale_order where {mine}", database))  # noqa: S608 - own database
