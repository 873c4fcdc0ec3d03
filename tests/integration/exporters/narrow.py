"""A role that holds what one exporter declares, and nothing else; and visits as that role, or as Odoo's own admin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from quaywatch.contract import Exporter, Grant
from quaywatch.drivers.odoo import OdooServer
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.secret import Secret
from sandbox.parts.postgres import Postgres, sql
from sandbox.world import World
from tests.integration.probes.support import address

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Any]

_ROLE = """
select 'create role {role} login password ''{role}''' where to_regrole('{role}') is null \\gexec
"""
_GRANT = """
select format('grant select (%s) on public.%I to {role}', string_agg(column_name, ', '), table_name)
  from information_schema.columns
 where table_schema = 'public' and table_name = '{table}' and column_name in ({columns})
 group by table_name \\gexec
"""


@cache
def role_of(exporter: str, grants: tuple[Grant, ...], server: Postgres, database: str) -> str:
    """The role of an exporter, made where it is not there; its name is its password."""
    role = f"only_{exporter}"
    statements = [_ROLE.format(role=role)]
    for grant in grants:
        columns = ", ".join(f"'{column}'" for column in grant.columns)
        statements.append(_GRANT.format(role=role, table=grant.table, columns=columns))
    sql(server, "".join(statements), database)
    return role


async def visited(
    exporter: Exporter[Any, Any, Any], server: Postgres, database: str, read: Read, *others: Any
) -> Reading:
    """One reading by the exporter's own role; ``others`` are its options and state."""
    role = role_of(exporter.name, exporter.grants, server, database)
    address = PostgresAddress(host=server.host, port=server.port, user=role, password=Secret(role))
    cluster = PostgresCluster(address)
    try:
        async with cluster.visit(database) as session:
            found: Reading = await read(exporter, session, *others)
            return found
    finally:
        await cluster.close()


@asynccontextmanager
async def administrator(world: World, database: str) -> AsyncIterator[OdooServer]:
    """Odoo over its RPC as its admin, who sees everything."""
    odoo = getattr(world, database)
    server = OdooServer(address(odoo, login=odoo.admin_login, password=Secret(odoo.admin_password)))
    try:
        yield server
    finally:
        await server.close()


def assert_same(found: Reading, expected: Reading, exporter: Exporter[Any, Any, Any]) -> None:
    """Two ways of reading agree on what this exporter's metrics say, on ages within 100 s."""
    names = {metric.name for metric in exporter.metrics}
    wanted = {key: value for key, value in expected.items() if key[0] in names}
    assert found.keys() == wanted.keys(), sorted(found.keys() ^ wanted.keys())
    for key, value in wanted.items():
        apart = 100 if key[0].endswith((".age", ".longest")) else 0
        assert abs(found[key] - value) <= apart, (key, found[key], value)
