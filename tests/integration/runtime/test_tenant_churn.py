"""Forty tenants with the tables of real Odoos, all of which is read, while they come, go and change their names."""

from __future__ import annotations

import asyncio
import gc
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from exporters import EXPORTERS
from otel_config.encoding import Encoder
from otel_config.prometheus import Exposition
from otel_config.wire import Temporality
from quaywatch.clock import SystemClock
from quaywatch.contract import Per
from quaywatch.drivers.postgres import PostgresCluster
from quaywatch.runtime.catalogue import SCRAPE_SUCCESS, TOUR_DURATION
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.readings import Collection, Store, Tour
from quaywatch.runtime.view import Everything
from sandbox import tenants
from sandbox.host import in_memory
from sandbox.parts import postgres
from sandbox.parts.odoo import ODOO14, ODOO19
from sandbox.parts.postgres import Postgres, sql
from sandbox.process import Services
from tests.integration.runtime.agents import address, meanwhile, superuser, task
from tests.unit.runtime.fakes import matching, value

TENANTS = 40
SECONDS_FOR_A_TENANT = 30.0 / 1000
SLACK = 20
"""How many times as long it may take on a busy machine."""
ROUNDS = 3
COMING_AND_GOING = 3
GROWTH = 1.01
NAME = re.compile(r"tenant_[0-9]{4}")
SESSIONS = "select count(*) from pg_stat_activity where usename = 'quaywatch'"
ASKED = """
select query from pg_stat_statements s join pg_roles r on r.oid = s.userid where r.rolname = 'quaywatch'
"""
ODOO = [one for one in EXPORTERS if one.per is Per.DATABASE and one.name.startswith("odoo_")]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A cluster of its own, which is deleted as a whole."""
    with in_memory("quaywatch-churn-") as state:
        services = Services(state)
        primary = postgres.start(services, None, None)
        tenants.prepare(primary)
        tenants.add(primary, tenants.names(TENANTS))
        yield primary
        services.kill(postgres.PRIMARY, signal.SIGQUIT)
        services.stop_all()


class Bench:
    """Tours through the tenants, four visits at a time, by everything that reads Odoo's tables."""

    def __init__(self, server: Postgres) -> None:
        clock = SystemClock()
        meter = Instruments("test", clock)
        store = Store("test", clock)
        self.everything = Everything(store, meter)
        self.page = Exposition(self.everything, {}, meter)
        self.otlp = Encoder({}, meter, temporality=Temporality.DELTA)
        self.cluster = PostgresCluster(address(server))
        self.tour = Tour(
            "db",
            [task(one, 30.0, deadline=10.0) for one in ODOO],
            cluster=self.cluster,
            tenants=lambda name: name.startswith("tenant_"),
            visits=asyncio.Semaphore(4),
            collection=Collection(store, meter, clock),
            meter=meter,
            clock=clock,
        )

    def leave(self) -> None:
        """Export everything both ways: what they remember for the next time is a part of what is kept."""
        self.page()
        for _batch in self.otlp.encode(self.everything.series(), time.time()):
            pass

    def shown(self) -> set[str]:
        """The databases of which anything is said."""
        pairs = (pair for one in self.everything.series() for pair in one.attributes)
        return {text for name, text in pairs if name == "database"}


@pytest_asyncio.fixture
async def bench(server: Postgres) -> AsyncIterator[Bench]:
    """A bench whose cluster is let go of."""
    bench = Bench(server)
    yield bench
    await bench.cluster.close()


async def test_everything_is_read_in_time_over_five_connections(server: Postgres, bench: Bench) -> None:
    """A thousand tenants would take half a minute; nothing fails, and both editions say what only they can say."""
    seen: list[int] = []
    async with superuser(server) as observer:

        async def count() -> None:
            seen.append(await observer.fetchval(SESSIONS))

        async with meanwhile(count, every=0.02):
            await bench.tour.go()
    assert value(bench.everything, TOUR_DURATION) < TENANTS * SECONDS_FOR_A_TENANT * SLACK
    assert 2 < max(seen) <= 5
    assert {one.value for one in matching(bench.everything, SCRAPE_SUCCESS)} == {1}
    assert len(matching(bench.everything, SCRAPE_SUCCESS)) == TENANTS * len(ODOO)
    for everywhere in ("odoo.queue.live", "odoo.cron.active", "odoo.orders.last.age", "odoo.modules.installed"):
        assert len(matching(bench.everything, everywhere)) == TENANTS
    assert len(matching(bench.everything, "odoo.cron.failing")) == TENANTS / 2
    assert not matching(bench.everything, "quaywatch.cardinality.dropped")


