"""The xmin horizon: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from exporters.postgres_horizon import EXPORTER, HOLDERS, HOLDERS_17, Options
from quaywatch.contract import Postgres, Row, Value
from quaywatch.errors import PermissionDeniedError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]


def holder(kind: str, name: str, age: int, *, database: str = "acme", held: float | None = None) -> Row:
    """One holder."""
    return {"holder": kind, "database": database, "name": name, "age": age, "held": held, "hidden": False}


async def test_nobody_holds_it(postgres: Make, read: Read) -> None:
    """Nothing is said where nothing is held."""
    assert await read(EXPORTER, postgres({HOLDERS: []})) == {}


async def test_each_kind_of_holder_is_told_apart(postgres: Make, read: Read) -> None:
    """Row 8: session, slot, prepared transaction and standby, with the time where it is known."""
    rows = [
        holder("session", "41", 900, held=74.0),
        holder("slot", "warehouse", 5000, database=""),
        holder("prepared", "733", 80, held=3600.0),
        holder("standby", "replica", 3, database=""),
    ]
    found = await read(EXPORTER, postgres({HOLDERS: rows}))
    assert found["postgresql.horizon.age", "session", "acme"] == 900
    assert found["postgresql.horizon.held", "session", "acme"] == 74.0
    assert found["postgresql.horizon.age", "slot", ""] == 5000
    assert ("postgresql.horizon.held", "slot", "") not in found
    assert found["postgresql.horizon.held", "prepared", "acme"] == 3600.0
    assert found["postgresql.horizon.holder.age", "slot", "", "warehouse"] == 5000
    assert found["postgresql.horizon.age", "standby", ""] == 3


async def test_the_oldest_speaks_for_its_kind(postgres: Make, read: Read) -> None:
    """Age and time are of one and the same holder."""
    rows = [holder("session", "41", 10, held=500.0), holder("session", "42", 90, held=30.0)]
    found = await read(EXPORTER, postgres({HOLDERS: rows}))
    assert found["postgresql.horizon.age", "session", "acme"] == 90
    assert found["postgresql.horizon.held", "session", "acme"] == 30.0


async def test_holders_beyond_the_top_are_one_series(postgres: Make, read: Read) -> None:
    """The rest shows as the oldest of it."""
    rows = [holder("session", str(pid), pid) for pid in (10, 20, 30)]
    found = await read(EXPORTER, postgres({HOLDERS: rows}), Options(top=1))
    assert found["postgresql.horizon.holder.age", "session", "acme", "30"] == 30
    assert found["postgresql.horizon.holder.age", "session", "acme", "other"] == 20
    assert ("postgresql.horizon.holder.age", "session", "acme", "20") not in found


async def test_slots_say_since_when_they_are_left_from_17_on(postgres: Make, read: Read) -> None:
    """The newer statement goes to the newer server."""
    rows = [holder("slot", "warehouse", 5000, database="", held=60.0)]
    found = await read(EXPORTER, postgres({HOLDERS_17: rows}, version=170000))
    assert found["postgresql.horizon.held", "slot", ""] == 60.0
    assert "inactive_since" not in HOLDERS


async def test_what_may_not_be_seen_is_an_error(postgres: Make, read: Read) -> None:
    """Sessions without contents are not sessions that hold nothing."""
    rows = [{**holder("session", "41", 0), "age": None, "hidden": True}]
    with pytest.raises(PermissionDeniedError, match="pg_monitor"):
        await read(EXPORTER, postgres({HOLDERS: rows}))
