"""How much disk PostgreSQL's write-ahead log takes.

An exporter of its own since it reads a directory, which some providers allow nobody. The role ``pg_monitor`` is
enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Postgres, Sample, TargetKind

SIZE = Metric("postgresql.wal.directory.size", Kind.GAUGE, "By", "Size of the write-ahead log on disk.")
FILES = Metric("postgresql.wal.directory.files", Kind.GAUGE, "{file}", "Files of the write-ahead log on disk.")

DIRECTORY = "select count(*) as files, coalesce(sum(size), 0)::bigint as size from pg_ls_waldir()"


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(session: Postgres, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """The directory's size.

    Raises:
        PermissionDeniedError: when the role may not list the directory.
    """
    (row,) = await session.fetch(DIRECTORY)
    yield SIZE(row["size"])
    yield FILES(row["files"])


EXPORTER: Exporter[Postgres, Options, None] = Exporter(
    name="postgres_wal_directory",
    reads=TargetKind.POSTGRES,
    metrics=(SIZE, FILES),
    options=Options,
    collect=collect,
    state=lambda: None,
    every=60.0,
)
