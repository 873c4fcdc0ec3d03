"""How the tests of probes log in to the sandbox's Odoos, run order_create there, and look into the databases."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from opentelemetry.trace import NoOpTracer

from probes import order_create
from quaywatch.contract import Odoo as Driver
from quaywatch.contract import Probe, ProbeTask, SweepOrder, Swept, Target, TargetKind
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.runtime.clock import SystemClock
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.marks import mark_prefix
from quaywatch.runtime.probing import RunRecord, run_probe
from quaywatch.runtime.sweeping import sweep_probe
from quaywatch.secret import Secret
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import Postgres, sql

LIMIT_TIME_REAL = 3.0
"""Seconds: much shorter than a real Odoo's, so that a test can wait for it."""
_COUNT = "query_to_xml(format('select count(*) as rows from %I', table_name), false, true, '')"
_ROWS = f"""
select table_name, (xpath('/row/rows/text()', {_COUNT}))[1]
  from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'
"""  # noqa: S608 - constant


def address(server: Odoo, **changed: Any) -> OdooAddress:
    """How to log in as the probe's user, and as the janitor."""
    plain = OdooAddress(
        url=server.url,
        database=server.database,
        login=server.login,
        password=Secret(server.password),
        janitor_login=server.janitor_login,
        janitor_password=Secret(server.janitor_password),
        answer_within=10.0,
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
    deadline: float = 20,
    undo_within: float = 10,
) -> ProbeTask:
    """order_create, with the sandbox's partner and product, unless told otherwise."""
    options = options or order_create.Options(partner=server.partner_id, product=server.product_id)
    return ProbeTask(replace(probe, undo_within=undo_within), options, every=60, deadline=deadline)


async def run_once(
    driver: OdooServer,
    server: Odoo,
    options: Any = None,
    *,
    installation: str,
    probe: Probe[Driver, Any] = order_create.PROBE,
    tick: float | None = None,
) -> RunRecord:
    """One run, for the present moment unless a tick is given."""
    return await run_probe(
        task(server, options, probe=probe),
        driver,
        target=target(server),
        tick=time.time() if tick is None else tick,
        installation=installation,
        meter=Instruments("", SystemClock()),
        tracer=NoOpTracer(),
        clock=SystemClock(),
    )


async def sweep_now(
    driver: OdooServer, installation: str, probe: Probe[Driver, Any] = order_create.PROBE, options: Any = None
) -> Swept:
    """A sweep that waits for nothing: it takes even what was made this second."""
    prefix = mark_prefix(installation, probe.name)
    options = options or order_create.Options(partner=0, product=0)
    return await probe.sweep(driver, options, SweepOrder(prefix=prefix, older_than=-2))


async def sweep_once(driver: OdooServer, server: Odoo, *, installation: str) -> Instruments:
    """One sweep after short-lived runs; what it counted."""
    meter = Instruments("", SystemClock())
    await sweep_probe(
        task(server, deadline=2, undo_within=1),
        driver,
        target=target(server),
        installation=installation,
        limit_time_real=LIMIT_TIME_REAL,
        meter=meter,
    )
    return meter


def number(meter: Instruments, metric: str) -> float | None:
    """The value of a metric that has one series at most."""
    found = [one.value for one in meter.series() if one.metric.name == metric]
    assert len(found) <= 1
    value = found[0] if found else None
    assert value is None or isinstance(value, int | float)
    return value


def rows(postgres: Postgres, database: str) -> dict[str, int]:
    """How many rows each table of a database has."""
    lines = sql(postgres, _ROWS, database).splitlines()
    return {table: int(count) for table, _, count in (line.partition("|") for line in lines)}


def marked(postgres: Postgres, database: str, installation: str) -> int:
    """How many orders bear a mark of an installation."""
    mine = f"client_order_ref like 'quaywatch/{installation}/%'"
    return int(sql(postgres, f"select count(*) from sale_order where {mine}", database))  # noqa: S608 - own database
