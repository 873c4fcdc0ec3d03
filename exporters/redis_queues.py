"""The lengths of queues in a Redis or Valkey: lists, streams with their consumer groups, and sorted sets.

Only keys that the option ``keys`` names are read, in two round trips however many there are; ``KEYS`` is never used. An
entry with ``*``, ``?`` or ``[`` is a pattern: each reading goes on with a ``SCAN`` through the database where the last
one stopped, by ``scan`` keys at most, so that a new key of a large database is found after some readings. Redis deletes
an empty list or sorted set: a named key that is not there has no length, and ``redis.queue.exists`` says 0. In a
Cluster a key is read on the node that has it.

Needs rights beyond ``INFO``: ``ACL SETUSER <user> +type +scan +llen +xlen +zcard +xinfo|groups ~<keys>``. Nothing is
asked while no keys are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind
from quaywatch.errors import FaultError

from .redis_info import is_sentinel, pairs

EXISTS = Metric(
    "redis.queue.exists", Kind.GAUGE, "", "1 if a key that was named in full is there, else 0.", ("key",), budget=500
)
LENGTH = Metric(
    "redis.queue.length",
    Kind.UPDOWN,
    "{entry}",
    "Entries of a list, stream or sorted set. Absent for a key that is not there.",
    ("key", "type"),
    budget=500,
)
PENDING = Metric(
    "redis.stream.group.pending",
    Kind.UPDOWN,
    "{entry}",
    "Entries that a consumer group has given out and that were not acknowledged.",
    ("key", "group"),
    budget=500,
)
LAG = Metric(
    "redis.stream.group.lag",
    Kind.UPDOWN,
    "{entry}",
    "Entries that a consumer group has not given out yet. From 7.0 on, and where the server can tell.",
    ("key", "group"),
    budget=500,
)
CONSUMERS = Metric(
    "redis.stream.group.consumers", Kind.UPDOWN, "{consumer}", "Consumers of a group.", ("key", "group"), budget=500
)
OTHERS = Metric(
    "redis.queue.unreadable",
    Kind.UPDOWN,
    "{key}",
    "Keys that were named or matched and are no queue, by their type; too_many are those beyond the option most.",
    ("type",),
)

_LENGTH_OF: Final = {"list": "LLEN", "stream": "XLEN", "zset": "ZCARD"}
_SPECIAL: Final = frozenset("*?[")
_AT_ONCE: Final = 1000
_ABSENT: Final = "none"
_NOT_HERE: Final = frozenset({"ASK", "ERR", "MOVED", "WRONGTYPE"})


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    keys: tuple[str, ...] = field(
        default=(), metadata={"help": "names of keys, or patterns with * ? [ of them; nothing is read without one"}
    )
    most: int = field(default=100, metadata={"help": "how many keys of a pattern are read", "at_least": 1})
    scan: int = field(
        default=10_000, metadata={"help": "how many keys a reading looks at for each pattern", "at_least": 1}
    )


@dataclass(slots=True)
class Search:
    """The search for one pattern's keys: where it stands, and what it found in this pass and in the last whole one."""

    cursor: str = "0"
    found: set[str] = field(default_factory=set)
    known: frozenset[str] = frozenset()

    async def go_on(self, server: Redis, pattern: str, looks: int) -> frozenset[str]:
        """Look at so many keys more; the keys that are known then, those of a pass that goes on included."""
        for _ in range(0, looks, _AT_ONCE):
            count = min(looks, _AT_ONCE)
            cursor, keys = await server.command("SCAN", self.cursor, "MATCH", pattern, "COUNT", count)
            self.cursor = str(cursor)
            self.found.update(keys)
            if self.cursor == "0":
                self.known, self.found = frozenset(self.found), set()
                break
        return self.known | self.found


async def collect(server: Redis, options: Options, searches: dict[str, Search]) -> AsyncIterator[Sample]:
    """The named keys, and what is known of the patterns' keys.

    Raises:
        PermissionDeniedError: when a key or a command is not allowed.
    """
    if not options.keys or await is_sentinel(server):
        return
    patterns = [key for key in options.keys if _SPECIAL & set(key)]
    named = [key for key in options.keys if key not in patterns]
    matched, left_out = await _matched(server, patterns, options, searches)
    keys = list(dict.fromkeys([*named, *matched]))
    types = dict(zip(keys, await _ask(server, [("TYPE", key) for key in keys]), strict=True))
    for sample in (*_kinds(named, types, left_out), *await _lengths(server, types)):
        yield sample


async def _matched(
    server: Redis, patterns: Sequence[str], options: Options, searches: dict[str, Search]
) -> tuple[list[str], int]:
    """The keys of all patterns, and how many more there are."""
    matched: list[str] = []
    left_out = 0
    for pattern in patterns:
        search = searches.setdefault(pattern, Search())
        keys = sorted(await search.go_on(server, pattern, options.scan))
        matched += keys[: options.most]
        left_out += len(keys[options.most :])
    return matched, left_out


async def _ask(server: Redis, commands: Sequence[Sequence[str]]) -> list[Any]:
    """The answers; None for a key that ended meanwhile, changed its type, or lies on another node."""
    return [_answer(answer) for answer in await server.pipeline(*commands)]


def _answer(answer: Any) -> Any:
    if isinstance(answer, FaultError) and answer.code in _NOT_HERE:
        return None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _kinds(named: Sequence[str], types: Mapping[str, str | None], left_out: int) -> Iterator[Sample]:
    yield from (EXISTS(int(kind != _ABSENT), key) for key in dict.fromkeys(named) if (kind := types[key]) is not None)
    others = Counter(kind for kind in types.values() if kind not in {None, _ABSENT, *_LENGTH_OF})
    yield from (OTHERS(count, str(kind)) for kind, count in others.items())
    if left_out:
        yield OTHERS(left_out, "too_many")


async def _lengths(server: Redis, types: Mapping[str, str | None]) -> list[Sample]:
    queues = {key: kind for key, kind in types.items() if kind in _LENGTH_OF}
    streams = [key for key, kind in queues.items() if kind == "stream"]
    sizes = [(_LENGTH_OF[kind], key) for key, kind in queues.items() if kind]
    answers = await _ask(server, [*sizes, *(("XINFO", "GROUPS", key) for key in streams)])
    lengths = zip(queues.items(), answers, strict=False)
    samples = [LENGTH(size, key, str(kind)) for (key, kind), size in lengths if size is not None]
    for key, groups in zip(streams, answers[len(queues) :], strict=True):
        samples += [sample for group in groups or () for sample in _group(key, pairs(group))]
    return samples


def _group(key: str, group: Mapping[str, Any]) -> Iterator[Sample]:
    name = group["name"]
    yield PENDING(group["pending"], key, name)
    yield CONSUMERS(group["consumers"], key, name)
    if group.get("lag") is not None:
        yield LAG(group["lag"], key, name)


EXPORTER: Exporter[Redis, Options, dict[str, Search]] = Exporter(
    name="redis_queues",
    reads=TargetKind.REDIS,
    metrics=(EXISTS, LENGTH, PENDING, LAG, CONSUMERS, OTHERS),
    options=Options,
    collect=collect,
    state=dict,
)
