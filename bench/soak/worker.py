"""The process that makes the runs, until it is told to end or killed: a run for each line, a line for each run.

The first line on standard input is the job as JSON, each further one a run: number and probe.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import structlog
from opentelemetry.trace import NoOpTracer

from quaywatch.clock import SystemClock
from quaywatch.contract import ProbeTask, Target, TargetKind, Transport
from quaywatch.drivers.browser import BrowserSettings, Site, SiteBrowser, WarmBrowser
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import RunRecord, run_probe
from quaywatch.secret import Secret
from sandbox.parts.odoo import Odoo

from .flows import flows

RPC_WITHIN, BROWSER_WITHIN, UNDO_WITHIN = 60.0, 150.0, 60.0
"""Seconds that a run may take: more than an operator would grant, since the machine is busy."""
_ANSWER_WITHIN: Final = 40.0


@dataclass(frozen=True, slots=True)
class Job:
    """Where the runs are made and under whose mark."""

    server: Odoo
    installation: str
    has_janitor: bool

    def plain(self) -> dict[str, Any]:
        """As JSON would have it."""
        return {**asdict(self)}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Job:
        """The job again."""
        return cls(**{**plain, "server": Odoo(**plain["server"])})


def target(server: Odoo) -> Target:
    """An Odoo as a target of the configuration."""
    return Target(server.database, TargetKind.ODOO)


def driver(job: Job, browser: WarmBrowser | None = None) -> OdooServer:
    """The driver of a job, as the probe's user."""
    server = job.server
    password = Secret(server.password)
    janitor: dict[str, Any] = {
        "janitor_login": server.janitor_login,
        "janitor_password": Secret(server.janitor_password),
    }
    address = OdooAddress(
        url=server.url,
        database=server.database,
        login=server.login,
        password=password,
        answer_within=_ANSWER_WITHIN,
        **(janitor if job.has_janitor else {}),
    )
    site = Site(url=server.url, database=server.database, login=server.login, password=password)
    return OdooServer(address, browser=SiteBrowser(site, browser) if browser else None)


async def serve(job: Job, lines: asyncio.StreamReader) -> None:
    """Make the runs that are asked for, until there are no more lines."""
    browser = WarmBrowser(BrowserSettings(turn_within=60.0))
    odoo, known = driver(job, browser), flows(job.server.database)
    while line := await lines.readline():
        number, name = json.loads(line)
        probe, options = known[name]
        within = BROWSER_WITHIN if probe.transport is Transport.BROWSER else RPC_WITHIN
        task = ProbeTask(replace(probe, undo_within=UNDO_WITHIN), options, every=60, deadline=within)
        record = await _run(job, odoo, task, float(number))
        told = {"outcome": record.outcome, "step": record.failed_step, "message": record.message}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    await odoo.close()
    await browser.close()


async def _run(job: Job, odoo: OdooServer, task: ProbeTask, tick: float) -> RunRecord:
    return await run_probe(
        task,
        odoo,
        target=target(job.server),
        tick=tick,
        installation=job.installation,
        meter=Instruments("", SystemClock()),
        tracer=NoOpTracer(),
        clock=SystemClock(),
    )


async def main() -> None:
    """Read the job, and then serve."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await serve(Job.of(json.loads(await lines.readline())), lines)
    transport.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
