"""What the tests on real Redis servers have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from exporters import EXPORTERS
from quaywatch.contract import TargetKind
from quaywatch.drivers.redis import RedisAddress, RedisServer
from quaywatch.secret import Secret
from sandbox.parts.redis import Redis

REDIS_EXPORTERS = {exporter.name: exporter for exporter in EXPORTERS if exporter.reads is TargetKind.REDIS}


@asynccontextmanager
async def connected(server: Redis, username: str = "", password: str = "") -> AsyncIterator[RedisServer]:
    """A driver to a server, closed at the end."""
    secret = Secret(password or server.password)
    driver = RedisServer(RedisAddress(host=server.host, port=server.port, username=username, password=secret))
    try:
        yield driver
    finally:
        await driver.close()
