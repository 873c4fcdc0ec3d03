"""Temporary files: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from exporters.postgres_temp import EXPORTER, TEMPORARY
from quaywatch.contract import Postgres, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


async def test_no_files_are_a_measured_0(postgres: Make, read: Read) -> None:
    """The whole is there; nothing is said by database."""
    assert await read(EXPORTER, postgres({TEMPORARY: []})) == {("postgresql.temp.current",): 0}


async def test_files_are_their_sessions_databases(postgres: Make, read: Read) -> None:
    """What belongs to nobody any more still counts in the whole."""
    rows = [{"database": "acme", "files": 2, "size": 3000}, {"database": "", "files": 1, "size": 10}]
    found = await read(EXPORTER, postgres({TEMPORARY: rows}))
    assert found["postgresql.temp.current",] == 3010
    assert found["postgresql.temp.current.size", "acme"] == 3000
    assert found["postgresql.temp.current.files", "acme"] == 2
    assert found["postgresql.temp.current.size", ""] == 10
