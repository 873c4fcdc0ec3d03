"""Redis: memory against its limit, what is thrown out or refused, and how busy the server is."""

from __future__ import annotations

from functools import partial

from .builder import NAME, Dashboard, Panel, Query, Variable
from .levels import Levels
from .parts import (
    ANY_IS_BAD,
    COMMON,
    HERE,
    graph,
    now,
    over_time,
    rate,
    rates,
    red_above,
    share,
    stat,
    yes_or_no,
)

narrow = partial(graph, width=6)
CACHE = Variable(name="target", label="Redis", metric="redis.memory.used")


def redis(levels: Levels) -> Dashboard:
    """Memory, evictions, commands, clients and persistence."""
    return Dashboard(
        uid="quaywatch-redis",
        title="Redis",
        description="Is Redis full, slow or losing sessions?",
        about=frozenset({"redis"}),
        variables=(*COMMON, CACHE),
        rows=(
            ("Is it full, slow or losing anything?", _now(levels)),
            ("Memory", _memory()),
            ("Work", _work()),
            ("Clients and disk", _clients()),
        ),
    )


def _now(levels: Levels) -> tuple[Panel, ...]:
    return (
        yes_or_no(
            title="Does it answer?",
            description="Whether the agent reached it, logged in and got an answer.",
            width=6,
            queries=now(f'min by (target) (<quaywatch.target.up>{{{HERE}, kind="redis"}})', "{{target}}"),
        ),
        stat(
            title="How full is it?",
            description="Memory that counts for eviction over the limit; at 100 % keys go or writes are refused.",
            width=6,
            steps=red_above(levels.redis),
            empty="there is no limit",
            queries=now(f"max by (target) (<redis.memory.utilization>{{{HERE}}})", "{{target}}"),
        ),
        stat(
            title="How many keys were thrown out?",
            description="Evicted in the time shown to stay within the limit, sessions among them.",
            width=6,
            unit="short",
            steps=ANY_IS_BAD,
            queries=now(f"sum by (target) (increase(<redis.keys.evicted>{{{HERE}}}[$__range]))", "{{target}}"),
        ),
        stat(
            title="What happens when it is full?",
            description="The eviction policy in force: noeviction refuses writes, the others throw out keys.",
            width=6,
            said=NAME,
            queries=now(f"max by (target, policy) (<redis.memory.policy>{{{HERE}}}) == 1", "{{target}} {{policy}}"),
        ),
    )


def _memory() -> tuple[Panel, ...]:
    return (
        graph(
            title="How much memory is in use?",
            description="Allocated, as the operating system sees it, and the limit.",
            queries=tuple(
                Query(f"max by (target) (<redis.{name}>{{{HERE}}})", f"{{{{target}}}} {legend}")
                for name, legend in (("memory.used", "used"), ("memory.rss", "resident"), ("maxmemory", "limit"))
            ),
        ),
        graph(
            title="How many keys leave?",
            description="Keys a second that expired or were thrown out.",
            unit="cps",
            queries=(
                Query(rate("redis.keys.expired", "target", HERE), "{{target}} expired"),
                Query(rate("redis.keys.evicted", "target", HERE), "{{target}} evicted"),
            ),
        ),
        graph(
            title="How many keys are there?",
            description="By database.",
            empty="there are no keys",
            queries=over_time(f"sum by (target, db) (<redis.db.keys>{{{HERE}}})", "{{target}} {{db}}"),
        ),
    )


def _work() -> tuple[Panel, ...]:
    hits, misses = (rate(f"redis.keyspace.{name}", "target", HERE) for name in ("hits", "misses"))
    return (
        narrow(
            title="How much is it asked?",
            description="Commands a second.",
            unit="ops",
            queries=rates("redis.commands.processed", "target", HERE),
        ),
        narrow(
            title="How much of it is found?",
            description="Part of the look-ups that found their key.",
            unit="percentunit",
            empty="nothing was looked up",
            when_fine=True,
            queries=over_time(share(hits, f"({hits} + {misses})"), "{{target}}"),
        ),
        narrow(
            title="How busy is the main thread?",
            description="Processor time a second; at 100 % commands queue up.",
            unit="percentunit",
            queries=rates("redis.cpu.time", "target, state", HERE),
        ),
        narrow(
            title="Which commands take the time?",
            description="Time that the runs of each command took, a second.",
            unit="percentunit",
            queries=over_time(f"topk(10, {rate('redis.cmd.time', 'target, cmd', HERE)})", "{{target}} {{cmd}}"),
        ),
    )


def _clients() -> tuple[Panel, ...]:
    return (
        narrow(
            title="How many clients are there?",
            description="Connected, and waiting in a blocking call.",
            queries=(
                Query(f"max by (target) (<redis.clients.connected>{{{HERE}}})", "{{target}} connected"),
                Query(f"max by (target) (<redis.clients.blocked>{{{HERE}}})", "{{target}} blocked"),
            ),
        ),
        narrow(
            title="Are clients turned away?",
            description="Connections a minute that were refused since there were too many.",
            unit="cpm",
            queries=rates("redis.connections.rejected", "target", HERE, times="60 * "),
        ),
        narrow(
            title="How many commands end in an error?",
            description="Commands a second that were answered with an error.",
            unit="cps",
            queries=rates("redis.replies.error", "target", HERE),
        ),
        narrow(
            title="What would a crash lose?",
            description="Changes that the last snapshot does not hold.",
            queries=over_time(f"max by (target) (<redis.rdb.changes_since_last_save>{{{HERE}}})", "{{target}}"),
        ),
    )
