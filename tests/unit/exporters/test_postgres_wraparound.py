"""Wraparound: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from exporters.postgres_wraparound import AGES, EXPORTER
from quaywatch.contract import Postgres, Value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


async def test_ages_are_transactions_and_multixacts(postgres: Make, read: Read) -> None:
    """Row 11: the unit is what PostgreSQL counts, beside the share of the limit."""
    rows = [{"database": "acme", "transactions": 200_000_000, "multixacts": 5}]
    found = await read(EXPORTER, postgres({AGES: rows}))
    assert found["postgresql.wraparound.transaction.age", "acme"] == 200_000_000
    assert found["postgresql.wraparound.multixact.age", "acme"] == 5
    assert found["postgresql.wraparound.utilization", "acme", "transaction"] == pytest.approx(0.0933, abs=1e-4)
    assert {metric.unit for metric in EXPORTER.metrics} == {"{transaction}", "{multixact}", "1"}


@pytest.mark.parametrize(
    ("version", "transactions", "multixacts"),
    [(130022, 2_146_483_647, 2_147_483_547), (150000, 2_144_483_647, 2_144_483_647)],
)
async def test_the_server_stops_at_one(
    version: int, transactions: int, multixacts: int, postgres: Make, read: Read
) -> None:
    """The margin before the end of the ids is that of the version."""
    rows = [{"database": "acme", "transactions": transactions, "multixacts": multixacts}]
    found = await read(EXPORTER, postgres({AGES: rows}, version=version))
    assert found["postgresql.wraparound.utilization", "acme", "transaction"] == 1
    assert found["postgresql.wraparound.utilization", "acme", "multixact"] == 1
