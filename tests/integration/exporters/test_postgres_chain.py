"""A standby of a standby: each hop tells of itself, and a heartbeat of the whole way."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from exporters import postgres_heartbeat
from exporters.postgres_replication import EXPORTER, Memory, Options
from quaywatch.drivers.postgres import PostgresCluster
from quaywatch.errors import PermissionDeniedError, VersionError
from sandbox import faults
from sandbox.parts.postgres import CASCADE, STANDBY, Postgres, sql, start_cascade
from sandbox.process import Services, until

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]
Connect = Callable[..., Awaitable[PostgresCluster]]

_CONNECTED = ("postgresql.replication.receiver.connected",)
_AGE = ("postgresql.replication.replay.age",)
_BACKLOG = ("postgresql.replication.replay.backlog",)
_STREAMING = ("postgresql.replication.standbys", "streaming")
_EXPECTED = ("postgresql.replication.standbys.expected",)
_BEAT = ("postgresql.heartbeat.age",)
_OPTIONS = Options(expected_standbys=1, expected_cascading=1)
_HEARTBEAT = """
drop table if exists heartbeat, silent, secret;
create table heartbeat (ts timestamptz not null);
insert into heartbeat values (clock_timestamp());
create table silent (ts timestamptz);
grant select (ts) on heartbeat, silent to quaywatch;
create table secret (ts timestamptz);
"""


def _lag(standby: str, stage: str = "replay") -> tuple[str, ...]:
    return ("postgresql.replication.standby.lag", standby, stage)


@dataclass
class Hop:
    """One server of the chain, and how it is read."""

    server: Postgres
    cluster: PostgresCluster
    read_with: Read
    memory: Memory = field(default_factory=Memory)

    async def read(self) -> Reading:
        """Its replication."""
        return await self.read_with(EXPORTER, self.cluster, _OPTIONS, self.memory)

    async def beat(self) -> Reading:
        """The heartbeat as it has arrived here."""
        return await self.read_with(postgres_heartbeat.EXPORTER, self.cluster)


Chain = tuple[Hop, Hop, Hop]


@pytest.fixture(scope="module")
def servers(services: Services, pair: Any) -> tuple[Postgres, Postgres, Postgres]:
    """A primary with a heartbeat, its standby and the standby of that one."""
    sql(pair.primary, _HEARTBEAT)
    return pair.primary, pair.standby, start_cascade(services, pair.primary, pair.standby)


@pytest.fixture
async def chain(servers: tuple[Postgres, Postgres, Postgres], connect: Connect, read: Read, eventually: Read) -> Chain:
    """The three of them, well, each with a fresh memory."""
    primary, standby, cascade = [Hop(server, await connect(server), read) for server in servers]
    sql(primary.server, "update orders set state = state + 1", "acme")
    for hop in (standby, cascade):
        await eventually(hop.read, lambda reading: reading[_CONNECTED] == 1 and _AGE not in reading)
    return primary, standby, cascade


async def test_each_server_tells_of_those_that_stream_from_it(chain: Chain, eventually: Read) -> None:
    """Rows 4, 5: one is expected of the primary and one of its standby, and each has its own; the last has none."""
    primary, standby, cascade = chain
    first = await eventually(primary.read, lambda reading: reading.get(_lag(STANDBY)) == 0)
    second = await eventually(standby.read, lambda reading: reading.get(_lag(CASCADE)) == 0)
    last = await cascade.read()
    assert (first[_STREAMING], second[_STREAMING], last[_STREAMING]) == (1, 1, 0)
    assert (first[_EXPECTED], second[_EXPECTED]) == (1, 1)
    assert _lag(CASCADE) not in first
    assert second["postgresql.replication.slot.active", CASCADE, "physical"] == 1
    assert [reading["postgresql.recovery",] for reading in (first, second, last)] == [0, 1, 1]
    assert _CONNECTED not in first


async def test_lag_shows_at_the_hop_that_has_it(chain: Chain, eventually: Read) -> None:
    """Rows 4, 5: the last one is paused: its upstream tells by how many bytes, and the primary that its own is well."""
    primary, standby, cascade = chain
    sql(cascade.server, "select pg_wal_replay_pause()")
    try:
        sql(primary.server, "drop table if exists bulk", "acme")
        sql(primary.server, "create table bulk as select generate_series(1, 10000)", "acme")
        written = sql(primary.server, "select pg_current_wal_lsn()")
        assert until(lambda: sql(standby.server, f"select pg_last_wal_replay_lsn() >= '{written}'") == "t", within=60)
        found = await eventually(
            standby.read, lambda reading: reading[_BACKLOG] == 0 and reading[_lag(CASCADE)] > 100_000
        )
        there = sql(standby.server, "select pg_last_wal_replay_lsn()")
        behind = sql(cascade.server, f"select pg_wal_lsn_diff('{there}', pg_last_wal_replay_lsn())")
        assert found[_lag(CASCADE)] == pytest.approx(float(behind), abs=10_000)
        assert (await cascade.read())[_AGE] > 0
        await eventually(primary.read, lambda reading: reading[_lag(STANDBY)] == 0)
    finally:
        sql(cascade.server, "select pg_wal_replay_resume()")
    await eventually(standby.read, lambda reading: reading[_lag(CASCADE)] == 0)


async def test_a_standby_may_be_ahead_of_its_upstream(chain: Chain, eventually: Read) -> None:
    """Row 4: the one in the middle is paused and passes on what it receives; the last has it all, and no lag."""
    primary, standby, cascade = chain
    sql(standby.server, "select pg_wal_replay_pause()")
    try:
        sql(primary.server, "drop table if exists more", "acme")
        sql(primary.server, "create table more as select generate_series(1, 10000)", "acme")
        found = await eventually(
            standby.read, lambda reading: reading[_BACKLOG] > 100_000 and reading[_lag(CASCADE)] == 0
        )
        assert found[_AGE] > 0
        assert _AGE not in await cascade.read()
        await eventually(primary.read, lambda reading: reading[_lag(STANDBY)] > 100_000)
    finally:
        sql(standby.server, "select pg_wal_replay_resume()")


async def test_a_heartbeat_is_as_old_as_it_is(chain: Chain, eventually: Read) -> None:
    """Wanted 2: on every server of the chain, since the moment at which it was written."""
    before = time.time()
    sql(chain[0].server, "update heartbeat set ts = clock_timestamp()")
    after = time.time()
    for hop in chain:
        found = await eventually(hop.beat, lambda reading: reading[_BEAT] <= time.time() - before)
        assert 0 <= found[_BEAT] <= time.time() - before
        asked = time.time()
        assert (await hop.beat())[_BEAT] >= asked - after


async def test_a_heartbeat_ages_where_replay_is_paused(chain: Chain, eventually: Read) -> None:
    """Wanted 2: though the log arrives, the last beat that was replayed gets older; on the primary it is new."""
    primary, standby, _ = chain
    beat = "update heartbeat set ts = clock_timestamp()"
    beaten = time.time()
    sql(primary.server, beat)
    await eventually(standby.beat, lambda reading: reading[_BEAT] <= time.time() - beaten)
    sql(standby.server, "select pg_wal_replay_pause()")
    try:
        paused = time.time()
        await eventually(standby.beat, lambda reading: reading[_BEAT] > 1)
        beaten = time.time()
        sql(primary.server, beat)
        await eventually(standby.read, lambda reading: reading[_BACKLOG] > 0)
        assert (await primary.beat())[_BEAT] <= time.time() - beaten
        asked = time.time()
        assert (await standby.beat())[_BEAT] >= asked - paused
    finally:
        sql(standby.server, "select pg_wal_replay_resume()")
    await eventually(standby.beat, lambda reading: reading[_BEAT] <= time.time() - beaten)


async def test_behind_a_cut_upstream_the_heartbeat_tells(chain: Chain, eventually: Read) -> None:
    """Wanted 2: the last one streams and has all that its upstream has; what is cut is the hop before, and both age."""
    primary, standby, cascade = chain
    with faults.cut_standby(Cut(primary.server, standby.server)):
        cut = time.time()
        sql(primary.server, "update heartbeat set ts = clock_timestamp()")
        await eventually(standby.read, lambda reading: reading[_CONNECTED] == 0 and reading[_AGE] > 1)
        last = await cascade.read()
        assert (last[_CONNECTED], last[_BACKLOG], _AGE in last) == (1, 0, False)
        asked = time.time()
        assert (await cascade.beat())[_BEAT] >= asked - cut
        assert (await primary.beat())[_BEAT] < (await cascade.beat())[_BEAT]


@dataclass(frozen=True)
class Cut:
    """The two sides of the hop that is cut."""

    postgres: Postgres
    standby: Postgres


async def test_a_heartbeat_needs_its_table_and_the_right_to_read_it(chain: Chain, read: Read) -> None:
    """Wanted 13: no table is an error, no right is one with the grant that mends it, and no beat is no sample."""
    primary = chain[0].cluster
    exporter, options = postgres_heartbeat.EXPORTER, postgres_heartbeat.Options
    assert await read(exporter, primary, options(table="silent")) == {}
    with pytest.raises(VersionError, match="nowhere"):
        await read(exporter, primary, options(table="nowhere"))
    with pytest.raises(PermissionDeniedError, match=r"grant select \(ts\) on public\.secret"):
        await read(exporter, primary, options(table="secret"))
