"""What goes on in the PostgreSQL server under Odoo, read in one session of our own in the tenant's database.

The session is opened for this and closed after it, so that no busy kept session is waited for, and whether one can be
had is evidence in itself. Where none can be had, the session that the agent keeps says who holds them all. Which tables
a transaction has touched is seen by its locks. Statements are compared with the run's mark in the server; no text of
any leaves it. The role ``pg_monitor`` is enough for all but the queue.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from quaywatch.contract import Cluster, Postgres, Row
from quaywatch.errors import ConnectError, DeadlineError, TargetError
from quaywatch.runtime.probing import Case

from .facts import Database, Queue, Session, Standby, State

FLOW_TABLES: Final = (
    "sale_order",
    "sale_order_line",
    "stock_picking",
    "stock_move",
    "stock_move_line",
    "stock_quant",
    "procurement_group",
    "stock_reference",
)
"""What the flows write: the tables by which the session is known that serves a step."""
LOGIN_TABLES: Final = ("res_users", "res_users_log")
"""The same for flows that only log in."""

SESSIONS: Final = """
with waiting as materialized (
    select pid, pg_blocking_pids(pid) as blockers
      from pg_locks where not granted and pid <> pg_backend_pid() group by pid
), touched as (
    select l.pid,
           array_agg(distinct c.relname::text) filter (
               where not l.granted or l.mode <> 'AccessShareLock') as written,
           array_agg(distinct c.relname::text) as read
      from pg_locks l
      join pg_class c on c.oid = l.relation and c.relname::text = any($1::text[])
     where l.database = (select oid from pg_database where datname = current_database())
     group by l.pid
)
select a.pid,
       coalesce(a.datname, '') as database,
       coalesce(a.state, 'unknown') as state,
       coalesce(a.application_name, '') as application_name,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction_age,
       extract(epoch from clock_timestamp() - a.query_start)::float8 as statement_age,
       coalesce(a.wait_event_type, '') as wait_type,
       coalesce(a.wait_event, '') as wait_event,
       w.blockers,
       case when 0 = any (w.blockers) then (
           select extract(epoch from clock_timestamp() - min(p.prepared))::float8
             from pg_prepared_xacts p where p.database = a.datname) end as prepared_age,
       t.written,
       t.read,
       $2::text <> '' and strpos(a.query, $2::text) > 0 as bears_mark
  from pg_stat_activity a
  left join waiting w on w.pid = a.pid
  left join touched t on t.pid = a.pid
 where a.application_name is distinct from 'quaywatch'
   and ((a.datname = current_database() and a.backend_type = 'client backend' and a.xact_start is not null)
        or w.pid is not null
        or a.pid in (select unnest(blockers) from waiting))
"""
"""One row per session in a transaction in this database, and per session anywhere that waits or blocks."""
CONNECTIONS: Final = """
select count(*) filter (where backend_type = 'client backend') as used,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int as usable,
       count(*) filter (where datname = current_database()
           and (application_name = '' or application_name like 'odoo%')) as odoo_sessions
  from pg_stat_activity
"""
HOLDERS: Final = """
select case when application_name = '' or application_name like 'odoo-%'
            then 'role ' || coalesce(usename, '?') else application_name end as who,
       count(*) as held
  from pg_stat_activity
 where backend_type = 'client backend'
 group by 1 order by 2 desc, 1 limit 3
"""
"""Who has the most connections: applications by their names, Odoo and the nameless by their roles."""
EXHAUSTED: Final = """
select 'role ' || r.rolname as who
  from pg_roles r
 where r.rolconnlimit >= 0 and not r.rolsuper
   and (select count(*) from pg_stat_activity a where a.usesysid = r.oid and a.backend_type = 'client backend')
       >= r.rolconnlimit
   and (r.oid = (select datdba from pg_database where datname = current_database())
        or exists (select from pg_stat_activity a where a.usesysid = r.oid and a.datname = current_database()))
union all
select 'database ' || d.datname
  from pg_database d
 where d.datname = current_database() and d.datconnlimit >= 0
   and (select count(*) from pg_stat_activity a where a.datid = d.oid and a.backend_type = 'client backend')
       >= d.datconnlimit
