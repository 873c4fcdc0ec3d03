"""Lag in the four cases that a single number gets wrong: idle, cut off, paused, promoted.

What such a number says is asked for beside it, so that each test shows the difference.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from exporters import postgres_databases
from exporters.postgres_replication import EXPORTER, Memory, Options
from sandbox import faults
from sandbox.parts.postgres import PRIMARY, STANDBY, sql, start_standby
from sandbox.process import until

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]

_CONNECTED = ("postgresql.replication.receiver.connected",)
_HEARD = ("postgresql.replication.receiver.last_message.age",)
_AGE = ("postgresql.replication.replay.age",)
_BACKLOG = ("postgresql.replication.replay.backlog",)
_PAUSED = ("postgresql.replication.replay.paused",)
_STREAMING = ("postgresql.replication.standbys", "streaming")
_BEHIND = ("postgresql.replication.standby.lag", STANDBY, "replay")
_DELAY = ("postgresql.replication.standby.delay", STANDBY, "replay")
_REPLY_AGE = ("postgresql.replication.standby.reply.age", STANDBY)

_SINCE_COMMIT = "select extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())"
"""A lag that rises while nobody commits."""
_UNLESS_REPLAYED = f"""
select case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0 else ({_SINCE_COMMIT}) end
"""
"""A lag that is 0 on a standby that receives nothing."""
_GIVE_UP_AFTER = 3


@pytest.fixture(scope="module")
def following(pair: Any) -> Any:
    """The pair, where either side gives up a silent line after three seconds instead of sixty."""
    _hurry(pair)
    return pair


def _hurry(pair: Any) -> None:
    for server, side in ((pair.primary, "sender"), (pair.standby, "receiver")):
        sql(server, f"alter system set wal_{side}_timeout = '{_GIVE_UP_AFTER}s'; select pg_reload_conf()")


def _follow_again(pair: Any) -> None:
    """A standby that was promoted before is a standby again."""
    if sql(pair.standby, "select pg_is_in_recovery()") == "f":
        pair.services.stop(STANDBY)
        shutil.rmtree(pair.services.state / STANDBY)
        assert start_standby(pair.services, pair, None) == pair.standby
        _hurry(pair)


@pytest.fixture
async def complete(following: Any, connect: Any, read: Read, eventually: Read) -> Callable[[], Awaitable[Reading]]:
    """Reads the standby, which by now has replayed a commit of a moment ago, with one memory."""
    _follow_again(following)
    reading = partial(read, EXPORTER, await connect(following.standby), state=Memory())
    sql(following.primary, "update orders set state = state + 1", "acme")
    there = sql(following.primary, "select pg_current_wal_insert_lsn()")
    replayed = f"select 1 where pg_last_wal_replay_lsn() >= '{there}'"
    assert until(lambda: bool(sql(following.standby, replayed)), within=30)
    await eventually(reading, lambda found: found[_CONNECTED] == 1 and _AGE not in found)
    return reading


def _naive(pair: Any, query: str) -> float:
    return float(sql(pair.standby, query))


async def test_an_idle_primary_makes_no_lag(
    complete: Read, following: Any, connect: Any, read: Read, eventually: Read
) -> None:
    """Rows 4, 5: the last commit is old and gets older; neither side says that anything is behind."""
    primary = await connect(following.primary)
    assert until(lambda: _naive(following, _SINCE_COMMIT) > 1, within=30)
    found = await eventually(complete, lambda reading: _AGE not in reading)
    assert found["postgresql.recovery",] == found[_CONNECTED] == found["postgresql.timeline",] == 1
    assert found[_BACKLOG] == 0.0
    assert found[_HEARD] < _GIVE_UP_AFTER
    there = await eventually(
        partial(read, EXPORTER, primary, Options(expected_standbys=1)), lambda reading: reading.get(_DELAY) == 0.0
    )
    assert there["postgresql.recovery",] == 0
    assert there["postgresql.timeline",] == 1
    assert there[_STREAMING] == there["postgresql.replication.standbys.expected",] == 1
    stages = ("sent", "write", "flush", "replay")
    assert {there["postgresql.replication.standby.lag", STANDBY, stage] for stage in stages} == {0.0}
    assert there["postgresql.replication.slot.active", STANDBY, "physical"] == 1


@pytest.mark.parametrize("how", ["its receiver has stopped", "its primary has stopped"])
async def test_a_standby_that_is_cut_off_ages(how: str, complete: Read, following: Any, eventually: Read) -> None:
    """Row 5: all that was received is replayed, and its data is as old as the cut, and older with each reading."""
    began = time.monotonic()
    with _cut(following, how):
        first = await eventually(complete, lambda reading: reading[_CONNECTED] == 0)
        was_cut = time.monotonic()
        assert first[_BACKLOG] == 0.0
        assert _HEARD not in first
        assert _naive(following, _UNLESS_REPLAYED) == 0
        asked = time.monotonic()
        later = await eventually(complete, lambda reading: reading[_AGE] > first[_AGE] + 1)
        assert asked - was_cut < later[_AGE] < time.monotonic() - began + _GIVE_UP_AFTER
    await eventually(complete, lambda reading: reading[_CONNECTED] == 1 and _AGE not in reading)


def _cut(pair: Any, how: str) -> Any:
    return faults.cut_standby(pair) if how.startswith("its receiver") else faults.stop(pair, PRIMARY)


async def test_a_line_that_falls_silent_is_heard_of_no_more_and_then_cut(
    complete: Read, following: Any, connect: Any, read: Read, eventually: Read
) -> None:
    """Rows 4, 5: first the age of the last message rises though PostgreSQL still calls it streaming, then the data's.

    The line is open and a packet filter drops what goes over it; where the kernel has none, the primary's sender is
    frozen, and the line is as silent.
    """
    primary = await connect(following.primary)
    silences = []
    began = time.monotonic()
    with faults.silent_line(following):
        silent = time.monotonic()
        sql(following.primary, "update orders set state = 7", "acme")
        while (found := await complete())[_CONNECTED]:
            silences.append(found[_HEARD])
            assert time.monotonic() - silent < 60
        assert max(silences) > 1
        assert _naive(following, _UNLESS_REPLAYED) == 0
        asked = time.monotonic()
        found = await complete()
        assert asked - silent < found[_AGE] < time.monotonic() - began + _GIVE_UP_AFTER
        assert found[_BACKLOG] == 0.0
        there = await eventually(partial(read, EXPORTER, primary), _gone)
        assert there["postgresql.replication.slot.retained", STANDBY, "physical"] > 0
    await eventually(complete, lambda reading: reading[_CONNECTED] == 1 and _AGE not in reading)


def _gone(reading: Reading) -> bool:
    """The primary has given the line up, or (a sender that is frozen cannot) has had no reply for as long."""
    return bool(reading[_STREAMING] == 0 or reading[_REPLY_AGE] > _GIVE_UP_AFTER)


async def test_paused_replay_ages_while_more_arrives(
    complete: Read, following: Any, connect: Any, read: Read, eventually: Read
) -> None:
    """Rows 4, 5: connected and behind, in bytes on both sides and in time on the standby; what arrives resets nothing.

    A pause alone makes nothing old.
    """
    primary = await connect(following.primary)
    sql(following.standby, "select pg_wal_replay_pause()")
    try:
        paused = await eventually(complete, lambda reading: reading[_PAUSED] == 1)
        assert (paused[_BACKLOG], _AGE in paused) == (0.0, False)
        began = time.monotonic()
        sql(following.primary, "update orders set state = 3", "acme")
        first = await eventually(complete, lambda reading: reading[_BACKLOG] > 0)
        sql(following.primary, "drop table if exists bulk", "acme")
        sql(following.primary, "create table bulk as select generate_series(1, 10000)", "acme")
        asked = time.monotonic()
        more = await eventually(complete, lambda reading: reading[_BACKLOG] > first[_BACKLOG] + 100_000)
        assert first[_CONNECTED] == more[_CONNECTED] == 1
        assert more[_AGE] > first[_AGE]
        assert asked - began < more[_AGE] < time.monotonic() - began + 60
        there = await eventually(partial(read, EXPORTER, primary), lambda reading: reading[_BEHIND] > 100_000)
        assert there["postgresql.replication.standby.lag", STANDBY, "flush"] < there[_BEHIND]
    finally:
        sql(following.standby, "select pg_wal_replay_resume()")
    await eventually(complete, lambda reading: (reading[_BACKLOG], _AGE in reading) == (0.0, False))
    await eventually(partial(read, EXPORTER, primary), lambda reading: reading[_BEHIND] == 0)


async def test_a_standby_that_replays_late_on_purpose_delays_a_commit(
    complete: Read, following: Any, connect: Any, read: Read, eventually: Read
) -> None:
    """Row 4: the primary tells how long the last commit took to be replayed there, and that it was flushed sooner.

    In bytes each of the four stages is told, in seconds each of the three that a standby answers.
    """
    primary = await connect(following.primary)

    async def after_a_commit() -> Reading:
        sql(following.primary, "update orders set state = 4", "acme")
        return await read(EXPORTER, primary)

    sql(following.standby, "alter system set recovery_min_apply_delay = '2s'; select pg_reload_conf()")
    try:
        there = await eventually(after_a_commit, lambda reading: reading.get(_DELAY, 0) >= 1)
        assert there["postgresql.replication.standby.delay", STANDBY, "flush"] < there[_DELAY]
        assert _stages(there, "lag") == {"sent", "write", "flush", "replay"}
        assert _stages(there, "delay") == {"write", "flush", "replay"}
    finally:
        sql(following.standby, "alter system reset recovery_min_apply_delay; select pg_reload_conf()")
    await eventually(complete, lambda reading: (reading[_BACKLOG], _AGE in reading) == (0.0, False))


def _stages(reading: Reading, what: str) -> set[str]:
    """The stages that the primary tells of its standby."""
    return {key[2] for key in reading if key[:2] == (f"postgresql.replication.standby.{what}", STANDBY)}


async def test_a_promoted_standby_is_a_primary_of_the_next_timeline(
    complete: Read, following: Any, connect: Any, read: Read, eventually: Read
) -> None:
    """Row 5: role and timeline change at once, not at the next checkpoint; no series of a standby is left. Runs last.

    Nor has the old primary one of it.
    """
    primary, standby = await connect(following.primary), await connect(following.standby)
    assert _of_a_standby(await complete() | await read(postgres_databases.EXPORTER, standby))
    sql(following.standby, "select pg_promote()")
    found = await eventually(complete, lambda reading: reading["postgresql.recovery",] == 0)
    assert found["postgresql.timeline",] == 2
    assert found[_STREAMING] == 0
    assert _of_a_standby(found | await read(postgres_databases.EXPORTER, standby)) == set()
    there = await eventually(partial(read, EXPORTER, primary), lambda reading: reading[_STREAMING] == 0)
    assert [key for key in there if key[0].startswith("postgresql.replication.standby.")] == []
    assert there["postgresql.timeline",] == 1


def _of_a_standby(reading: Reading) -> set[str]:
    beginnings = ("postgresql.replication.receiver.", "postgresql.replication.replay.", "postgresql.recovery.")
    return {key[0] for key in reading if key[0].startswith(beginnings)}
