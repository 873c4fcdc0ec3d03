"""How much of PostgreSQL's log waits to be archived, and for how long.

An exporter of its own since it reads a directory, which some providers allow nobody, and which is slow when it is
long. The role ``pg_monitor`` is enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Sample, TargetKind

BACKLOG = Metric(
    "postgresql.archiver.backlog",
    Kind.GAUGE,
    "{file}",
    "Files that wait to be archived. There wherever files are archived: 0 means that none waits.",
)
OLDEST = Metric(
    "postgresql.archiver.backlog.age",
    Kind.GAUGE,
    "s",
    "How long the oldest of them waits. Absent when none does; unlike the time since the last success, it rests with an"
    " idle server.",
)

WAITING = """
select count(f.name) as files, extract(epoch from clock_timestamp() - min(f.modification))::float8 as age
  from (select current_setting('archive_mode') as mode) m
  left join lateral pg_ls_archive_statusdir() f on f.name like '%.ready'
 where m.mode = 'always' or (m.mode = 'on' and not pg_is_in_recovery())
 group by m.mode
"""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Files that are ready, where the server archives.

    Raises:
        PermissionDeniedError: when the role may not list the directory.
    """
    for row in await session.fetch(WAITING):
        yield BACKLOG(row["files"])
        if row["age"] is not None:
            yield OLDEST(max(0.0, row["age"]))


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_archive_backlog",
    reads=TargetKind.POSTGRES,
    metrics=(BACKLOG, OLDEST),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=60.0,
)