"""
"""The roles that use this database, and the database itself, whose connection limit is used up."""
QUEUE: Final = """
with clock as (select clock_timestamp() at time zone 'utc' as now)
select count(*) as due,
       coalesce(extract(epoch from max(now - coalesce(eta, date_created))), 0)::float8 as oldest
  from public.queue_job, clock
 where state = 'pending' and coalesce(eta, now) <= now
"""
LATE_CRONS: Final = """
select count(*) as late
  from public.ir_cron
 where active and nextcall < clock_timestamp() at time zone 'utc' - interval '10 minutes'
"""
REPLAY: Final = """
select pg_is_in_recovery()
           and pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn() as is_behind,
       coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)::int8 as backlog,
       coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()), 0)::float8 as age
"""

_FULL: Final = "53300"
_MISSING: Final = "3D000"


def tables_of(probe: str) -> Sequence[str]:
    """The tables that a probe's flow writes, or wants to lock."""
    return LOGIN_TABLES if "login" in probe else FLOW_TABLES


async def look_at_database(cluster: Cluster, case: Case, kept: Cluster | None = None) -> Database:
    """Sessions, connections and queue, as seen from a run's database; a failure is a fact.

    Args:
        cluster: the server, which is visited anew.
        case: the run.
        kept: the same server with a session that is open already, if there is one.
    """
    began, database = time.monotonic(), case.database
    try:
        async with cluster.visit(database) as session:
            facts = await _read(session, case)
    except TargetError as error:
        state = state_of(error)
        holders = await _holders(kept) if kept is not None and state is State.FULL else ()
        return Database(state=state, name=database, seconds=time.monotonic() - began, holders=holders)
    return Database(name=database, seconds=time.monotonic() - began, **facts)


async def look_at_standby(cluster: Cluster) -> Standby:
    """How far a standby is behind; a failure is a fact."""
    try:
        (row,) = await cluster.fetch(REPLAY)
    except TargetError as error:
        return Standby(state=state_of(error))
    behind = row["is_behind"]
    return Standby(behind=row["age"] if behind else 0.0, backlog=max(row["backlog"], 0))


def state_of(error: TargetError) -> State:
    """What a failed read says about the server."""
    if error.code == _FULL:  # a limit of our own role says nothing about Odoo's
        return State.UNREAD if "for role" in error.what else State.FULL
    if error.code == _MISSING:
        return State.MISSING
    if isinstance(error, DeadlineError):
        return State.SILENT
    return State.DOWN if isinstance(error, ConnectError) else State.UNREAD


async def _read(session: Postgres, case: Case) -> dict[str, Any]:
    rows = await session.fetch(SESSIONS, list(tables_of(case.probe)), case.mark)
    (connections,) = await session.fetch(CONNECTIONS)
    exhausted = await session.fetch(EXHAUSTED)
    scarce = connections["used"] >= connections["usable"]
    return {
        "sessions": tuple(map(_session, rows)),
        **connections,
        "exhausted": tuple(str(row["who"]) for row in exhausted),
        "holders": await _holders(session) if scarce else (),
        "queue": await _queue(session),
        "late_crons": await _late_crons(session),
    }


def _session(row: Row) -> Session:
    sets = {name: frozenset(row[name] or ()) for name in ("written", "read")}
    marked = bool(row["bears_mark"])  # null where the statement may not be seen
    return Session(**{**row, **sets, "blockers": tuple(row["blockers"] or ()), "bears_mark": marked})


async def _holders(session: Postgres) -> tuple[tuple[str, int], ...]:
    with suppress(TargetError):  # the kept session may be lost, too
        return tuple((str(row["who"]), int(row["held"])) for row in await session.fetch(HOLDERS))
    return ()


async def _queue(session: Postgres) -> Queue | None:
    with suppress(TargetError):  # not installed, or not to be read: then it is no evidence
        (row,) = await session.fetch(QUEUE)
        return Queue(due=row["due"], oldest=row["oldest"])
    return None


async def _late_crons(session: Postgres) -> int | None:
    with suppress(TargetError):
        (row,) = await session.fetch(LATE_CRONS)
        return int(row["late"])
    return None
