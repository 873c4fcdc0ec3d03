"""Redis and Valkey in company: replicas, Sentinels, Clusters, and what breaks among them; rows 26 and 28."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from quaywatch.errors import PermissionDeniedError
from sandbox.parts import redis_versions
from sandbox.parts.redis import Redis, command
from sandbox.parts.redis_versions import PRIMARY
from sandbox.process import Services
from tests.integration.exporters.redis_support import REDIS_EXPORTERS, connected

Reading = dict[tuple[str, ...], Any]
Read = Callable[..., Awaitable[Reading]]
Eventually = Callable[..., Awaitable[Reading]]

REPLICATION = REDIS_EXPORTERS["redis_replication"]
SENTINEL = REDIS_EXPORTERS["redis_sentinel"]
CLUSTER = REDIS_EXPORTERS["redis_cluster"]
OF_DATA = {"redis_slowlog", "redis_persistence", "redis_replication", "redis_keyspace", "redis_queues", "redis_cluster"}
"""What a Sentinel, which holds no data, has nothing of."""


@pytest.fixture(scope="module", params=redis_versions.FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    """Each kind and version in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def primary(flavour: str, services: Services) -> Redis:
    """The one that is followed."""
    return redis_versions.start(services, flavour)


@pytest.fixture(scope="module")
def replica(flavour: str, services: Services, primary: Redis) -> Redis:
    """The one that follows."""
    return redis_versions.start_replica(services, flavour, primary)


@pytest.fixture(scope="module")
def sentinel(flavour: str, services: Services, primary: Redis, replica: Redis) -> Redis:
    """The one that watches both."""
    assert replica.port != primary.port
    return redis_versions.start_sentinel(services, flavour, primary)


@pytest.fixture
def at_home(flavour: str, services: Services, primary: Redis, replica: Redis, sentinel: Redis) -> Redis:
    """The Sentinel, with all three in their first roles, whatever a failover of before has left."""
    if not services.alive(flavour):
        for name in (f"{flavour}-sentinel", f"{flavour}-replica"):
            services.stop(name)
        assert redis_versions.start(services, flavour) == primary
        assert redis_versions.start_replica(services, flavour, primary) == replica
        assert redis_versions.start_sentinel(services, flavour, primary) == sentinel
    return sentinel


@pytest.fixture(scope="module")
def nodes(services: Services) -> tuple[Redis, ...]:
    """A Cluster of three."""
    return redis_versions.start_cluster(services, "redis7")


async def test_both_ends_of_replication(primary: Redis, replica: Redis, read: Read, eventually: Eventually) -> None:
    """The primary says who lacks how much, the replica whether it hears; a write gets there."""
    name = f"{replica.host}:{replica.port}"
    command(primary, "SET", "order", "1")
    async with connected(primary) as leading, connected(replica) as following:
        found = await eventually(
            lambda: read(REPLICATION, leading),
            lambda found: found.get(("redis.replication.replica.behind", name)) == 0,
        )
        assert found["redis.replication.replica.online", name] == 1
        assert found["redis.replication.replica.lag", name] <= 10
        assert found["redis.slaves.connected",] == 1
        assert ("redis.replication.link.up",) not in found
        followed = await read(REPLICATION, following)
    assert followed["redis.replication.is_replica",] == followed["redis.replication.link.up",] == 1
    assert followed["redis.replication.link.last_io.age",] <= 10
    assert followed["redis.replication.replica_offset",] >= found["redis.replication.offset",]


async def test_a_frozen_replica_falls_behind(
    flavour: str, services: Services, primary: Redis, replica: Redis, read: Read, eventually: Eventually
) -> None:
    """Its lag grows in seconds and in bytes while its connection stands."""
    name = f"{replica.host}:{replica.port}"
    services.kill(f"{flavour}-replica", signal.SIGSTOP)
    try:
        command(primary, "SET", "order", "x" * 1000)
        async with connected(primary) as leading:
            found = await eventually(
                lambda: read(REPLICATION, leading),
                lambda found: found["redis.replication.replica.lag", name] > 2,
            )
    finally:
        services.kill(f"{flavour}-replica", signal.SIGCONT)
    assert found["redis.replication.replica.online", name] == 1
    assert found["redis.replication.replica.behind", name] > 1000


async def test_a_sentinel_watches_its_primary(
    sentinel: Redis, primary: Redis, read: Read, eventually: Eventually
) -> None:
    """Row 28: everything declared is there, and says that all is well."""
    assert primary.port != sentinel.port
    async with connected(sentinel) as watching:
        found = await eventually(
            lambda: read(SENTINEL, watching),
            lambda found: found["redis.sentinel.master.slaves", PRIMARY] == 1,
        )
    assert {key[0] for key in found} == {metric.name for metric in SENTINEL.metrics}
    assert found["redis.sentinel.master.up", PRIMARY] == found["redis.sentinel.master.quorum.ok", PRIMARY] == 1
    assert found["redis.sentinel.master.sentinels", PRIMARY] == 1
    assert found["redis.sentinel.masters",] == 1
    assert 0 <= found["redis.sentinel.master.last_ok_ping.age", PRIMARY] < 30


async def test_a_sentinel_has_no_data_and_no_errors(sentinel: Redis, read: Read) -> None:
    """What the other exporters read is absent on a Sentinel; what they do find is declared and true of it."""
    queues = REDIS_EXPORTERS["redis_queues"].options(keys=("jobs", "j*"))
    async with connected(sentinel) as watching:
        for name, exporter in REDIS_EXPORTERS.items():
            found = await read(exporter, watching, queues if name == "redis_queues" else None)
            assert not (found and name in OF_DATA), name