async def test_a_visit_asks_nothing_but_what_exporters_ask(server: Postgres, bench: Bench) -> None:
    """The driver looks up no types: it would in each new session, at the price of all other statements together."""
    await bench.tour.go()
    async with superuser(server) as observer:
        asked = [row["query"] for row in await observer.fetch(ASKED)]
    assert len(asked) > len(ODOO)
    assert [query for query in asked if not query.startswith("/* quaywatch */")] == []


async def test_nothing_is_left_of_tenants_that_went(server: Postgres, bench: Bench) -> None:
    """Round by round some are dropped, made and renamed: what exists is shown, and nobody else is remembered.

    Not one text in the process names a tenant that went, and each that is there is named as often as those before.
    """
    existing = await asyncio.to_thread(_named_anew, server)
    first, next_number = _number(existing[0]), _number(existing[-1]) + 1
    await bench.tour.go()
    bench.leave()
    assert set(_remembered(first)) == set(existing)
    objects = []
    for _ in range(ROUNDS):
        gone, renamed = existing[:COMING_AND_GOING], existing[COMING_AND_GOING : 2 * COMING_AND_GOING]
        made = tenants.names(2 * COMING_AND_GOING, first=next_number)
        next_number += len(made)
        await asyncio.to_thread(_change, server, gone, renamed, made)
        existing = [*existing[2 * COMING_AND_GOING :], *made]
        del gone, renamed
        await bench.tour.go()
        bench.leave()
        assert bench.shown() == set(existing)
        assert {one.value for one in matching(bench.everything, SCRAPE_SUCCESS)} == {1}
        remembered = _remembered(first)
        assert set(remembered) == set(existing)
        objects.append(sum(remembered.values()))
    assert max(objects) < objects[0] * GROWTH


def _named_anew(server: Postgres) -> list[str]:
    """The tenants that are there, by names that nobody knew before: the report of a test that failed names some too."""
    there = [name for name in sql(server, "select datname from pg_database order by 1").split() if NAME.fullmatch(name)]
    named = tenants.names(len(there), first=1 + max(map(_number, [*there, *_remembered()])))
    sql(server, "\n".join(f"alter database {old} rename to {new};" for old, new in zip(there, named, strict=True)))
    return named


def _number(name: str) -> int:
    return int(name.removeprefix("tenant_"))


def _remembered(first: int = 0) -> Counter[str]:
    """How many texts of this process name each tenant from a number on: all texts that any object holds."""
    gc.collect()
    found: Counter[str] = Counter()
    seen: set[int] = set()
    holders = gc.get_objects()
    while holders:
        for one in gc.get_referents(holders.pop()):
            if type(one) in (str, bytes) and id(one) not in seen:
                seen.add(id(one))
                text = one.decode(errors="replace") if isinstance(one, bytes) else one
                found.update({name for name in NAME.findall(text) if _number(name) >= first})
            elif not gc.is_tracked(one) and id(one) not in seen and gc.get_referents(one):
                seen.add(id(one))
                holders.append(one)
    return found


def _change(server: Postgres, gone: list[str], renamed: list[str], made: list[str]) -> None:
    statements = [f"drop database {name};" for name in gone]
    statements += [f"alter database {old} rename to {new};" for old, new in zip(renamed, made, strict=False)]
    sql(server, "\n".join(statements))
    tenants.add(server, made[len(renamed) :])


def test_tenants_have_the_rows_they_are_said_to_have(server: Postgres) -> None:
    """Each edition has its own tables, and the work that was made up beside what Odoo itself put there."""
    for edition, cron_tables in ((ODOO19, 2), (ODOO14, 0)):
        rows = tenants.counts(server, tenants.template(edition))
        assert sum(table in rows for table in ("ir_cron_trigger", "ir_cron_progress")) == cron_tables
        assert rows["queue_job"] >= tenants.JOBS
        for table, (made, _) in tenants.ROWS.items():
            assert rows.get(table, made) >= made
