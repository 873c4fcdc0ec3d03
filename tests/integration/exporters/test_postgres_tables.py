"""What is read on visits to a real database: sizes, tables and indexes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exporters import postgres_indexes, postgres_sizes, postgres_tables
from sandbox.cache import SandboxError
from sandbox.parts import postgres
from sandbox.parts.postgres import Postgres, session, sql
from sandbox.process import Services, until

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

_TABLES = """
create table orders as select id, 0 as state, repeat('x', 50) as note from generate_series(1, 300000) id;
create index on orders (id);
create table small as select 1 as id from generate_series(1, 10);
"""
_ESTIMATES = """
select sum(relpages) filter (where not relisshared) * 8192, sum(relpages) filter (where relisshared) * 8192
  from pg_class where relkind <> 'I'
"""
_EVERY_TABLE = "select sum(pg_total_relation_size(oid)) from pg_class where relkind in ('r', 'm') and not relisshared"
"""The file system's truth, of the catalogue's own tables too."""


@pytest.fixture(scope="module")
def server(services: Services) -> Postgres:
    """A primary with a tenant ``acme``, where nobody vacuums unasked."""
    primary = postgres.start(services, None, None)
    sql(primary, "alter system set autovacuum = off; select pg_reload_conf()")
    sql(primary, "drop database if exists acme with (force)")
    sql(primary, "create database acme")
    sql(primary, _TABLES, "acme")
    sql(primary, "vacuum analyze", "acme")
    sql(primary, f"alter table orders owner to {postgres.ODOO_ROLE}", "acme")
    return primary


async def test_sizes_come_near_the_truth(server: Postgres, connect: Any, read: Read) -> None:
    """Row 15: after a vacuum estimate and file system agree within a tenth; what all databases share is left out."""
    async with (await connect(server)).visit("acme") as visit:
        found = await read(postgres_sizes.EXPORTER, visit)
    true = int(sql(server, "select pg_database_size('acme')"))
    assert sum(found.values()) == pytest.approx(true, rel=0.1)
    own, shared = (int(size) for size in sql(server, _ESTIMATES, "acme").split("|"))
    assert shared > 0
    assert sum(found.values()) == own
    assert found["postgresql.database.size.estimate", "index"] > 0


async def test_large_tables_lead_and_the_rest_is_other(server: Postgres, connect: Any, read: Read) -> None:
    """Row 22: with its indexes a table is as large as PostgreSQL says, and with the rest as large as all of them."""
    options = postgres_tables.Options(top=1)
    async with (await connect(server)).visit("acme") as visit:
        found = await read(postgres_tables.EXPORTER, visit, options)
    assert found["postgresql.table.size.estimate", "public.orders"] == pytest.approx(
        int(sql(server, "select pg_total_relation_size('orders')", "acme")), rel=0.05
    )
    sizes = {key[1]: value for key, value in found.items() if key[0] == "postgresql.table.size.estimate"}
    assert sizes.keys() == {"public.orders", "other"}
    assert sum(sizes.values()) == pytest.approx(int(sql(server, _EVERY_TABLE, "acme")), rel=0.05)
    assert found["postgresql.table.vacuum.age", "public.orders"] < 600


async def test_dead_rows_show_with_their_table(server: Postgres, connect: Any, read: Read, eventually: Read) -> None:
    """Row 15: what an update left behind is counted until a vacuum comes, and sizes are, whatever locks the table."""
    sql(server, "update orders set state = 1 where id <= 20000", "acme")
    dead = ("postgresql.table.rows.dead", "public.orders")

    async def reading() -> dict[tuple[str, ...], Any]:
        async with (await connect(server)).visit("acme") as visit:
            return await read(postgres_tables.EXPORTER, visit)

    # Within a lock that nothing which opens the table could get past.
    with session(server, "begin; lock table orders in access exclusive mode;", "acme", "odoo-7"):
        locked = "select 1 from pg_locks where mode = 'AccessExclusiveLock' and relation = 'orders'::regclass"
        assert until(lambda: bool(sql(server, locked, "acme")), within=30)
        found = await eventually(reading, lambda found: found[dead] >= 20000)
        async with (await connect(server)).visit("acme") as visit:
            assert await read(postgres_sizes.EXPORTER, visit)
    assert found["postgresql.table.rows.live", "public.orders"] == pytest.approx(300000, rel=0.1)


async def test_an_index_whose_building_failed_is_counted(server: Postgres, connect: Any, read: Read) -> None:
    """What a failed concurrent build leaves behind, until it is dropped."""
    invalid = ("postgresql.index.invalid",)
    async with (await connect(server)).visit("acme") as visit:
        assert await read(postgres_indexes.EXPORTER, visit) == {invalid: 0}
        with pytest.raises(SandboxError):
            sql(server, "create unique index concurrently twice on small (id)", "acme")
        assert await read(postgres_indexes.EXPORTER, visit) == {invalid: 1}
        sql(server, "drop index twice", "acme")
        assert await read(postgres_indexes.EXPORTER, visit) == {invalid: 0}
