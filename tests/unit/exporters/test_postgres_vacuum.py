"""Vacuums: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exporters.postgres_vacuum import EXPORTER, POOL, PROGRESS
from quaywatch.contract import Postgres, Row, Value
from quaywatch.errors import PermissionDeniedError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]

_POOL = [{"workers": 1, "most": 3, "hidden": False}]


def vacuum(**others: Any) -> Row:
    """A vacuum by autovacuum, half way through the scan."""
    progress = {"blocks": 100, "scanned": 50, "cleaned": 0, "rounds": 0}
    return {"database": "acme", "relation": "16384", "cause": "auto", "age": 8.0, **progress, **others}


async def test_no_vacuum_runs(postgres: Make, read: Read) -> None:
    """Workers are always there, against how many there may be."""
    assert await read(EXPORTER, postgres({POOL: _POOL, PROGRESS: []})) == {
        ("postgresql.autovacuum.workers",): 1,
        ("postgresql.autovacuum.workers.max",): 3,
    }


async def test_a_vacuum_shows_how_far_it_is(postgres: Make, read: Read) -> None:
    """Shares of the table, by database and the table's oid."""
    found = await read(EXPORTER, postgres({POOL: _POOL, PROGRESS: [vacuum(rounds=2)]}))
    assert found["postgresql.vacuum.running", "acme", "auto"] == 1
    assert found["postgresql.vacuum.longest", "acme", "auto"] == 8.0
    assert found["postgresql.vacuum.scanned", "acme", "16384"] == 0.5
    assert found["postgresql.vacuum.cleaned", "acme", "16384"] == 0.0
    assert found["postgresql.vacuum.index_rounds", "acme", "16384"] == 2


async def test_a_table_of_unknown_size_has_no_share(postgres: Make, read: Read) -> None:
    """In its first moment a vacuum does not know how much there is."""
    found = await read(EXPORTER, postgres({POOL: _POOL, PROGRESS: [vacuum(blocks=0, scanned=0)]}))
    assert ("postgresql.vacuum.scanned", "acme", "16384") not in found


async def test_the_longest_of_a_kind_is_shown(postgres: Make, read: Read) -> None:
    """Several of one database count, and one against wraparound is told apart."""
    rows = [vacuum(), vacuum(relation="2", age=80.0), vacuum(relation="3", cause="wraparound", age=5.0)]
    found = await read(EXPORTER, postgres({POOL: _POOL, PROGRESS: rows}))
    assert found["postgresql.vacuum.running", "acme", "auto"] == 2
    assert found["postgresql.vacuum.longest", "acme", "auto"] == 80.0
    assert found["postgresql.vacuum.running", "acme", "wraparound"] == 1


async def test_what_may_not_be_seen_is_an_error(postgres: Make, read: Read) -> None:
    """Workers that the role cannot tell from others are not 0 workers, although no vacuum runs."""
    pool = [{"workers": 0, "most": 3, "hidden": True}]
    with pytest.raises(PermissionDeniedError, match="pg_monitor"):
        await read(EXPORTER, postgres({POOL: pool, PROGRESS: []}))
