"""The heartbeat: rows in, samples out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from exporters.postgres_heartbeat import EXPORTER, NEWEST, PLACE, Options
from quaywatch.contract import Postgres, Value
from quaywatch.errors import PermissionDeniedError, VersionError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Postgres]

_AGE = ("postgresql.heartbeat.age",)
_PLACE = {"place": 'ops."Beat"', "moment": "at", "allowed": True}
_ASKED = NEWEST.format(place='ops."Beat"', moment="at")


@pytest.mark.parametrize("age", [3.5, -2.0])
async def test_the_age_is_told_as_it_is(age: float, postgres: Make, read: Read) -> None:
    """In seconds, from the table as the server writes its name; below 0 where the clocks differ so."""
    answers = {PLACE: [_PLACE], _ASKED: [{"age": age}]}
    assert await read(EXPORTER, postgres(answers), Options(table='ops."Beat"', column="at")) == {_AGE: age}


async def test_no_beat_is_absent(postgres: Make, read: Read) -> None:
    """An empty table is not an age of 0."""
    assert await read(EXPORTER, postgres({PLACE: [_PLACE], _ASKED: [{"age": None}]})) == {}


async def test_no_table_is_an_error(postgres: Make, read: Read) -> None:
    """Who enables it and has no such table is told its name."""
    with pytest.raises(VersionError, match=r"ts of table public\.heartbeat in database acme"):
        await read(EXPORTER, postgres({PLACE: []}))


async def test_a_missing_right_is_told_with_its_grant(postgres: Make, read: Read) -> None:
    """Nothing is read, and the remedy is a statement."""
    with pytest.raises(PermissionDeniedError) as raised:
        await read(EXPORTER, postgres({PLACE: [{**_PLACE, "allowed": False}]}))
    assert raised.value.remedy == 'grant select (at) on ops."Beat" to the agent\'s role'


def test_it_is_off_unless_asked_for() -> None:
    """Few have the table."""
    assert not EXPORTER.on
