"""A role that holds what one exporter declares, and nothing else; and visits as that role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quaywatch.contract import Exporter
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.secret import Secret
from sandbox.parts.postgres import Postgres, sql

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


def role_of(exporter: Exporter[Any, Any, Any], server: Postgres, *databases: str) -> str:
    """The role, made where it is not there; its name is its password."""
    role = f"only_{exporter.name}"
    sql(server, _ROLE.format(role=role))
    for database in databases:
        for grant in exporter.grants:
            columns = ", ".join(f"'{column}'" for column in grant.columns)
            sql(server, _GRANT.format(role=role, table=grant.table, columns=columns), database)
    return role


async def visited(
    exporter: Exporter[Any, Any, Any], server: Postgres, database: str, read: Read, *others: Any
) -> Reading:
    """One reading by the exporter's own role; ``others`` are its options and state."""
    role = role_of(exporter, server, database)
    address = PostgresAddress(host=server.host, port=server.port, user=role, password=Secret(role))
    cluster = PostgresCluster(address)
    try:
        async with cluster.visit(database) as session:
            found: Reading = await read(exporter, session, *others)
            return found
    finally:
        await cluster.close()
