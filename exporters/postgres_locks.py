"""Who waits for a lock in a PostgreSQL cluster, how long, and behind whom.

Row locks count: a session that waits for a row waits in truth for a transaction, and such an entry of ``pg_locks``
names no database, so the database is the waiting session's own. A root blocker is a session that holds others up and
does not wait itself: ending it frees the queue. Two statements for the whole cluster, in the one kept session;
``pg_blocking_pids`` is asked only about sessions that wait. The role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Row, Sample, TargetKind

from .sight import require_sight
from .sticky import StickyTop

WAITING = Metric(
    "postgresql.lock.waiting",
    Kind.UPDOWN,
    "{session}",
    "Sessions that wait for a lock, in the whole cluster. Always there: 0 means that nobody waits.",
)
WAITERS = Metric(
    "postgresql.lock.waiters",
    Kind.UPDOWN,
    "{session}",
    "Sessions that wait for a lock, by what they wait for. Row locks show as transactionid or tuple.",
    ("database", "lock_type", "mode"),
)
LONGEST = Metric(
    "postgresql.lock.wait.longest",
    Kind.GAUGE,
    "s",
    "The longest current wait for a lock. PostgreSQL 13 does not say when a wait began: there since the statement did.",
    ("database",),
)
ROOT_BLOCKERS = Metric(
    "postgresql.lock.root_blockers",
    Kind.UPDOWN,
    "{session}",
    "Sessions that hold others up and wait for nobody; state prepared is a transaction left prepared.",
    ("database", "state"),
)
ROOT_BLOCKER_AGE = Metric(
    "postgresql.lock.root_blocker.age",
    Kind.GAUGE,
    "s",
    "How long a root blocker's transaction is open. pid other is the oldest of those not shown one by one.",
    ("database", "pid", "state", "application_name"),
)
ROOT_BLOCKER_HELD_UP = Metric(
    "postgresql.lock.root_blocker.held_up",
    Kind.GAUGE,
    "{session}",
    "Sessions held up by a root blocker, directly or behind others. One behind two root blockers counts for both.",
    ("database", "pid", "state", "application_name"),
)
LOCKS = Metric(
    "postgresql.locks",
    Kind.UPDOWN,
    "{lock}",
    "Locks held (granted true) and waited for (granted false).",
    ("database", "mode", "granted"),
    budget=6000,
)

_WAITS = """
with waiting as materialized (
    select l.*, pg_blocking_pids(l.pid) as blockers from pg_locks l where not l.granted and l.pid <> pg_backend_pid()
)
select coalesce(a.leader_pid, a.pid) as pid,
       coalesce(a.datname, '') as database,
       coalesce(a.state, 'unknown') as state,
       a.application_name,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction_age,
       w.locktype as lock_type,
       w.mode,
       extract(epoch from clock_timestamp() - coalesce(:wait_start, clock_timestamp()))::float8 as waited,
       w.blockers,
       case when 0 = any (w.blockers) then (
           select extract(epoch from clock_timestamp() - min(p.prepared))::float8
             from pg_prepared_xacts p where p.database = a.datname) end as prepared_age,
       a.backend_type is null as hidden
  from pg_stat_activity a
  left join waiting w on w.pid = a.pid
 where a.application_name <> 'quaywatch'
   and (w.pid is not null or a.pid in (select unnest(blockers) from waiting) or a.backend_type is null)
"""
WAITS = _WAITS.replace(":wait_start", "w.waitstart")
"""One row per session that waits, blocks or is hidden. ``waitstart`` is empty for a moment after a wait began."""
WAITS_13 = _WAITS.replace(":wait_start", "greatest(a.query_start, a.state_change)")
"""The same where ``pg_locks`` has no ``waitstart``."""
COUNTS = """
select coalesce(d.datname, a.datname, '') as database, l.mode, l.granted, count(*) as locks
  from pg_locks l
  left join pg_database d on d.oid = l.database
  left join pg_stat_activity a on a.pid = l.pid
 where l.pid is distinct from pg_backend_pid() and coalesce(a.application_name, '') <> 'quaywatch'
 group by 1, 2, 3
