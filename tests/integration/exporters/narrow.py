"""A role that holds what one exporter declares, and nothing else; and visits as that role."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from quaywatch.contract import Exporter, Grant
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
