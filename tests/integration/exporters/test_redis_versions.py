"""Every Redis exporter on Redis 6, 7 and 8 and on Valkey: rows 26 and 27."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from quaywatch.drivers.redis import RedisServer
from quaywatch.errors import PermissionDeniedError
from sandbox.parts import redis_versions
from sandbox.parts.redis import Redis, command, info
from sandbox.process import Services, until
from tests.integration.exporters.redis_support import REDIS_EXPORTERS, connected

Read = Callable[..., Awaitable[dict[tuple[str, ...], Any]]]

QUEUES = REDIS_EXPORTERS["redis_queues"].options(keys=("jobs", "later", "events", "nothing", "name", "ev*"))
ELSEWHERE = {"redis_cluster", "redis_sentinel"}
"""What is read of other servers only."""
NEEDS_RIGHTS = {"redis_slowlog", "redis_queues"}
FOLLOWERS = {
    "redis.replication.replica.online",
    "redis.replication.replica.lag",
    "redis.replication.replica.behind",
    "redis.replication.link.up",
    "redis.replication.link.syncing",
    "redis.replication.link.last_io.age",
    "redis.replication.link.down.duration",
    "redis.replication.replica_offset",
}
"""What is there only where there are replicas."""
EVENT_LOOP = {"redis.eventloop.cycles", "redis.eventloop.time", "redis.eventloop.command.time"}
OLD = {
    "redis6": {
        *EVENT_LOOP,
        "redis.replies.error",
        "redis.cmd.latency",
        "redis.cmd.failed",
        "redis.stream.group.lag",
    },
    "redis7": EVENT_LOOP,
}
"""What these versions do not report yet."""


@pytest.fixture(scope="module", params=redis_versions.FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    """Each kind and version in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def server(flavour: str, services: Services) -> Redis:
    """A server with a limit, a snapshot, an append-only file, a slow command, and a queue of each kind."""
    made = redis_versions.start(services, flavour, settings={"maxmemory": "64mb"})
    for words in (
        "RPUSH jobs a b c",
        "ZADD later 1 a 2 b",
        "XADD events * order 1",
        "XADD events * order 2",
        "XGROUP CREATE events workers 0",
        "XREADGROUP GROUP workers one COUNT 1 STREAMS events >",
        "SET name x EX 1000",
        "CONFIG SET slowlog-log-slower-than 0",
        "GET name",
        "CONFIG SET slowlog-log-slower-than 10000",
        "BGSAVE",
    ):
        assert not command(made, *words.split()).startswith("-"), words
    assert until(lambda: info(made, "persistence")["rdb_last_bgsave_time_sec"] != "-1", within=60)
    assert command(made, "CONFIG", "SET", "appendonly", "yes") == "+OK"
    assert until(lambda: info(made, "persistence")["aof_last_rewrite_time_sec"] != "-1", within=60)
    return made


@pytest.fixture
async def driver(server: Redis) -> AsyncIterator[RedisServer]:
    """Logged in as the user who may do everything."""
    async with connected(server) as opened:
        yield opened


@pytest.mark.parametrize("name", sorted(REDIS_EXPORTERS.keys() - ELSEWHERE))
async def test_everything_that_the_version_reports_is_there(
    name: str, flavour: str, driver: RedisServer, read: Read
) -> None:
    """No declared metric is missing that this version could give, and none is made up."""
    exporter = REDIS_EXPORTERS[name]
    found = await read(exporter, driver, QUEUES if name == "redis_queues" else None)
    expected = {metric.name for metric in exporter.metrics} - OLD.get(flavour, set()) - FOLLOWERS
    assert {key[0] for key in found} == expected


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
async def test_a_server_alone_is_neither_sentinel_nor_cluster(name: str, driver: RedisServer, read: Read) -> None:
    """Row 28: what is not there is absent, without an error."""
    assert await read(REDIS_EXPORTERS[name], driver) == {}


async def test_queues_are_measured(flavour: str, driver: RedisServer, read: Read) -> None:
    """Row 27: lengths, what a group has not done yet, and what is no queue."""
    found = await read(REDIS_EXPORTERS["redis_queues"], driver, QUEUES)
    lag = {} if flavour == "redis6" else {("redis.stream.group.lag", "events", "workers"): 1}
    assert found == lag | {
        ("redis.queue.exists", "jobs"): 1,
        ("redis.queue.exists", "later"): 1,
        ("redis.queue.exists", "events"): 1,
        ("redis.queue.exists", "nothing"): 0,
        ("redis.queue.exists", "name"): 1,
        ("redis.queue.length", "jobs", "list"): 3,
        ("redis.queue.length", "later", "zset"): 2,
        ("redis.queue.length", "events", "stream"): 2,
        ("redis.queue.unreadable", "string"): 1,
        ("redis.stream.group.pending", "events", "workers"): 1,
        ("redis.stream.group.consumers", "events", "workers"): 1,
    }


