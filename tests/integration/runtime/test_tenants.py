"""Three hundred tenant databases on one cluster, visited a few at a time."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterable, Iterator

import pytest

from quaywatch.contract import Series
from quaywatch.drivers.postgres import PostgresAddress
from quaywatch.runtime import catalogue
from quaywatch.runtime.catalogue import LEASE_HELD, SCRAPE_SUCCESS, SNAPSHOT_AGE, TARGET_UP
from sandbox.host import in_memory
from sandbox.parts import postgres
from sandbox.parts.postgres import Postgres, has_database, sql
from sandbox.process import Services
from tests.integration.runtime.agents import (
    QUEUE_TABLE,
    Bench,
    address,
    cluster,
    eventually,
    leased,
    meanwhile,
    superuser,
)
from tests.unit.runtime.fakes import matching, value

TENANTS = 300
EVERY = 15.0
SOON = 4 * EVERY
"""Two intervals, or twice that on a busy machine."""
PATIENT = 10.0
"""Seconds that one reading may take on a busy machine."""
MOST = 5
"""Connections: one kept, three visits, one for the leases."""
TEMPLATE = "runtime_tenant_template"
COPY = f"create database runtime_tenant_%s template {TEMPLATE} strategy file_copy;"
SESSIONS = "select count(*) from pg_stat_activity where usename = 'quaywatch'"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A cluster of its own with three hundred tenants, each with a queue of one job.

    It is deleted as a whole: to drop three hundred databases, or to write them out, takes longer than the test.
    """
    with in_memory("quaywatch-tenants-") as state:
        services = Services(state)
        primary = postgres.start(services, None, None)
        sql(primary, f"create database {TEMPLATE}")
        sql(primary, f"{QUEUE_TABLE}; grant select on queue_job to quaywatch", TEMPLATE)
        sql(primary, "\n".join(COPY % number for number in range(TENANTS)))
        yield primary
        services.kill(postgres.PRIMARY, signal.SIGQUIT)
        services.stop_all()


def tenant(name: str) -> bool:
    """Whether a database belongs to this test."""
    return name.startswith("runtime_tenant_") and name != TEMPLATE


def patient(server: Postgres) -> PostgresAddress:
    """How to log in, with time for it on a busy machine."""
    return address(server, connect_within=PATIENT, answer_within=PATIENT)


async def test_three_hundred_tenants_cost_five_connections(server: Postgres) -> None:
    """Rows 16, 17: in two intervals all are read, over five connections at most; a dropped one ends with its tour."""
    if not has_database(server, "runtime_tenant_7"):
        sql(server, COPY % 7)
    bench = Bench(leased(patient(server), ttl=15))
    seen: list[int] = []
    async with superuser(server) as observer:

        async def count() -> None:
            seen.append(await observer.fetchval(SESSIONS))

        async with (
            bench.watching(cluster("db", patient(server), EVERY, deadline=PATIENT, tenants=tenant)),
            meanwhile(count, every=0.02),
        ):
            await eventually(lambda: len(queues(bench)) == TENANTS, within=SOON)
            assert value(bench.everything, catalogue.TENANTS, target="db") == TENANTS
            assert {one.value for one in matching(bench.everything, SCRAPE_SUCCESS)} == {1}
            assert value(bench.everything, LEASE_HELD, target="db") == 1
            async with superuser(server) as owner:
                await owner.execute("drop database runtime_tenant_7 with (force)")
            dropped = time.monotonic()
            await eventually(lambda: not of(bench, "runtime_tenant_7"), within=SOON)
            await eventually(lambda: oldest(bench) < time.monotonic() - dropped, within=SOON)
            assert len(queues(bench)) == TENANTS - 1
    assert max(seen) <= MOST
    assert max(seen) > 2
    assert await gone(server)


async def gone(server: Postgres) -> bool:
    """Whether all connections are let go of within seconds."""
    async with superuser(server) as observer:
        for _ in range(400):
            if not await observer.fetchval(SESSIONS):
                return True
            await asyncio.sleep(0.05)
    return False


def queues(bench: Bench) -> list[Series]:
    """One series for each tenant that was read."""
    return matching(bench.everything, "odoo.queue.live", target="db")


def oldest(bench: Bench) -> float:
    """The age of the tenant's reading that is longest ago."""
    return max(float(str(one.value)) for one in matching(bench.everything, SNAPSHOT_AGE, exporter="odoo_queue"))


def of(bench: Bench, database: str) -> list[Series]:
    """Everything that is said of a database."""
    return [one for one in bench.everything.series() if ("database", database) in one.attributes]


async def test_a_tenant_that_may_not_be_read_costs_only_itself(server: Postgres) -> None:
    """Row 18: without the grant one exporter fails in one database, with its reason; all others are read."""
    sql(server, "revoke select on queue_job from quaywatch", "runtime_tenant_3")
    sql(server, "drop table if exists queue_job", "runtime_tenant_4")
    bench = Bench()
    few = {f"runtime_tenant_{number}" for number in range(1, 7)}
    watched = cluster("db", patient(server), 5.0, deadline=PATIENT, tenants=lambda name: name in few)
    async with bench.watching(watched):
        await eventually(lambda: None not in fared(bench, few).values(), within=30)
        assert fared(bench, few) == {name: int(name != "runtime_tenant_3") for name in few}
        assert value(bench.everything, "quaywatch.scrape.error", exporter="odoo_queue", reason="permission") >= 1
        assert matching(bench.everything, "odoo.queue.live", database="runtime_tenant_4") == []
        assert value(bench.everything, "odoo.queue.live", database="runtime_tenant_5") == 1
        assert value(bench.everything, TARGET_UP, target="db") == 1


def fared(bench: Bench, databases: Iterable[str]) -> dict[str, int | None]:
    """The queue exporter's success in each database."""
    return {name: value(bench.everything, SCRAPE_SUCCESS, exporter="odoo_queue", database=name) for name in databases}
