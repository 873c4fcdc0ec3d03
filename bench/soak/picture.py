"""Every row of every table of a database, as a checksum: what was there before and is not so any more, what is new."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from sandbox.parts.postgres import Postgres

_NOT_THEIRS: Final = "where user_id not in (select id from res_users where login = 'probe')"
_BUT: Final = {
    "stock_quant": "where product_id not in (select id from product_product where default_code like 'PROBE-%')",
    "res_partner": "where ref is distinct from 'PROBE-CUSTOMER'",
    "bus_presence": _NOT_THEIRS,
    "mail_presence": _NOT_THEIRS,
    "discuss_channel_member": "where partner_id not in (select partner_id from res_users where login = 'probe')",
}
"""Of these tables the probes' own rows change: the stock that they ship, and when customer and user were last seen."""
_TABLES: Final = """
select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'
"""
_ROWS: Final = 'select hashtextextended(t::text, 0), count(*) from "{table}" t {where} group by 1'
_QUIET: Final = """
select count(*) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid() and state <> 'idle'
"""
_QUIET_FOR, _LOOK_EVERY, _QUIET_WITHIN = 2.0, 0.2, 60.0

Rows = Counter[int]


@dataclass(frozen=True, slots=True)
class Change:
    """How a table differs: rows that are gone or are not what they were, and rows that were not there."""

    gone: int
    new: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A database at one moment: the checksums of each table's rows, but for the probes' own in a few."""

    tables: Mapping[str, Rows]

    def rows(self) -> int:
        """How many rows there are in all tables."""
        return sum(rows.total() for rows in self.tables.values())

    def until(self, later: Picture) -> dict[str, Change]:
        """What has changed since, table by table; tables without a change are left out."""
        names = {*self.tables, *later.tables}
        each = {name: self._change(name, later) for name in sorted(names)}
        return {name: change for name, change in each.items() if change.gone or change.new}

    def _change(self, name: str, later: Picture) -> Change:
        before, after = self.tables.get(name, Rows()), later.tables.get(name, Rows())
        return Change((before - after).total(), (after - before).total())


async def picture(postgres: Postgres, database: str) -> Picture:
    """The database as it is once nobody is at work in it."""
    session = await asyncpg.connect(postgres.superuser_dsn(database))
    try:
        await _quiet(session, database)
        names = [row["table_name"] for row in await session.fetch(_TABLES)]
        return Picture({name: await _rows(session, name) for name in names})
    finally:
        await session.close()


async def settled(postgres: Postgres, database: str) -> None:
    """Nothing, once Odoo has done or given up what killed clients asked for.

    Raises:
        TimeoutError: when it does not come to an end.
    """
    session = await asyncpg.connect(postgres.superuser_dsn())
    try:
        await _quiet(session, database)
    finally:
        await session.close()


async def _rows(session: asyncpg.Connection, table: str) -> Rows:
    return Rows(dict(await session.fetch(_ROWS.format(table=table, where=_BUT.get(table, "")))))


async def _quiet(session: asyncpg.Connection, database: str) -> None:
    """Nothing, once no session of the database has been at work for a while."""
    async with asyncio.timeout(_QUIET_WITHIN):
        quiet = 0.0
        while quiet < _QUIET_FOR:
            quiet = 0.0 if await session.fetchval(_QUIET, database) else quiet + _LOOK_EVERY
            await asyncio.sleep(_LOOK_EVERY)
