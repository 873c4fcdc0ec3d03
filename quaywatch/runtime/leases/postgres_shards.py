"""Shards by PostgreSQL's session advisory locks: each member holds one of its own, and one for each of its targets.

The members' locks say how the targets are spread, and the targets' locks that none is read twice, whatever the members
believe of each other meanwhile.
"""

from __future__ import annotations

import secrets
from typing import Final

from .contention import Beat
from .postgres import LeaseSession, PostgresLeases, lock_key
from .shares import share

_MEMBERS: Final = """
with members as (
  select objid::bigint as member, pid = pg_catalog.pg_backend_pid() as mine
    from pg_catalog.pg_locks
   where locktype = 'advisory' and objsubid = 2 and granted and classid = $1::bigint::oid
     and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
)
select member, mine from members
 union all
select $2::bigint, pg_catalog.pg_try_advisory_lock($1::int, $2::int)
 where not exists (select from members where mine)
"""
"""Joins where this session has not joined, and tells who is there."""
_POSITIVE: Final = 0x7FFF_FFFE
"""The largest number of a lock with two keys, less one."""


class PostgresShards(PostgresLeases):
    """Implements `quaywatch.runtime.leases.Leases`: an agent holds the targets of its share that others let go."""

    fills_in = False
    _member = 0
    """This agent's number among the members; drawn anew while it is 0."""

    async def _ask(self, session: LeaseSession, names: frozenset[str]) -> Beat:
        """Keep and take what falls to this member, and give up the rest."""
        self._member = self._member or 1 + secrets.randbelow(_POSITIVE)
        room = lock_key(self._installation, "members") & _POSITIVE
        rows = await session.fetch(_MEMBERS, room, self._member)
        if not any(row["mine"] for row in rows):  # a session that is not this one has the number
            self._member = 0
            return await super()._ask(session, frozenset())
        return await super()._ask(session, share(names, [row["member"] for row in rows], self._member))
