"""Servers of this directory's own, since its tests cut lines and stop servers, and drivers to them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from quaywatch.contract import Exporter, Value
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.secret import Secret
from sandbox.parts import postgres
from sandbox.process import Services

Reading = dict[tuple[str, ...], Value]


@dataclass(frozen=True)
class Pair:
    """A primary, the standby that follows it, and who keeps both."""

    primary: postgres.Postgres
    standby: postgres.Postgres
    services: Services

    @property
    def postgres(self) -> postgres.Postgres:
        """The primary, as the sandbox calls it."""
        return self.primary

    def restart(self, name: str) -> None:
        """Start a stopped one as it was."""
        self.services.resume(name)


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """Keeps servers until the module's tests are done."""
    with tempfile.TemporaryDirectory(prefix="quaywatch-exporters-") as state:
        kept = Services(Path(state))
        try:
            yield kept
        finally:
            kept.stop_all()


@pytest.fixture(scope="module")
def primary(services: Services) -> postgres.Postgres:
    """A fresh server; the database ``acme`` has a table of orders."""
    server = postgres.start(services, None, None)
    postgres.sql(server, "drop database if exists acme with (force)")
    postgres.sql(server, "create database acme")
    postgres.sql(server, "create table orders as select id, 0 as state from generate_series(1, 9) id", "acme")
    postgres.sql(server, f"alter table orders owner to {postgres.ODOO_ROLE}", "acme")
    return server


@pytest.fixture(scope="module")
def pair(services: Services, primary: postgres.Postgres) -> Pair:
    """The primary, and a standby that follows it."""
    pair = Pair(primary, primary, services)
    return Pair(primary, postgres.start_standby(services, pair, None), services)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[PostgresCluster]]]:
    """Makes drivers that log in as the watching role, closed after the test."""
    opened: list[PostgresCluster] = []

    async def open_one(server: postgres.Postgres, user: str = "", password: str = "") -> PostgresCluster:
        address = PostgresAddress(
            host=server.host,
            port=server.port,
            user=user or server.user,
            password=Secret(password or server.password),
        )
        opened.append(PostgresCluster(address))
        await opened[-1].ping()
        return opened[-1]

    yield open_one
    for cluster in opened:
        await cluster.close()


@pytest.fixture
def read() -> Callable[..., Awaitable[Reading]]:
    """One reading of an exporter, as values by metric name and attribute values."""

    async def once(
        exporter: Exporter[Any, Any, Any], driver: object, options: Any = None, state: Any = None
    ) -> Reading:
        samples = exporter.collect(driver, options or exporter.options(), state or exporter.state())
        found = [sample async for sample in samples]
        reading = {(sample.metric.name, *sample.attributes): sample.value for sample in found}
        assert len(reading) == len(found)
        return reading

    return once


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Reading]]:
    """Reads again until a reading is as expected; a failed test after a minute shows the last one."""

    async def wait(reads: Callable[[], Awaitable[Reading]], expected: Callable[[Reading], bool]) -> Reading:
        deadline = time.monotonic() + 60
        while True:
            reading = await reads()
            if expected(reading):
                return reading
            assert time.monotonic() < deadline, f"not as expected: {reading}"
            await asyncio.sleep(0.05)

    return wait
