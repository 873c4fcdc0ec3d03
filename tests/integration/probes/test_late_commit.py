"""An Odoo that commits what its client no longer waits for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest
import pytest_asyncio

from quaywatch.contract import Outcome, Reason, Swept
from quaywatch.drivers.odoo import OdooServer
from sandbox.faults import freeze
from sandbox.parts.odoo import Odoo
from sandbox.process import until
from sandbox.world import World
from tests.integration.probes.support import address, marked, run_once, sweep_now

PARTS = ("odoo14", "odoo19")
INSTALLATION = "test-late-commit"


class FrozenAtCreate(OdooServer):
    """The driver of an Odoo that is frozen at the moment when the order is to be created."""

    def __init__(self, server: Odoo, world: World, thaw: ExitStack) -> None:
        super().__init__(address(server, answer_within=3.0))
        self._world = world
        self._thaw = thaw

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Freeze Odoo first, if this is the creation."""
        if method == "create":
            self._thaw.enter_context(freeze(self._world, self.database))
        return await super().call(model, method, *arguments, **keywords)


@pytest.fixture(params=["odoo14", "odoo19"])
def server(request: pytest.FixtureRequest, world: World) -> Odoo:
    """Each Odoo."""
    server: Odoo = world.endpoints[request.param]
    return server


@pytest_asyncio.fixture
async def driver(server: Odoo) -> AsyncIterator[OdooServer]:
    """The driver of the sweep afterwards."""
    driver = OdooServer(address(server))
    yield driver
    await driver.close()


async def test_an_order_committed_after_its_run_is_swept(driver: OdooServer, server: Odoo, world: World) -> None:
    """The run fails by time-out and its undoing finds nothing yet; the order appears later, and the sweep takes it."""
    with ExitStack() as thaw:
        frozen = FrozenAtCreate(server, world, thaw)
        record = await run_once(frozen, server, installation=INSTALLATION)
        await frozen.close()
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.FAILURE, Reason.TIMEOUT, "create")
    assert "sale.order.create" in record.message
    assert until(lambda: marked(world.postgres, server.database, INSTALLATION) == 1, within=60)
    assert await sweep_now(driver, INSTALLATION) == Swept(undone=1, erased=1)
    assert marked(world.postgres, server.database, INSTALLATION) == 0
