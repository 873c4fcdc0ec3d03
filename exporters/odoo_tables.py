"""What an Odoo database has: its tables and columns differ with version and modules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from quaywatch.contract import Postgres

NOW = "(now() at time zone 'utc')"
"""Odoo's present: UTC without a time zone. The start of the statement, unlike the clock, is looked up in an index."""
COLUMNS = """
select c.relname as "table", a.attname as "column"
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relkind in ('r', 'p') and c.relname = any($1::text[])
"""
"""Not the information schema: that hides what the role may not read, and a missing grant would look like no module."""


async def columns(session: Postgres, *tables: str) -> Mapping[str, frozenset[str]]:
    """The columns of each of these tables; none of a table that is not there.

    Raises:
        TargetError: when the database does not answer.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in await session.fetch(COLUMNS, list(tables)):
        found[row["table"]].add(row["column"])
    return {table: frozenset(found[table]) for table in tables}
