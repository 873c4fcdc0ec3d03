"""How long a Redis or Valkey server takes for its commands, and how busy its one event loop is.

From ``INFO commandstats latencystats stats``; the right to run ``INFO`` is enough. Percentiles are there from 7.0 on
and the event loop from 7.2 on; before that calls and their time give the mean. Percentiles are since the server's start
or ``CONFIG RESETSTAT``. The time is the server's own: a client that waits behind another's slow command is not in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Exporter, Kind, Metric, Redis, Sample, TargetKind

from .redis_info import fields, number

LATENCY = Metric(
    "redis.cmd.latency",
    Kind.GAUGE,
    "s",
    "How long a command runs, by percentile of all its runs so far.",
    ("cmd", "percentile"),
)
CALLS = Metric("redis.cmd.calls", Kind.COUNTER, "{call}", "Runs of a command.", ("cmd",))
TIME = Metric("redis.cmd.time", Kind.COUNTER, "s", "Time that a command's runs took.", ("cmd",))
FAILED = Metric(
    "redis.cmd.failed",
    Kind.COUNTER,
    "{call}",
    "Calls of a command that came to nothing: rejected before they ran, or failed while they did.",
    ("cmd", "how"),
)
LOOP_CYCLES = Metric("redis.eventloop.cycles", Kind.COUNTER, "{cycle}", "Turns of the event loop.")
LOOP_TIME = Metric(
    "redis.eventloop.time",
    Kind.COUNTER,
    "s",
    "Time that the event loop worked, waiting left out: near one second per second the server is at its end.",
)
LOOP_COMMANDS = Metric("redis.eventloop.command.time", Kind.COUNTER, "s", "The part of it that commands took.")

_SECONDS: Final = 1e-6
_PERCENTILES: Final = "latency_percentiles_usec_"
_STATISTICS: Final = "cmdstat_"
_FAILURES: Final = {"rejected_calls": "rejected", "failed_calls": "failed"}
_LOOP: Final = {"eventloop_duration_sum": LOOP_TIME, "eventloop_duration_cmd_sum": LOOP_COMMANDS}


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to tune."""


async def collect(server: Redis, _options: Options, _state: None) -> AsyncIterator[Sample]:
    """Commands and the event loop.

    Raises:
        ParseError: when a number is none.
    """
    info = await server.info("commandstats", "latencystats", "stats")
    for key, value in info.items():
        if key.startswith(_PERCENTILES):
            for sample in _percentiles(key.removeprefix(_PERCENTILES), fields(value)):
                yield sample
        elif key.startswith(_STATISTICS):
            for sample in _statistics(key.removeprefix(_STATISTICS), fields(value)):
                yield sample
    for sample in _loop(info):
        yield sample


def _percentiles(command: str, line: Mapping[str, str]) -> Iterator[Sample]:
    return (LATENCY(number(line, percentile) * _SECONDS, command, percentile) for percentile in line)


def _statistics(command: str, line: Mapping[str, str]) -> Iterator[Sample]:
    yield CALLS(number(line, "calls"), command)
    yield TIME(number(line, "usec") * _SECONDS, command)
    for key, how in _FAILURES.items():
        if key in line:
            yield FAILED(number(line, key), command, how)


def _loop(info: Mapping[str, str]) -> Iterator[Sample]:
    if "eventloop_cycles" in info:
        yield LOOP_CYCLES(number(info, "eventloop_cycles"))
    yield from (metric(number(info, key) * _SECONDS) for key, metric in _LOOP.items() if key in info)


EXPORTER: Exporter[Redis, Options, None] = Exporter(
    name="redis_latency",
    reads=TargetKind.REDIS,
    metrics=(LATENCY, CALLS, TIME, FAILED, LOOP_CYCLES, LOOP_TIME, LOOP_COMMANDS),
    options=Options,
    collect=collect,
    state=lambda: None,
)
