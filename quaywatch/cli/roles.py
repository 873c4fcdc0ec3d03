"""The least that a PostgreSQL role needs, as SQL, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Grant, Postgres, Watched

MONITOR: Final = "select pg_catalog.pg_has_role('pg_monitor', 'usage') as monitor"
_COLUMNS: Final = """
select c.relname as "table", a.attname as "column",
       pg_catalog.has_column_privilege(c.oid, a.attnum, 'select') as allowed
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relname = any($1::text[])
"""
_HEAD: Final = """\
-- The least that Quaywatch needs on {target}. Run it with psql as a superuser; it may be run again.
select format('create role %I login', {literal}) where to_regrole({quoted_literal}) is null \\gexec
-- Then set its password: \\password {user}
grant pg_monitor to {user};
"""
_GRANTS: Final = """\
select format('grant select (%s) on public.%I to {user}', string_agg(quote_ident(column_name), ', '), table_name)
  from information_schema.columns
 where table_schema = 'public' and (table_name, column_name) in (values
    {pairs})
 group by table_name \\gexec
"""


@dataclass(frozen=True, slots=True)
class Lack:
    """Columns of a table that exist and that a role may not read."""

    database: str
    table: str
    columns: tuple[str, ...]

    def sql(self, user: str) -> str:
        """The statement that mends it, to be run in that database."""
        columns = ", ".join(map(identifier, self.columns))
        return f"grant select ({columns}) on public.{identifier(self.table)} to {identifier(user)};"


def wanted(watched: Watched) -> tuple[Grant, ...]:
    """What the exporters of a target read beyond ``pg_monitor``."""
    return tuple(grant for task in watched.exporters for grant in task.exporter.grants)


async def lacking(session: Postgres, grants: Sequence[Grant]) -> list[Lack]:
    """What the session's role lacks in its database; a table or column that is not there needs no grant.

    Raises:
        TargetError: when the database does not answer.
    """
    rows = await session.fetch(_COLUMNS, sorted({grant.table for grant in grants}))
    refused = {(row["table"], row["column"]) for row in rows if not row["allowed"]}
    return list(_lacks(session.database, grants, refused))


def _lacks(database: str, grants: Iterable[Grant], refused: set[tuple[str, str]]) -> Iterator[Lack]:
    for grant in grants:
        columns = tuple(column for column in grant.columns if (grant.table, column) in refused)
        if columns:
            yield Lack(database, grant.table, columns)


def role_script(target: str, user: str, grants: Sequence[Grant], databases: Sequence[str]) -> str:
    """The psql script that makes the role: it looks itself which columns a database has.

    Without known databases it says where its last part has to be run.
    """
    head = _HEAD.format(
        target=target, user=identifier(user), literal=literal(user), quoted_literal=literal(identifier(user))
    )
    if not grants:
        return head
    body = _GRANTS.format(
        user=identifier(user).replace("'", "''").replace("%", "%%"), pairs=",\n    ".join(_pairs(grants))
    )
    if not databases:
        return f"{head}-- Run what follows in each database of Odoo.\n{body}"
    return head + "".join(f"\\connect {identifier(database)}\n{body}" for database in databases)


def _pairs(grants: Iterable[Grant]) -> list[str]:
    pairs = {(grant.table, column) for grant in grants for column in grant.columns}
    return [f"({literal(table)}, {literal(column)})" for table, column in sorted(pairs)]


def identifier(name: str) -> str:
    """A name as SQL writes it, in quotes."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
