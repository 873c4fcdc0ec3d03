"""How old a server's data is from end to end: the age of the newest heartbeat that has arrived.

Somebody writes the time into a table of the primary again and again, by cron or by an extension such as pg_cron, and
every standby of it, at any distance, shows how late it is there. The agent writes nothing and only reads that one
column. This needs no knowledge of replication, so it holds where the server's own views end: behind a standby of a
standby, with logical replication, at a provider that hides those views.

    create table heartbeat (ts timestamptz not null);
    insert into heartbeat values (clock_timestamp());
    grant select (ts) on heartbeat to quaywatch;
    -- every ten seconds or so:
    update heartbeat set ts = clock_timestamp();

The age is this server's clock less the writer's. It holds whatever these two differ by, and the time since the last
beat, so it rises to the interval of the writer where all is well. It is not cut off at 0: below 0 this clock is behind
the writer's. Off until enabled, since few have such a table. Where it is enabled and the table is not there, that is
an error, and no beat in it is absence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Sample, TargetKind
from quaywatch.errors import PermissionDeniedError, VersionError

AGE = Metric(
    "postgresql.heartbeat.age",
    Kind.GAUGE,
    "s",
    "Time from the newest heartbeat that has arrived here until now, by this server's clock against the writer's:"
    " whatever they differ by is in it, and below 0 this one is behind.",
)

PLACE = """
select format('%I.%I', n.nspname, c.relname) as place, format('%I', a.attname) as moment,
       has_column_privilege(c.oid, a.attnum, 'select') as allowed
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attname = $2 and not a.attisdropped
 where c.oid = to_regclass($1)
"""
"""The names as SQL has to write them."""
NEWEST = "select extract(epoch from clock_timestamp() - max({moment}))::float8 as age from {place}"


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    table: str = field(
        default="public.heartbeat",
        metadata={"help": "the table of heartbeats, in the target's database; with few rows, or an index on the time"},
    )
    column: str = field(
        default="ts", metadata={"help": "its column with the time, best a timestamptz; without a zone, the server's"}
    )


async def collect(session: Postgres, options: Options, _state: None) -> AsyncIterator[Sample]:
    """The age of the newest heartbeat.

    Raises:
        VersionError: when the table or its column is not there.
        PermissionDeniedError: when the role may not read it.
    """
    named = f"column {options.column} of table {options.table}"
    places = await session.fetch(PLACE, options.table, options.column)
    if not places:
        raise VersionError(f"there is no {named} in database {session.database}", remedy="make it, or name another")
    (place,) = places
    if not place["allowed"]:
        remedy = f"grant select ({place['moment']}) on {place['place']} to the agent's role"
        raise PermissionDeniedError(f"the role may not read {named}", remedy=remedy)
    (newest,) = await session.fetch(NEWEST.format(place=place["place"], moment=place["moment"]))
    if newest["age"] is not None:
        yield AGE(newest["age"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_heartbeat",
    reads=TargetKind.POSTGRES,
    metrics=(AGE,),
    options=Options,
    collect=collect,
    state=lambda: None,
    on=False,
)
