"""Replication between real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exporters import postgres_horizon
from exporters.postgres_replication import EXPORTER, Options
from quaywatch.errors import PermissionDeniedError
from quaywatch.runtime.catalogue import TENANTS
from sandbox.parts.postgres import PRIMARY, STANDBY, Postgres, line_to, sql
from sandbox.process import until
from tests.integration.exporters.receivers import archiving
from tests.integration.runtime.agents import QUEUE_TABLE, Bench, address, cluster
from tests.integration.runtime.agents import eventually as until_so
from tests.unit.runtime.fakes import matching, value

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

_STREAMING = ("postgresql.replication.standbys", "streaming")
_ARCHIVES = ("postgresql.replication.consumers", "log")
_EXPECTED = ("postgresql.replication.standbys.expected",)
_SYNC = ("postgresql.replication.standby.sync_state", STANDBY)
_ACME = ("database", "acme")
_BEHIND = ("postgresql.replication.standby.lag", STANDBY, "replay")


async def test_a_standby_that_went_shows_on_the_primary(pair: Any, connect: Any, read: Read, eventually: Read) -> None:
    """None streams, which is a measured 0; its lag ends at once; its slot is idle and keeps what is written."""
    primary = await connect(pair.primary)
    pair.services.stop(STANDBY)
    try:
        found = await eventually(partial(read, EXPORTER, primary), lambda reading: reading[_STREAMING] == 0)
        assert _BEHIND not in found
        assert found["postgresql.replication.slot.active", "standby", "physical"] == 0
        sql(pair.primary, "drop table if exists bulk", "acme")
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


@pytest.mark.parametrize(
    ("named", "state"), [("FIRST 1 (standby)", "sync"), ("ANY 1 (standby)", "quorum"), ("", "async")]
)
async def test_the_primary_says_what_a_standby_is_to_commits(
    named: str, state: str, pair: Any, connect: Any, read: Read, eventually: Read
) -> None:
    """Row 4: whether commits wait for it, as ``synchronous_standby_names`` has it; it is one of the four."""
    primary = await connect(pair.primary)
    sql(pair.primary, f"alter system set synchronous_standby_names = '{named}'")
    sql(pair.primary, "select pg_reload_conf()")
    found = await eventually(partial(read, EXPORTER, primary), lambda reading: reading.get((*_SYNC, state)) == 1)
    assert sum(value for key, value in found.items() if key[:2] == _SYNC) == 1


async def test_an_archive_that_streams_hides_no_lost_standby(
    pair: Any, connect: Any, read: Read, eventually: Read, tmp_path: Path
) -> None:
    """Row 4: a real ``pg_receivewal`` is counted apart, also when it is next in line for commits to wait for."""
    reading = partial(read, EXPORTER, await connect(pair.primary), Options(expected_standbys=1))
    sql(pair.primary, "alter system set synchronous_standby_names = 'FIRST 1 (standby, pg_receivewal)'")
    sql(pair.primary, "select pg_reload_conf()")
    try:
        with archiving(pair.primary, tmp_path):
            next_in_line = ("postgresql.replication.standby.sync_state", "pg_receivewal", "potential")
            found = await eventually(reading, lambda found: found.get(next_in_line) == 1)
            assert (found[_STREAMING], found[_ARCHIVES]) == (1, 1)
            pair.services.stop(STANDBY)
            found = await eventually(reading, lambda found: found[_STREAMING] == 0)
            assert (found[_EXPECTED], found[_ARCHIVES]) == (1, 1)
    finally:
        pair.restart(STANDBY)
        sql(pair.primary, "alter system reset synchronous_standby_names")
        sql(pair.primary, "select pg_reload_conf()")
    await eventually(reading, lambda found: (found[_STREAMING], found[_ARCHIVES]) == (1, 0))


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


async def test_tours_go_where_the_primary_is(pair: Any) -> None:
    """Row 16: a standby's tenants are not visited; once it is promoted they are, and no more where the primary was.

    A standby of which that is asked is toured all along. Runs last.
    """
    (old, before), (new, after) = _roles(pair)
    sql(before, "drop table if exists queue_job", "acme")
    sql(before, f"{QUEUE_TABLE}; grant select on queue_job to quaywatch", "acme")
    bench = Bench()
    watched = {old: address(before), new: address(after), "asked": address(after, on_standby=True)}
    targets = [cluster(name, where, 0.5, tenants=lambda name: name == "acme") for name, where in watched.items()]
    async with bench.watching(*targets):
        await until_so(lambda: _queues(bench) == {old, "asked"} and _tenants(bench, new) == 0, within=60)
        await asyncio.to_thread(_switch_over, pair, old)
        await until_so(lambda: _queues(bench) == {new, "asked"} and _tenants(bench, old) == 0, within=120)
        assert not [one for one in bench.everything.series() if {("target", old), _ACME} <= set(one.attributes)]


def _roles(pair: Any) -> list[tuple[str, Postgres]]:
    """Both servers by name, the primary first: who tries again finds them exchanged."""
    servers = [(PRIMARY, pair.primary), (STANDBY, pair.standby)]
    return sorted(servers, key=lambda one: sql(one[1], "select pg_is_in_recovery()") == "t")


def _queues(bench: Bench) -> set[str]:
    """The targets that tell of the queue of ``acme``."""
    return {dict(one.attributes)["target"] for one in matching(bench.everything, "odoo.queue.live", database="acme")}


def _tenants(bench: Bench, target: str) -> Any:
    return value(bench.everything, TENANTS, target=target)


def _switch_over(pair: Any, name: str) -> None:
    """The standby is promoted when it has everything, and the primary of this name comes back as its standby."""
    (_, before), (_, after) = _roles(pair)
    sql(before, f"alter system set primary_conninfo = '{line_to(after)}'")
    sql(before, "alter system reset primary_slot_name")
    pair.services.stop(name)
    sql(after, "select pg_promote()")
    (pair.services.state / name / "data" / "standby.signal").touch()
    pair.restart(name)


def _waited_for(server: Any, query: str) -> bool:
    return until(lambda: bool(sql(server, query)), within=30)
