"""What an Odoo database has: its tables and columns differ with version and modules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from weakref import WeakKeyDictionary

from quaywatch.contract import Metric, Postgres, Row, Sample

NOW = "(now() at time zone 'utc')"
"""Odoo's present: UTC without a time zone. The start of the statement, unlike the clock, is looked up in an index."""
IDS = "$1::text[]::int[]"
"""A statement's first parameter, a list of ids, each as text.

The driver knows lists of texts by heart. Any other list it looks up in each new session, which costs PostgreSQL and the
agent as much again as the whole visit.
"""
COLUMNS = """
select c.relname as "table", a.attname as "column"
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relkind in ('r', 'p') and c.relname = any($1::text[])
"""
"""Not the information schema: that hides what the role may not read, and a missing grant would look like no module."""


_asked: set[str] = set()
"""What exporters asked for so far: the next session will be asked for it too."""
_known: WeakKeyDictionary[Postgres, dict[str, frozenset[str]]] = WeakKeyDictionary()


async def columns(session: Postgres, *tables: str) -> Mapping[str, frozenset[str]]:
    """The columns of each of these tables; none of a table that is not there.

    A session is asked once for everything that any session was asked for: it lasts for one visit, and each exporter on
    that visit would ask anew.

    Raises:
        TargetError: when the database does not answer.
    """
    known = _known.setdefault(session, {})
    if not known.keys() >= set(tables):
        _asked.update(tables)
        known.update(await _read(session, sorted(_asked)))
    return {table: known[table] for table in tables}


async def _read(session: Postgres, tables: Sequence[str]) -> Mapping[str, frozenset[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in await session.fetch(COLUMNS, tables):
        found[row["table"]].add(row["column"])
    return {table: frozenset(found[table]) for table in tables}


def backlog(rows: Sequence[Row], states: Sequence[str], depth: Metric, oldest: Metric) -> Iterator[Sample]:
    """How many records are in each of these states, and the age of the oldest; 0 is measured, nothing has no age.

    A row has ``state``, ``records`` and ``oldest`` in seconds, which may be unknown. Odoo's clock may run ahead of
    PostgreSQL's: no age is below 0.
    """
    for state in states:
        mine = [row for row in rows if row["state"] == state]
        yield depth(sum(row["records"] for row in mine), state)
        ages = [row["oldest"] for row in mine if row["oldest"] is not None]
        if ages:
            yield oldest(max(0.0, *ages), state)


def records_by(column: str, rows: Sequence[Row]) -> Mapping[str, int]:
    """How many records there are of each value of a column; rows without one are ``unknown``."""
    found: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        found[row[column] or "unknown"] += row["records"]
    return found