async def test_too_few_sentinels_for_a_failover(sentinel: Redis, read: Read) -> None:
    """When two have to agree and there is one, nobody will replace the primary: that shows while all is well."""
    command(sentinel, "SENTINEL", "SET", PRIMARY, "quorum", "2")
    try:
        async with connected(sentinel) as watching:
            found = await read(SENTINEL, watching)
    finally:
        command(sentinel, "SENTINEL", "SET", PRIMARY, "quorum", "1")
    assert found["redis.sentinel.master.quorum", PRIMARY] == 2
    assert found["redis.sentinel.master.quorum.ok", PRIMARY] == 0
    assert found["redis.sentinel.master.up", PRIMARY] == 1


async def test_a_failover_shows(
    flavour: str, services: Services, at_home: Redis, replica: Redis, read: Read, eventually: Eventually
) -> None:
    """The primary is down, by this Sentinel and by enough of them; then the replica leads and the epoch has grown.

    The cut-off replica says meanwhile how long it has heard nothing.
    """
    up, epoch = ("redis.sentinel.master.up", PRIMARY), ("redis.sentinel.master.config_epoch", PRIMARY)
    link = ("redis.replication.link.up",)
    async with connected(at_home) as watching, connected(replica) as following:
        reading, follows = partial(read, SENTINEL, watching), partial(read, REPLICATION, following)
        # One that has never followed is not chosen.
        await eventually(follows, lambda found: found.get(link) == 1)
        before = await eventually(reading, lambda found: found["redis.sentinel.master.slaves", PRIMARY] == 1)
        assert before[up] == 1
        # Down is what it says for seconds only, by its link at first.
        falling = asyncio.ensure_future(eventually(reading, lambda found: found[up] == 0))
        await asyncio.to_thread(services.stop, flavour)
        cut = await eventually(follows, lambda found: found.get(link) == 0)
        assert cut["redis.replication.link.down.duration",] >= 0
        assert ("redis.replication.link.last_io.age",) not in cut
        redis_versions.let_fail_over(at_home)
        assert (await falling)["redis.sentinel.masters",] == 1
        # A Sentinel that tries to connect anew takes its primary for well until it cannot.
        await eventually(reading, lambda found: found[up] == 1 and found[epoch] > before[epoch])
        leads = await follows()
    assert leads["redis.replication.is_replica",] == 0


async def test_a_cluster_is_seen_from_each_node(nodes: tuple[Redis, ...], read: Read, eventually: Eventually) -> None:
    """Row 28: all slots are served, all nodes known."""
    for node in nodes:
        async with connected(node) as asked:
            found = await eventually(lambda asked=asked: read(CLUSTER, asked), lambda found: found["redis.cluster.ok",])
            found = await eventually(
                lambda asked=asked: read(CLUSTER, asked), lambda found: found["redis.cluster.size",] == len(nodes)
            )
        assert {key[0] for key in found} == {metric.name for metric in CLUSTER.metrics}
        assert found["redis.cluster.slots_assigned",] == found["redis.cluster.slots_ok",] == 16384
        assert found["redis.cluster.known_nodes",] == len(nodes)


async def test_a_queue_of_a_cluster_is_read_where_it_is(nodes: tuple[Redis, ...], read: Read) -> None:
    """Row 27: exactly one node has a key; the others say nothing of it."""
    exporter = REDIS_EXPORTERS["redis_queues"]
    for node in nodes:
        command(node, "DEL", "jobs")
    answers = [command(node, "RPUSH", "jobs", "a") for node in nodes]
    assert sorted(answer[0] for answer in answers) == ["-", "-", ":"]
    readings = []
    for node in nodes:
        async with connected(node) as asked:
            readings.append(await read(exporter, asked, exporter.options(keys=("jobs",))))
    assert sorted(readings, key=len) == [
        {},
        {},
        {("redis.queue.exists", "jobs"): 1, ("redis.queue.length", "jobs", "list"): 1},
    ]


async def test_a_node_asks_for_one_right_more(nodes: tuple[Redis, ...], read: Read) -> None:
    """The right to INFO is not enough in a Cluster, and the documented one is."""
    command(nodes[0], "ACL", "SETUSER", "watcher", "reset", "on", ">pass", "+ping", "+info")
    async with connected(nodes[0], "watcher", "pass") as driver:
        with pytest.raises(PermissionDeniedError):
            await read(CLUSTER, driver)
        command(nodes[0], "ACL", "SETUSER", "watcher", "+cluster|info")
        assert await read(CLUSTER, driver)


async def test_a_lost_node_is_a_failed_cluster(
    services: Services, nodes: tuple[Redis, ...], read: Read, eventually: Eventually
) -> None:
    """A third of the slots has nobody: the others say so."""
    services.stop("redis7-node2")
    async with connected(nodes[0]) as asked:
        found = await eventually(lambda: read(CLUSTER, asked), lambda found: found["redis.cluster.slots_fail",] > 0)
        assert found["redis.cluster.slots_fail",] + found["redis.cluster.slots_ok",] == 16384
        await eventually(lambda: read(CLUSTER, asked), lambda found: found["redis.cluster.ok",] == 0)