async def test_counts_are_of_what_happened(server: Redis, driver: RedisServer, read: Read) -> None:
    """Row 26: a hit, a miss and a refused command are counted once each."""
    exporter = REDIS_EXPORTERS["redis_stats"]
    before = await read(exporter, driver)
    for words in (("GET", "name"), ("GET", "nothing"), ("LLEN", "name")):
        command(server, *words)
    after = await read(exporter, driver)
    risen = {key[0] for key in before if after[key] > before[key]}
    assert {"redis.commands.processed", "redis.connections.received", "redis.net.input", "redis.net.output"} <= risen
    assert after["redis.keyspace.hits",] - before["redis.keyspace.hits",] == 2
    assert after["redis.keyspace.misses",] - before["redis.keyspace.misses",] == 1
    if ("redis.replies.error",) in before:
        assert after["redis.replies.error",] - before["redis.replies.error",] == 1


async def test_clients_have_their_limit(server: Redis, driver: RedisServer, read: Read) -> None:
    """Row 26: as it is configured, on Redis 6 too, which does not report it."""
    command(server, "CONFIG", "SET", "maxclients", "321")
    found = await read(REDIS_EXPORTERS["redis_stats"], driver)
    assert found["redis.clients.max",] == 321 > found["redis.clients.connected",] > 0


async def test_slow_commands_count_beyond_what_the_log_holds(server: Redis, driver: RedisServer, read: Read) -> None:
    """Row 26: a log of two entries is full and still tells that three more came, whatever they were about."""
    exporter, counted = REDIS_EXPORTERS["redis_slowlog"], ("redis.slowlog.commands",)
    for setting in (("slowlog-max-len", "2"), ("slowlog-log-slower-than", "0")):
        command(server, "CONFIG", "SET", *setting)
    try:
        before = await read(exporter, driver)
        for _ in range(3):
            command(server, "GET", "name")
        after = await read(exporter, driver)
    finally:
        for setting in (("slowlog-max-len", "128"), ("slowlog-log-slower-than", "10000")):
            command(server, "CONFIG", "SET", *setting)
    assert after["redis.slowlog.length",] == 2
    assert after[counted] - before[counted] >= 3


async def test_the_state_of_persistence_is_seconds_ago(driver: RedisServer, read: Read) -> None:
    """Ages are small right after the fact; nothing is loading, and all went well."""
    found = await read(REDIS_EXPORTERS["redis_persistence"], driver)
    assert 0 <= found["redis.rdb.last_save.age",] < 120
    assert 0 < found["redis.fork.duration",] < 1
    assert found["redis.loading",] == 0
    assert [found[f"redis.{what}.ok",] for what in ("rdb.last_save", "aof.last_write", "aof.last_rewrite")] == [1, 1, 1]


async def test_a_failed_snapshot_shows(server: Redis, flavour: str, services: Services, read: Read) -> None:
    """A directory in which the server may not write makes the next snapshot fail."""
    home = services.state / flavour
    mode = home.stat().st_mode
    home.chmod(0o500)
    try:
        assert command(server, "BGSAVE").startswith("+")
        assert until(lambda: info(server, "persistence")["rdb_last_bgsave_status"] == "err", within=60)
        async with connected(server) as driver:
            found = await read(REDIS_EXPORTERS["redis_persistence"], driver)
    finally:
        home.chmod(mode)
    assert found["redis.rdb.last_save.ok",] == 0


async def test_the_right_to_info_is_enough_for_all_that_need_no_more(server: Redis, flavour: str, read: Read) -> None:
    """A user of +ping and +info reads everything, but for those that are documented to need more; each fails alone."""
    command(server, "ACL", "SETUSER", "watcher", "on", ">pass", "+ping", "+info")
    async with connected(server, "watcher", "pass") as driver:
        for name, exporter in REDIS_EXPORTERS.items():
            options = QUEUES if name == "redis_queues" else None
            if name in NEEDS_RIGHTS:
                with pytest.raises(PermissionDeniedError, match=r"ACL SETUSER watcher [+~]"):
                    await read(exporter, driver, options)
            else:
                found = await read(exporter, driver, options)
                assert bool(found) == (name not in ELSEWHERE)
                if name == "redis_stats":
                    assert (("redis.clients.max",) in found) == (flavour != "redis6")
        assert await read(REDIS_EXPORTERS["redis_queues"], driver) == {}


async def test_the_documented_rights_are_enough(server: Redis, read: Read) -> None:
    """What the exporters' own words grant is what they need, and no more than these keys."""
    grants = (
        "+slowlog|len +slowlog|get +type +scan +llen +xlen +zcard +xinfo|groups ~jobs ~later ~events ~nothing ~name"
    )
    command(server, "ACL", "SETUSER", "reader", "on", ">pass", "+ping", "+info", "+config|get", *grants.split())
    async with connected(server, "reader", "pass") as driver:
        assert await read(REDIS_EXPORTERS["redis_slowlog"], driver)
        assert ("redis.clients.max",) in await read(REDIS_EXPORTERS["redis_stats"], driver)
        assert await read(REDIS_EXPORTERS["redis_queues"], driver, QUEUES)
