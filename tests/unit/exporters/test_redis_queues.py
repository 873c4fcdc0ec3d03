"""Queues in a Redis: named keys and patterns in, lengths out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from exporters.redis_queues import EXPORTER, Options, Search
from quaywatch.contract import Redis, Value
from quaywatch.errors import FaultError, PermissionDeniedError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]
Make = Callable[..., Redis]
Answers = dict[tuple[str | int, ...], Any]

MOVED = FaultError("elsewhere", code="MOVED")


def scan(cursor: str, pattern: str, count: int = 1000) -> tuple[str | int, ...]:
    """The command that goes on with a search."""
    return ("SCAN", cursor, "MATCH", pattern, "COUNT", count)


def group(name: str, **numbers: int | None) -> Sequence[Any]:
    """A consumer group, as ``XINFO GROUPS`` has it."""
    return [word for pair in {"name": name, **numbers}.items() for word in pair]


async def test_without_keys_nothing_is_asked(redis: Make, read: Read) -> None:
    """Row 27: the default needs no rights."""
    assert await read(EXPORTER, redis({})) == {}


async def test_an_absent_key_has_no_length(redis: Make, read: Read) -> None:
    """Absent is not zero: the key is said not to exist, and that is all."""
    server = redis({}, {("TYPE", "jobs"): "none"})
    assert await read(EXPORTER, server, Options(keys=("jobs",))) == {("redis.queue.exists", "jobs"): 0}


async def test_every_kind_of_queue_is_measured_in_its_own_way(redis: Make, read: Read) -> None:
    """Lists, sorted sets and streams, an empty stream too, which is there."""
    answers = {
        ("TYPE", "jobs"): "list",
        ("TYPE", "later"): "zset",
        ("TYPE", "events"): "stream",
        ("LLEN", "jobs"): 3,
        ("ZCARD", "later"): 2,
        ("XLEN", "events"): 0,
        ("XINFO", "GROUPS", "events"): [],
    }
    found = await read(EXPORTER, redis({}, answers), Options(keys=("jobs", "later", "events")))
    assert {key: value for key, value in found.items() if key[0] == "redis.queue.length"} == {
        ("redis.queue.length", "jobs", "list"): 3,
        ("redis.queue.length", "later", "zset"): 2,
        ("redis.queue.length", "events", "stream"): 0,
    }


async def test_groups_of_a_stream(redis: Make, read: Read) -> None:
    """A lag that the server cannot tell, or an old one does not have, is absent; what is pending is not."""
    answers = {
        ("TYPE", "events"): "stream",
        ("XLEN", "events"): 9,
        ("XINFO", "GROUPS", "events"): [
            group("old", consumers=1, pending=2),
            group("lost", consumers=0, pending=0, lag=None),
            group("new", consumers=2, pending=4, lag=5),
        ],
    }
    found = await read(EXPORTER, redis({}, answers), Options(keys=("events",)))
    assert {key[1:]: value for key, value in found.items() if key[0] == "redis.stream.group.lag"} == {
        ("events", "new"): 5
    }
    assert [found["redis.stream.group.pending", "events", name] for name in ("old", "lost", "new")] == [2, 0, 4]
    assert [found["redis.stream.group.consumers", "events", name] for name in ("old", "lost", "new")] == [1, 0, 2]


async def test_a_key_that_is_no_queue_hides_no_other(redis: Make, read: Read) -> None:
    """It is counted by its type; the other is measured."""
    answers = {("TYPE", "name"): "string", ("TYPE", "jobs"): "list", ("LLEN", "jobs"): 3}
    assert await read(EXPORTER, redis({}, answers), Options(keys=("name", "jobs"))) == {
        ("redis.queue.exists", "name"): 1,
        ("redis.queue.exists", "jobs"): 1,
        ("redis.queue.unreadable", "string"): 1,
        ("redis.queue.length", "jobs", "list"): 3,
    }


async def test_a_key_of_another_node_is_left_to_that(redis: Make, read: Read) -> None:
    """In a Cluster this node cannot say whether it exists."""
    assert await read(EXPORTER, redis({}, {("TYPE", "jobs"): MOVED}), Options(keys=("jobs",))) == {}


async def test_a_key_that_changes_under_the_reading(redis: Make, read: Read) -> None:
    """It has no length this time; that is no failure."""
    answers = {("TYPE", "jobs"): "list", ("LLEN", "jobs"): FaultError("no list any more", code="WRONGTYPE")}
    found = await read(EXPORTER, redis({}, answers), Options(keys=("jobs",)))
    assert found == {("redis.queue.exists", "jobs"): 1}


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), FaultError("down", code="CLUSTERDOWN")])
async def test_what_concerns_all_keys_ends_the_reading(error: Exception, redis: Make, read: Read) -> None:
    """A missing right or a cluster that is down is told as such."""
    with pytest.raises(type(error)):
        await read(EXPORTER, redis({}, {("TYPE", "jobs"): error}), Options(keys=("jobs",)))


async def test_a_key_that_is_named_and_matched_is_read_once(redis: Make, read: Read) -> None:
    """The fixture refuses a series that comes twice."""
    answers: Answers = {scan("0", "j*"): ["0", ["jobs"]], ("TYPE", "jobs"): "list", ("LLEN", "jobs"): 3}
    found = await read(EXPORTER, redis({}, answers), Options(keys=("jobs", "j*", "jobs")))
    assert found["redis.queue.length", "jobs", "list"] == 3


def lists(*names: str) -> Answers:
    """Answers about lists of one entry."""
    return {("TYPE", name): "list" for name in names} | {("LLEN", name): 1 for name in names}


async def test_a_search_goes_on_where_it_stopped(redis: Make, read: Read) -> None:
    """No reading looks at more keys than it may; what a whole pass did not find again is gone."""
    answers = lists("q:a", "q:b", "q:c")
    answers |= {scan("0", "q:*", 10): ["7", ["q:a"]], scan("7", "q:*", 10): ["0", ["q:b"]]}
    options, state = Options(keys=("q:*",), scan=10), {"q:*": Search()}
    names = []
    for _ in range(3):
        found = await read(EXPORTER, redis({}, answers), options, state)
        names.append({key[1] for key in found})
    assert names == [{"q:a"}, {"q:a", "q:b"}, {"q:a", "q:b"}]
    answers[scan("0", "q:*", 10)] = ["0", ["q:c"]]
    await read(EXPORTER, redis({}, answers), options, state)
    assert {key[1] for key in await read(EXPORTER, redis({}, answers), options, state)} == {"q:c"}


async def test_matches_beyond_the_limit_are_counted(redis: Make, read: Read) -> None:
    """The first ones by name are read, so that they stay the same."""
    answers: Answers = {scan("0", "q:*"): ["0", ["q:c", "q:a", "q:b"]], **lists("q:a", "q:b")}
    assert await read(EXPORTER, redis({}, answers), Options(keys=("q:*",), most=2)) == {
        ("redis.queue.length", "q:a", "list"): 1,
        ("redis.queue.length", "q:b", "list"): 1,
        ("redis.queue.unreadable", "too_many"): 1,
    }
