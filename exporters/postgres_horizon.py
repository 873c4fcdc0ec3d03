"""What holds the xmin horizon of a PostgreSQL cluster: dead rows younger than it stay, however often vacuum comes.

Four things hold it: a session's snapshot or transaction, a transaction left prepared, a replication slot, and a
standby that sends feedback without a slot. The age is in transactions, since that is what vacuum compares; the time
beside it is there where PostgreSQL knows it. A running vacuum holds nothing and is left out. One statement for the
whole cluster, in the one kept session. The role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Row, Sample, TargetKind

from .sight import require_sight
from .sticky import StickyTop

AGE = Metric(
    "postgresql.horizon.age",
    Kind.GAUGE,
    "{transaction}",
    "Transactions since the oldest whose sight a kind of holder keeps: session, prepared, slot, slot_catalog, standby."
    " Without a database it does so in all of them.",
    ("holder", "database"),
)
HELD = Metric(
    "postgresql.horizon.held",
    Kind.GAUGE,
    "s",
    "How long that holder keeps it: since its transaction began, or (PostgreSQL 17 and later) since a slot was left."
    " Absent where PostgreSQL does not say.",
    ("holder", "database"),
)
HOLDER_AGE = Metric(
    "postgresql.horizon.holder.age",
    Kind.GAUGE,
    "{transaction}",
    "The same of single holders: name is a pid, a prepared transaction's id, a slot or a standby. other is the oldest"
    " of those not shown one by one.",
    ("holder", "database", "name"),
)

_HOLDERS = """
select 'session' as holder, coalesce(datname, '') as database, pid::text as name,
       greatest(age(backend_xid), age(backend_xmin)) as age,
       extract(epoch from clock_timestamp() - xact_start)::float8 as held,
       backend_type is null as hidden
  from pg_stat_activity a
 where (backend_xid is not null or backend_xmin is not null or backend_type is null)
   and backend_type is distinct from 'walsender'
   and coalesce(leader_pid, pid) = pid
   and pid <> pg_backend_pid() and application_name <> 'quaywatch'
   and not exists (select from pg_stat_progress_vacuum v where v.pid = a.pid)
union all
select 'prepared', database, transaction::text, age(transaction),
       extract(epoch from clock_timestamp() - prepared)::float8, false
  from pg_prepared_xacts
union all
select 'slot', '', slot_name, age(xmin), :inactive, false
  from pg_replication_slots where xmin is not null
union all
select 'slot_catalog', coalesce(database, ''), slot_name, age(catalog_xmin), :inactive, false
  from pg_replication_slots where catalog_xmin is not null
union all
select 'standby', '', application_name, max(age(backend_xmin)), null, false
  from pg_stat_replication where backend_xmin is not null group by application_name
"""
HOLDERS = _HOLDERS.replace(":inactive", "null::float8")
"""One row per holder; the rows of who may not look have no contents."""
HOLDERS_17 = _HOLDERS.replace(":inactive", "extract(epoch from clock_timestamp() - inactive_since)::float8")
"""The same where slots say since when nobody reads them."""

_WITH_INACTIVE_SINCE = 170000


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    top: int = field(default=5, metadata={"help": "how many holders are shown one by one; the rest is 'other'"})


_Key = tuple[str, str, str]


async def collect(session: Postgres, options: Options, shown: StickyTop[_Key]) -> AsyncIterator[Sample]:
    """The horizon by kind of holder, and the oldest holders.

    Raises:
        PermissionDeniedError: when the role may not see others' sessions.
    """
    rows = await session.fetch(HOLDERS_17 if session.version >= _WITH_INACTIVE_SINCE else HOLDERS)
    require_sight("pg_stat_activity", hidden=any(row["hidden"] for row in rows))
    for sample in (*_kinds(rows), *_single(rows, options.top, shown)):
        yield sample


def _kinds(rows: Iterable[Row]) -> Iterator[Sample]:
    kinds: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        kinds[row["holder"], row["database"]].append(row)
    for kind, holders in kinds.items():
        oldest = max(holders, key=lambda row: row["age"])
        yield AGE(max(0, oldest["age"]), *kind)
        if oldest["held"] is not None:
            yield HELD(max(0.0, oldest["held"]), *kind)


def _single(rows: Sequence[Row], top: int, shown: StickyTop[_Key]) -> Iterator[Sample]:
    ages: dict[_Key, int] = {(row["holder"], row["database"], row["name"]): max(0, row["age"]) for row in rows}
    chosen = shown.choose(ages, top)
    others: dict[_Key, int] = defaultdict(int)
    for key, age in ages.items():
        if key in chosen:
            yield HOLDER_AGE(age, *key)
        else:
            other = (*key[:2], "other")
            others[other] = max(others[other], age)
    yield from (HOLDER_AGE(age, *key) for key, age in others.items())


EXPORTER: Exporter[Postgres, Options, StickyTop[_Key]] = Exporter(
    name="postgres_horizon",
    reads=TargetKind.POSTGRES,
    metrics=(AGE, HELD, HOLDER_AGE),
    options=Options,
    collect=collect,
    state=StickyTop,
)
