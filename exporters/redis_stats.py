"""The work of a Redis or Valkey server: commands, clients, hits and misses, bytes on the network, processor time.

From ``INFO clients stats cpu``; the right to run ``INFO`` is enough. Before Redis 7.0 that lacks the most clients there
may be: ``CONFIG GET maxclients`` is asked then, and where that may not be run (``ACL SETUSER <user> +config|get``) it
stays absent, and is not asked again, since each refusal is an entry in the server's ``ACL LOG``. Counters carry no
start time, as in `redis_memory`: ``CONFIG RESETSTAT`` sets them to 0 and Redis does not say when.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind
from quaywatch.errors import PermissionDeniedError, VersionError

from .redis_info import number, pairs, plain

COMMANDS = Metric("redis.commands.processed", Kind.COUNTER, "{command}", "Commands that were processed.")
RATE = Metric("redis.commands", Kind.GAUGE, "{ops}/s", "Commands per second, as the server itself averages them.")
REPLIES = Metric("redis.replies.error", Kind.COUNTER, "{reply}", "Commands that were answered with an error.")
RECEIVED = Metric("redis.connections.received", Kind.COUNTER, "{connection}", "Connections that were accepted.")
REJECTED = Metric(
    "redis.connections.rejected", Kind.COUNTER, "{connection}", "Connections refused since there were too many clients."
)
CONNECTED = Metric("redis.clients.connected", Kind.UPDOWN, "{client}", "Clients that are connected, without replicas.")
BLOCKED = Metric("redis.clients.blocked", Kind.UPDOWN, "{client}", "Clients that wait in a blocking call.")
MOST = Metric(
    "redis.clients.max",
    Kind.GAUGE,
    "{client}",
    "The most clients that may be connected. Absent before Redis 7.0 for a user who may not run CONFIG GET.",
)
HITS = Metric("redis.keyspace.hits", Kind.COUNTER, "{hit}", "Look-ups that found their key.")
MISSES = Metric("redis.keyspace.misses", Kind.COUNTER, "{miss}", "Look-ups that did not find their key.")
INPUT = Metric("redis.net.input", Kind.COUNTER, "By", "Bytes read from the network.")
OUTPUT = Metric("redis.net.output", Kind.COUNTER, "By", "Bytes written to the network.")
CPU = Metric(
    "redis.cpu.time",
    Kind.COUNTER,
    "s",
    "Processor time. The main thread's is part of sys and user: at one second per second commands queue up.",
    ("state",),
)

_MOST = "maxclients"
_PLAIN = {
    "total_commands_processed": COMMANDS,
    "instantaneous_ops_per_sec": RATE,
    "total_error_replies": REPLIES,
    "total_connections_received": RECEIVED,
    "rejected_connections": REJECTED,
    "connected_clients": CONNECTED,
    "blocked_clients": BLOCKED,
    _MOST: MOST,
    "keyspace_hits": HITS,
    "keyspace_misses": MISSES,
    "total_net_input_bytes": INPUT,
    "total_net_output_bytes": OUTPUT,
}
_CPU = "used_cpu_"


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


@dataclass(slots=True)
class Memory:
    """Whether ``CONFIG GET`` was refused."""

    refused: bool = False


async def collect(server: Redis, _options: Options, memory: Memory) -> AsyncIterator[Sample]:
    """Commands, clients, look-ups, network and processor.

    Raises:
        ParseError: when a number is none.
    """
    info = await server.info("clients", "stats", "cpu")
    if info and _MOST not in info:
        info = {**info, **await _configured(server, memory)}
    for sample in plain(info, _PLAIN):
        yield sample
    for key in info:
        if key.startswith(_CPU):
            yield CPU(number(info, key), key.removeprefix(_CPU))


async def _configured(server: Redis, memory: Memory) -> dict[str, str]:
    """The most clients, as an old server has it in its configuration alone; nothing where that may not be read."""
    if memory.refused:
        return {}
    try:
        return pairs(await server.command("CONFIG", "GET", _MOST))
    except (PermissionDeniedError, VersionError):
        memory.refused = True
        return {}


EXPORTER: Exporter[Redis, Options, Memory] = Exporter(
    name="redis_stats",
    reads=TargetKind.REDIS,
    metrics=(*_PLAIN.values(), CPU),
    options=Options,
    collect=collect,
    state=Memory,
)
