"""Replication between real servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from exporters import postgres_horizon
from exporters.postgres_replication import EXPORTER
from quaywatch.errors import PermissionDeniedError
from sandbox.parts.postgres import STANDBY, sql
from sandbox.process import until

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

_STREAMING = ("postgresql.replication.standbys", "streaming")
_BEHIND = ("postgresql.replication.standby.lag", STANDBY, "replay")


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


def _waited_for(server: Any, query: str) -> bool:
    return until(lambda: bool(sql(server, query)), within=30)
