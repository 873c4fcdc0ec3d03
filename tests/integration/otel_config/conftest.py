"""Back ends of the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from otel_config.settings import Protocol
from tests.integration.otel_config.otlp_server import OtlpServer


@pytest.fixture(params=list(Protocol), ids=["grpc", "http"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """Each protocol in turn."""
    spoken: Protocol = request.param
    return spoken


@pytest.fixture
async def server(protocol: Protocol) -> AsyncIterator[OtlpServer]:
    """A back end that is there."""
    server = OtlpServer(protocol)
    await server.start()
    yield server
    await server.stop()
