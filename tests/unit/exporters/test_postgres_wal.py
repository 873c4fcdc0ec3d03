"""The write-ahead log and its directory: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from exporters import postgres_wal_directory as directory
from exporters.postgres_wal import CONTENTS, EXPORTER, POSITION
from quaywatch.contract import Postgres, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]

_CONTENTS = [{"wal_records": 100, "wal_fpi": 4, "wal_buffers_full": 0, "start": 1000.0}]


async def test_a_primary_counts_the_bytes_it_makes(postgres: Make, read: Read) -> None:
    """The position and what it is made of."""
    found = await read(EXPORTER, postgres({POSITION: [{"bytes": 2**40}], CONTENTS: _CONTENTS}))
    assert found == {
        ("postgresql.wal.generated",): 2**40,
        ("postgresql.wal.records",): 100,
        ("postgresql.wal.page_images",): 4,
        ("postgresql.wal.buffers_full",): 0,
    }


async def test_a_standby_makes_none(postgres: Make, read: Read) -> None:
    """Absent, not 0."""
    assert ("postgresql.wal.generated",) not in await read(EXPORTER, postgres({POSITION: [], CONTENTS: _CONTENTS}))


async def test_postgresql_13_has_the_position_only(postgres: Make, read: Read) -> None:
    """The view that came with 14 is not asked for."""
    found = await read(EXPORTER, postgres({POSITION: [{"bytes": 5}]}, version=130022))
    assert found == {("postgresql.wal.generated",): 5}


async def test_only_what_was_reset_starts_at_the_reset(postgres: Make) -> None:
    """Row 23: the position outlives a reset of statistics."""
    driver = postgres({POSITION: [{"bytes": 5}], CONTENTS: _CONTENTS})
    starts = {s.metric.name: s.start async for s in EXPORTER.collect(driver, EXPORTER.options(), None)}
    assert starts["postgresql.wal.generated"] is None
    assert starts["postgresql.wal.records"] == 1000.0


async def test_the_directory_has_a_size(postgres: Make, read: Read) -> None:
    """In bytes, with the number of files."""
    found = await read(directory.EXPORTER, postgres({directory.DIRECTORY: [{"files": 3, "size": 3 * 2**24}]}))
    assert found == {("postgresql.wal.directory.size",): 3 * 2**24, ("postgresql.wal.directory.files",): 3}
