"""A process that runs order_create again and again until it is killed. The Odoo comes as JSON on standard input."""

from __future__ import annotations

import asyncio
import json
import sys

import structlog

from quaywatch.drivers.odoo import OdooServer
from sandbox.parts.odoo import Odoo
from tests.integration.probes.support import address, run_once


async def run(server: Odoo, installation: str) -> None:
    """Say ``ready`` once logged in, and then run for ever."""
    driver = OdooServer(address(server))
    await driver.ping()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        await run_once(driver, server, installation=installation)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(run(Odoo(**json.loads(sys.stdin.readline())), sys.argv[1]))