"""

_WITH_WAIT_START = 140000
_PREPARED = 0  # the pid that pg_blocking_pids gives a prepared transaction


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    top: int = field(default=5, metadata={"help": "how many root blockers are shown one by one; the rest is 'other'"})
    counts: bool = field(default=True, metadata={"help": "also count all locks by database, mode and granted"})


@dataclass(frozen=True, slots=True)
class _Session:
    """A session that waits (it has a ``lock_type``) or blocks, or of which the role sees nothing."""

    pid: int
    database: str
    state: str
    application_name: str
    transaction_age: float | None
    lock_type: str | None = None
    mode: str = ""
    waited: float = 0.0
    blockers: tuple[int, ...] = ()
    prepared_age: float | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class _Root:
    """A root blocker and the pids it holds up."""

    session: _Session
    held_up: frozenset[int]


async def collect(session: Postgres, options: Options, shown: StickyTop[int]) -> AsyncIterator[Sample]:
    """Waits, root blockers and lock counts of the cluster.

    Raises:
        PermissionDeniedError: when the role may not see others' sessions.
    """
    rows = await session.fetch(WAITS if session.version >= _WITH_WAIT_START else WAITS_13)
    sessions = _sessions(rows)
    require_sight("pg_stat_activity", hidden=any(one.hidden for one in sessions.values()))
    waiting = [one for one in sessions.values() if one.lock_type is not None]
    for sample in (*_waits(waiting), *_roots(_root_blockers(sessions), options, shown)):
        yield sample
    if options.counts:
        for row in await session.fetch(COUNTS):
            yield LOCKS(row["locks"], row["database"], row["mode"], "true" if row["granted"] else "false")


def _sessions(rows: Iterable[Row]) -> dict[int, _Session]:
    """Sessions by pid. Parallel workers come under their leader's pid; whichever waits speaks for the session."""
    read = [_Session(**{**row, "mode": row["mode"] or "", "blockers": tuple(row["blockers"] or ())}) for row in rows]
    return {one.pid: one for one in sorted(read, key=lambda one: one.lock_type is not None)}


def _waits(waiting: Iterable[_Session]) -> Iterator[Sample]:
    kinds = Counter((one.database, one.lock_type or "", one.mode) for one in waiting)
    longest: dict[str, float] = defaultdict(float)
    for one in waiting:
        longest[one.database] = max(longest[one.database], one.waited)
    yield WAITING(kinds.total())
    yield from (WAITERS(count, *kind) for kind, count in kinds.items())
    yield from (LONGEST(seconds, database) for database, seconds in longest.items())


def _root_blockers(sessions: Mapping[int, _Session]) -> list[_Root]:
    behind: dict[int, set[int]] = defaultdict(set)
    for one in sessions.values():
        for blocker in one.blockers:
            behind[blocker].add(one.pid)
    blockers = [_blocker(pid, sessions, first=min(held)) for pid, held in behind.items()]
    return [_Root(one, _reach(one.pid, behind)) for one in blockers if one is not None and one.lock_type is None]


def _blocker(pid: int, sessions: Mapping[int, _Session], first: int) -> _Session | None:
    """The session ``pid``, None when it ended meanwhile; a prepared transaction is placed where its waiter is."""
    if pid != _PREPARED:
        return sessions.get(pid)
    waiter = sessions[first]
    return _Session(_PREPARED, waiter.database, "prepared", "", waiter.prepared_age)


def _reach(root: int, behind: Mapping[int, set[int]]) -> frozenset[int]:
    """Everybody behind ``root``, directly or not."""
    found: set[int] = set()
    edge = {root}
    while edge:
        edge = set().union(*(behind.get(pid, set()) for pid in edge)) - found
        found |= edge
    return frozenset(found)


def _roots(roots: list[_Root], options: Options, shown: StickyTop[int]) -> Iterator[Sample]:
    counts = Counter((root.session.database, root.session.state) for root in roots)
    yield from (ROOT_BLOCKERS(count, *kind) for kind, count in counts.items())
    top = shown.choose({root.session.pid: len(root.held_up) for root in roots}, options.top)
    others: dict[str, list[_Root]] = defaultdict(list)
    for root in roots:
        one = root.session
        if one.pid in top:
            yield from _details([root], (one.database, str(one.pid), one.state, one.application_name))
        else:
            others[one.database].append(root)
    for database, rest in others.items():
        yield from _details(rest, (database, "other", "", ""))


def _details(roots: list[_Root], attributes: tuple[str, str, str, str]) -> Iterator[Sample]:
    ages = [root.session.transaction_age for root in roots if root.session.transaction_age is not None]
    if ages:  # a session that holds an advisory lock may be in no transaction
        yield ROOT_BLOCKER_AGE(max(ages), *attributes)
    yield ROOT_BLOCKER_HELD_UP(len(frozenset().union(*(root.held_up for root in roots))), *attributes)


EXPORTER: Exporter[Postgres, Options, StickyTop[int]] = Exporter(
    name="postgres_locks",
    reads=TargetKind.POSTGRES,
    metrics=(WAITING, WAITERS, LONGEST, ROOT_BLOCKERS, ROOT_BLOCKER_AGE, ROOT_BLOCKER_HELD_UP, LOCKS),
    options=Options,
    collect=collect,
    state=StickyTop,
)
