"""What a cycle of a tool costs: the tool itself, and the servers that it reads."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psutil

from sandbox.parts import redis
from sandbox.parts.postgres import sql

from .servers import Servers
from .tools import Tool

_STATEMENTS: Final = """
select coalesce(sum(s.calls), 0), coalesce(sum(s.total_exec_time + s.total_plan_time), 0) / 1000
  from pg_stat_statements(false) s join pg_roles r on r.oid = s.userid
 where r.rolname = '{role}'
"""
_SESSIONS: Final = "select pid from pg_stat_activity where usename = '{role}'"
_EVENT: Final = re.compile(r"(connection authorized|disconnection): .*?user=(\w+)")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one cycle took; times are seconds.

    Args:
        wall: from the beginning to the last byte of what is shown.
        database: planning and execution of its statements in PostgreSQL.
        statements: how many there were.
        connections: how many sessions it began.
        most_sessions: the most it had at a time.
        server: processor time of all of PostgreSQL's processes, the making of sessions included.
        processor: processor time of the tool's own processes.
        commands: what Redis was asked.
        series: how many series it showed.
    """

    wall: float
    database: float
    statements: int
    connections: int
    most_sessions: int
    server: float
    processor: float
    commands: int
    series: int


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a tool holds between two cycles; sizes are bytes.

    Args:
        resident: resident memory of its processes.
        own: of that, what is nobody else's.
        sessions: its sessions in PostgreSQL.
        session_memory: what the processes of these hold for themselves.
    """

    resident: int
    own: int
    sessions: int
    session_memory: int


class Gauge:
    """Measures cycles of tools on one pair of servers, one at a time."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._read_to = servers.log.stat().st_size

    def cycle(self, tool: Tool) -> tuple[Cost, str]:
        """Let a tool do a cycle; what it cost and what it shows."""
        open_before = len(self._sessions(tool))
        self._events(tool)
        statements, database = self._statements(tool)
        commands, server, processor = self._commands(), self._server(), _processor(tool)
        began = time.monotonic()
        page = tool.cycle()
        wall = time.monotonic() - began
        processor, server, asked = _processor(tool) - processor, self._server() - server, self._commands() - commands
        statements_after, database_after = self._statements(tool)
        steps = list(self._events(tool))
        cost = Cost(
            wall=wall,
            database=database_after - database,
            statements=statements_after - statements,
            connections=steps.count(1),
            most_sessions=open_before + _highest(steps),
            server=server,
            processor=processor,
            commands=asked - 1,
            series=sum(1 for line in page.splitlines() if line and not line.startswith("#")),
        )
        return cost, page

    def held(self, tool: Tool) -> Held:
        """What a tool holds now."""
        memory = [psutil.Process(pid).memory_full_info() for pid in tool.pids]
        sessions = self._sessions(tool)
        return Held(
            resident=sum(one.rss for one in memory),
            own=sum(one.uss for one in memory),
            sessions=len(sessions),
            session_memory=sum(psutil.Process(pid).memory_full_info().uss for pid in sessions),
        )

    def _sessions(self, tool: Tool) -> list[int]:
        return [int(pid) for pid in sql(self._servers.postgres, _SESSIONS.format(role=tool.role)).split()]

    def _statements(self, tool: Tool) -> tuple[int, float]:
        calls, seconds = sql(self._servers.postgres, _STATEMENTS.format(role=tool.role)).split("|")
        return int(calls), float(seconds)

    def _events(self, tool: Tool) -> list[int]:
        """What the log says since the last look: 1 for each session that the tool began, -1 for each that ended."""
        with self._servers.log.open("rb") as log:
            log.seek(self._read_to)
            fresh = log.read()
        self._read_to += len(fresh)
        found = _EVENT.findall(fresh.decode(errors="replace"))
        return [1 if what == "connection authorized" else -1 for what, role in found if role == tool.role]

    def _commands(self) -> int:
        return int(redis.info(self._servers.redis, "stats")["total_commands_processed"])

    def _server(self) -> float:
        """Processor time of PostgreSQL up to now: its first process, what that has buried, and what lives."""
        first = psutil.Process(self._servers.pid)
        times = first.cpu_times()
        buried = float(times.children_user + times.children_system)
        return buried + sum(map(_used, (first, *first.children())))


def _used(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _processor(tool: Tool) -> float:
    return sum(_used(psutil.Process(pid)) for pid in tool.pids)


def _highest(steps: Iterable[int]) -> int:
    level = highest = 0
    for step in steps:
        level += step
        highest = max(highest, level)
    return highest
