"""How much of the transaction ids and multixact ids each database of a PostgreSQL cluster has used up.

The age of a database is a number of transactions, not of seconds. What counts is the share of the limit at which the
server refuses to begin transactions in that database; ``autovacuum_freeze_max_age`` is far below it, and a healthy
database passes it often. Templates are read as well: they stop the cluster like any other database. One statement for
the whole cluster, in the one kept session. Any role may read this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Sample, TargetKind

XID_AGE = Metric(
    "postgresql.wraparound.transaction.age",
    Kind.GAUGE,
    "{transaction}",
    "Transactions since the oldest one that a database still has unfrozen.",
    ("database",),
    budget=6000,
)
MXID_AGE = Metric(
    "postgresql.wraparound.multixact.age",
    Kind.GAUGE,
    "{multixact}",
    "Multixacts since the oldest one that a database still has.",
    ("database",),
    budget=6000,
)
UTILIZATION = Metric(
    "postgresql.wraparound.utilization",
    Kind.GAUGE,
    "1",
    "Share of the ids (transaction or multixact) that is used up; at 1 the server refuses to write in the database.",
    ("database", "ids"),
    budget=6000,
)

AGES = """
select datname as database, age(datfrozenxid) as transactions, mxid_age(datminmxid) as multixacts from pg_database
"""

_HALF = 2**31 - 1
_WIDER_MARGIN = 140000


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Ages and shares of the limits of every database."""
    transactions, multixacts = _limits(session.version)
    for row in await session.fetch(AGES):
        database = row["database"]
        yield XID_AGE(row["transactions"], database)
        yield MXID_AGE(row["multixacts"], database)
        yield UTILIZATION(row["transactions"] / transactions, database, "transaction")
        yield UTILIZATION(row["multixacts"] / multixacts, database, "multixact")


def _limits(version: int) -> tuple[int, int]:
    """The ages at which the server stops: half of all ids, less a margin that PostgreSQL 14 made wider."""
    if version >= _WIDER_MARGIN:
        return _HALF - 3_000_000, _HALF - 3_000_000
    return _HALF - 1_000_000, _HALF - 100


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_wraparound",
    reads=TargetKind.POSTGRES,
    metrics=(XID_AGE, MXID_AGE, UTILIZATION),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=30.0,  # as tenants are toured: one that is dropped is shown no longer than that
)
