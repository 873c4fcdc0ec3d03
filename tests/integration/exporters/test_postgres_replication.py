"""Replication between real servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from exporters import postgres_horizon
from exporters.postgres_replication import EXPORTER, Memory, Options
from quaywatch.errors import PermissionDeniedError
from sandbox.parts.postgres import PRIMARY, STANDBY, sql
from sandbox.process import until

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

_CONNECTED = ("postgresql.replication.receiver.connected",)
_AGE = ("postgresql.replication.replay.age",)
_STREAMING = ("postgresql.replication.standbys", "streaming")
_BEHIND = ("postgresql.replication.standby.lag", STANDBY, "replay")
_DELAY = ("postgresql.replication.standby.delay", STANDBY, "replay")


async def test_an_idle_pair_shows_no_lag_on_either_side(pair: Any, connect: Any, read: Read, eventually: Read) -> None:
    """With nothing to do: connected, all bytes there, no delay, and no age although the last commit is old."""
    primary, standby = await connect(pair.primary), await connect(pair.standby)
    found = await eventually(
        partial(read, EXPORTER, primary, Options(expected_standbys=1)), lambda reading: reading.get(_DELAY) == 0.0
    )
    assert found["postgresql.recovery",] == 0
    assert found["postgresql.timeline",] == 1
    assert found[_STREAMING] == found["postgresql.replication.standbys.expected",] == 1
    assert {found["postgresql.replication.standby.lag", STANDBY, at] for at in ("sent", "write", "flush")} == {0.0}
    assert found["postgresql.replication.slot.active", "standby", "physical"] == 1
    there = await read(EXPORTER, standby)
    assert there["postgresql.recovery",] == there[_CONNECTED] == there["postgresql.timeline",] == 1
    assert there["postgresql.replication.replay.backlog",] == 0.0
    assert _AGE not in there


async def test_paused_replay_shows_as_backlog_and_age(pair: Any, connect: Any, read: Read, eventually: Read) -> None:
    """Connected and behind: both sides say so in bytes, the standby says for how long, and it ends with the pause."""
    primary, standby = await connect(pair.primary), await connect(pair.standby)
    memory = Memory()
    await read(EXPORTER, standby, state=memory)
    sql(pair.standby, "select pg_wal_replay_pause()")
    sql(pair.primary, "update orders set state = 3", "acme")
    backlog = ("postgresql.replication.replay.backlog",)
    found = await eventually(partial(read, EXPORTER, standby, state=memory), lambda reading: reading[backlog] > 0)
    assert found["postgresql.replication.replay.paused",] == 1
    assert found[_CONNECTED] == 1
    assert 0 < found[_AGE] < 60
    await eventually(partial(read, EXPORTER, primary), lambda reading: reading[_BEHIND] > 0)
    sql(pair.standby, "select pg_wal_replay_resume()")
    await eventually(partial(read, EXPORTER, standby, state=memory), lambda reading: _AGE not in reading)
    await eventually(partial(read, EXPORTER, primary), lambda reading: reading[_BEHIND] == 0)


async def test_a_cut_standby_is_not_connected_and_ages(pair: Any, connect: Any, read: Read, eventually: Read) -> None:
    """Everything received is replayed, and yet the age rises from the cut; with the line back it is gone."""
    standby, memory = await connect(pair.standby), Memory()
    reading_on = partial(read, EXPORTER, standby, state=memory)
    await eventually(reading_on, lambda reading: _AGE not in reading)
    pair.services.stop(PRIMARY)
    try:
        first = await eventually(reading_on, lambda reading: reading[_CONNECTED] == 0)
        assert first["postgresql.replication.replay.backlog",] == 0.0
        later = await eventually(reading_on, lambda reading: reading[_AGE] > first[_AGE] + 1)
        assert later[_AGE] < 60
    finally:
        pair.restart(PRIMARY)
    await eventually(reading_on, lambda reading: reading[_CONNECTED] == 1 and _AGE not in reading)


async def test_a_standby_that_went_shows_on_the_primary(pair: Any, connect: Any, read: Read, eventually: Read) -> None:
    """None streams, which is a measured 0; its lag ends at once; its slot is idle and keeps what is written."""
    primary = await connect(pair.primary)
    pair.services.stop(STANDBY)
    try:
        found = await eventually(partial(read, EXPORTER, primary), lambda reading: reading[_STREAMING] == 0)
        assert _BEHIND not in found
        assert found["postgresql.replication.slot.active", "standby", "physical"] == 0
        sql(pair.primary, "create table bulk as select generate_series(1, 100000)", "acme")
        kept = (await read(EXPORTER, primary))["postgresql.replication.slot.retained", "standby", "physical"]
        assert kept > 1_000_000
    finally:
        pair.restart(STANDBY)
    await eventually(partial(read, EXPORTER, primary), lambda reading: reading.get(_BEHIND) == 0)


async def test_a_standbys_feedback_holds_the_primarys_horizon(
    pair: Any, connect: Any, read: Read, eventually: Read
) -> None:
    """Rows 6, 8: a query there keeps dead rows here, and the slot that carries it is named; the log is all there."""
    primary = await connect(pair.primary)
    held = ("postgresql.replication.slot.xmin.age", "standby", "physical", "data")
    sql(pair.standby, "alter system set hot_standby_feedback = on; select pg_reload_conf()")
    try:
        found = await eventually(partial(read, EXPORTER, primary), lambda reading: held in reading)
        holders = await read(postgres_horizon.EXPORTER, primary)
    finally:
        sql(pair.standby, "alter system reset hot_standby_feedback; select pg_reload_conf()")
    assert found["postgresql.replication.slot.wal_status", "standby", "physical", "reserved"] == 1
    assert found["postgresql.replication.slot.wal_status", "standby", "physical", "lost"] == 0
    assert ("postgresql.horizon.age", "slot", "") in holders
    assert ("postgresql.horizon.holder.age", "slot", "", "standby") in holders


@pytest.mark.parametrize("side", ["primary", "standby"])
async def test_a_role_that_may_not_look_gets_an_error(side: str, pair: Any, connect: Any, read: Read) -> None:
    """Without pg_monitor nothing is said, rather than that no standby is connected."""
    sql(pair.primary, "drop role if exists stranger; create role stranger login password 'stranger'")
    sql(pair.primary, "select pg_switch_wal()")
    server = getattr(pair, side)
    assert _waited_for(server, "select 1 from pg_roles where rolname = 'stranger'")
    stranger = await connect(server, "stranger", "stranger")
    with pytest.raises(PermissionDeniedError, match="pg_monitor"):
        await read(EXPORTER, stranger)


async def test_a_promoted_standby_is_a_primary_of_the_next_timeline(
    pair: Any, connect: Any, read: Read, eventually: Read
) -> None:
    """Role and timeline change at once, not at the next checkpoint, and the receiver's series end. Runs last."""
    standby = await connect(pair.standby)
    sql(pair.standby, "select pg_promote()")
    found = await eventually(partial(read, EXPORTER, standby), lambda reading: reading["postgresql.recovery",] == 0)
    assert found["postgresql.timeline",] == 2
    assert _CONNECTED not in found


def _waited_for(server: Any, query: str) -> bool:
    return until(lambda: bool(sql(server, query)), within=30)
