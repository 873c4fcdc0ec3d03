"""Each Odoo over each transport it has, as the probe's user."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from quaywatch.drivers.odoo import OdooServer
from quaywatch.secret import Secret
from sandbox.parts.odoo import Odoo
from sandbox.world import World
from tests.integration.probes.support import address


@pytest.fixture(params=[(14, "xmlrpc"), (19, "xmlrpc"), (19, "json2")], ids=lambda case: f"{case[0]}-{case[1]}")
def case(request: pytest.FixtureRequest, world: World) -> tuple[Odoo, str]:
    """Each Odoo over each transport it has."""
    version, transport = request.param
    return {14: world.odoo14, 19: world.odoo19}[version], transport


@pytest.fixture
def server(case: tuple[Odoo, str]) -> Odoo:
    """The Odoo."""
    return case[0]


@pytest_asyncio.fixture
async def driver(case: tuple[Odoo, str]) -> AsyncIterator[OdooServer]:
    """The driver, as the probe's user."""
    server, transport = case
    key = Secret(server.api_key) if transport == "json2" else None
    driver = OdooServer(address(server, api_key=key))
    yield driver
    await driver.close()
