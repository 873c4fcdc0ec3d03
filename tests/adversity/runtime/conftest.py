"""Servers that the runtime's tests may break: their own, not the sandbox of the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from sandbox.parts import postgres
from sandbox.process import Services
from tests.adversity.runtime.relay import Relay


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Where the servers of a module run; all are ended after it."""
    state = Services(tmp_path_factory.mktemp("runtime"))
    yield state
    state.stop_all()


@pytest.fixture(scope="module")
def server(services: Services) -> postgres.Postgres:
    """A PostgreSQL."""
    return postgres.start(services, None, None)


@pytest_asyncio.fixture
async def relay(server: postgres.Postgres) -> AsyncIterator[Relay]:
    """A way to that server that can go dark."""
    relay = Relay(server.host, server.port)
    await relay.open()
    yield relay
    await relay.close()
