"""Who is connected to a PostgreSQL cluster, how close that is to the limits, and how old the oldest transactions are.

Sessions of clients only: background processes take none of the connections that clients may have. The agent's own
session counts against the limits, as it does in PostgreSQL, and is left out of everything else. Three statements for
the whole cluster, in the one kept session. The role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Row, Sample, TargetKind

from .sight import require_sight

SESSIONS = Metric(
    "postgresql.session.open",
    Kind.UPDOWN,
    "{session}",
    "Sessions of clients, by database and state.",
    ("database", "state"),
    budget=6000,
)
STATE_AGE = Metric(
    "postgresql.session.state.longest",
    Kind.GAUGE,
    "s",
    "How long a session is in its state at most: of an active one since its statement began. Idle ones are left out.",
    ("database", "state"),
    budget=6000,
)
OLDEST = Metric(
    "postgresql.transaction.oldest.age",
    Kind.GAUGE,
    "s",
    "How long the oldest open transaction of a client is open, by database and the state of its session.",
    ("database", "state"),
    budget=6000,
)
USED = Metric(
    "postgresql.connection.used", Kind.GAUGE, "{connection}", "Connections of clients, the agent's own included."
)
USABLE = Metric(
    "postgresql.connection.usable",
    Kind.GAUGE,
    "{connection}",
    "Connections that ordinary roles can have in all: max_connections without the reserved ones.",
)
DATABASE_LIMIT = Metric(
    "postgresql.database.connection.limit",
    Kind.GAUGE,
    "{connection}",
    "Connections that a database allows. Only of databases with a limit of their own.",
    ("database",),
)
DATABASE_USED = Metric(
    "postgresql.database.connection.used",
    Kind.GAUGE,
    "{connection}",
    "Connections of clients to a database that has a limit of its own.",
    ("database",),
)
ROLE_LIMIT = Metric(
    "postgresql.role.connection.limit",
    Kind.GAUGE,
    "{connection}",
    "Connections that a role may have. Only of roles with a limit that binds them.",
    ("role",),
)
ROLE_USED = Metric(
    "postgresql.role.connection.used",
    Kind.GAUGE,
    "{connection}",
    "Connections of a role that has a limit of its own.",
    ("role",),
)

ACTIVITY = """
select coalesce(datname, '') as database,
       coalesce(state, 'unknown') as state,
       count(*) as sessions,
       extract(epoch from clock_timestamp() - min(state_change))::float8 as state_age,
       extract(epoch from clock_timestamp() - min(xact_start))::float8 as oldest
  from pg_stat_activity
 where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name <> 'quaywatch'
 group by 1, 2
"""
CONNECTIONS = """
select count(*) filter (where backend_type = 'client backend') as used,
       coalesce(bool_or(pid <> pg_backend_pid() and backend_type is null), false) as hidden,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int as usable
  from pg_stat_activity
"""
"""``reserved_connections`` came with PostgreSQL 16."""
LIMITS = """
with clients as materialized (
    select datid, usesysid from pg_stat_activity where backend_type = 'client backend'
)
select 'database' as whose, d.datname as name, d.datconnlimit as allowed, count(c.datid) as used
  from pg_database d
  left join clients c on c.datid = d.oid
 where d.datconnlimit >= 0 and d.datallowconn
 group by d.oid, d.datname, d.datconnlimit
union all
select 'role', r.rolname, r.rolconnlimit, count(c.usesysid)
  from pg_roles r
  left join clients c on c.usesysid = r.oid
 where r.rolconnlimit >= 0 and r.rolcanlogin and not r.rolsuper
 group by r.oid, r.rolname, r.rolconnlimit
"""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Sessions, limits and the oldest transactions.

    Raises:
        PermissionDeniedError: when the role may not see others' sessions.
    """
    (connections,) = await session.fetch(CONNECTIONS)
    require_sight("pg_stat_activity", hidden=connections["hidden"])
    yield USED(connections["used"])
    yield USABLE(connections["usable"])
    for sample in (*_sessions(await session.fetch(ACTIVITY)), *_limits(await session.fetch(LIMITS))):
        yield sample


def _sessions(rows: Sequence[Row]) -> Iterator[Sample]:
    for row in rows:
        database, state = row["database"], row["state"]
        yield SESSIONS(row["sessions"], database, state)
        if state != "idle" and row["state_age"] is not None:
            yield STATE_AGE(max(0.0, row["state_age"]), database, state)
        if row["oldest"] is not None:
            yield OLDEST(max(0.0, row["oldest"]), database, state)


def _limits(rows: Sequence[Row]) -> Iterator[Sample]:
    metrics = {"database": (DATABASE_LIMIT, DATABASE_USED), "role": (ROLE_LIMIT, ROLE_USED)}
    for row in rows:
        limit, used = metrics[row["whose"]]
        yield limit(row["allowed"], row["name"])
        yield used(row["used"], row["name"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_activity",
    reads=TargetKind.POSTGRES,
    metrics=(SESSIONS, STATE_AGE, OLDEST, USED, USABLE, DATABASE_LIMIT, DATABASE_USED, ROLE_LIMIT, ROLE_USED),
    options=Options,
    collect=collect,
    state=lambda: None,
)
