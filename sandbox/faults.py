"""Faults to put into a running sandbox, as context managers: what a block has done is undone when it ends.

Each yields one sentence that says what is wrong now.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import Protocol

from . import flow_faults, jobs, odoo_faults, postgres_faults
from .cache import SandboxError, run
from .faulting import bring_back, expect, takes_no_target
from .host import require
from .parts import postgres, redis
from .parts.postgres import Postgres, sql
from .process import LOOPBACK
from .world import PARTS, World

Fault = Callable[[World, str | None], AbstractContextManager[str]]

_HOLDER = "month-end-import"
_WAITER = "web-order"
_JOBS_MARK = "stalled"
_FILLING = "sandbox:filling"
_CHUNK = "x" * 256 * 1024
# Filled beyond the limit by more than the memory that comes free when a connection closes.
_BEYOND = 1024 * 1024
_LATEST = "(select max(id) from sale_order where coalesce(client_order_ref, '') not like 'quaywatch/%')"
"""Of the ordinary business: those of probes come and go between two looks."""
_TOUCH = f"update sale_order set write_date = write_date where id = {_LATEST}"
_SENDER = "select active_pid from pg_replication_slots where slot_name = 'standby' and active"
_MET = """
do $$ begin
  for tick in 1..1500 loop
    exit when exists (
      select from pg_locks join pg_database on pg_database.oid = database
       where locktype = 'advisory' and datname = current_database() and objid = %s
    );
    perform pg_sleep(0.02);
  end loop;
end $$;
"""
"""Waits until somebody has an advisory lock, for half a minute."""
_UNWRITE = "drop table if exists sandbox_writes"
_WRITES = (
    f"{_UNWRITE}; create table sandbox_writes as select n, repeat('x', 200) as text from generate_series(1, 50000) n"
)


class Replicated(Protocol):
    """What the faults of replication need of a world: its two sides."""

    @property
    def postgres(self) -> Postgres:
        """The primary."""

    @property
    def standby(self) -> Postgres:
        """Its standby."""


@contextmanager
def lock(world: World, target: str | None = None, *, table: bool = False) -> Iterator[str]:
    """A session that locks the latest ordinary sale order and then idles in its transaction, and one that waits for it.

    With `table` the whole table is locked, as by a migration, so that every reader waits too.
    """
    database = target or "odoo14"
    held = "lock table sale_order in access exclusive mode" if table else _TOUCH
    with ExitStack() as sessions:
        sessions.callback(_end_sessions, world)
        for name, statement in ((_HOLDER, f"begin; {held}"), (_WAITER, _TOUCH)):
            sessions.enter_context(postgres.session(world.postgres, f"{statement};", database, name))
            expect(partial(_holds, world, name), f"{name} did not get as far as its lock")
        yield f"{_WAITER} waits in {database} for a {'table' if table else 'row'} that {_HOLDER} keeps locked"


def table_lock(world: World, target: str | None = None) -> AbstractContextManager[str]:
    """A session that keeps the whole table of sale orders locked, as a migration does, and one that waits."""
    return lock(world, target, table=True)


def _holds(world: World, application: str) -> bool:
    """Whether the session has its lock, or waits for it."""
    stage = "state = 'idle in transaction'" if application == _HOLDER else "wait_event_type = 'Lock'"
    query = f"select 1 from pg_stat_activity where application_name = '{application}' and {stage}"
    return bool(sql(world.postgres, query))


def _end_sessions(world: World) -> None:
    there = f"from pg_stat_activity where application_name in ('{_HOLDER}', '{_WAITER}')"
    sql(world.postgres, f"select pg_terminate_backend(pid) {there}")
    expect(lambda: not sql(world.postgres, f"select 1 {there}"), "the sessions of the lock did not end")


@contextmanager
def lag(world: Replicated, target: str | None = None) -> Iterator[str]:
    """A standby that receives but does not replay, while the primary has written some 10 MB more."""
    takes_no_target(target)
    sql(world.standby, "select pg_wal_replay_pause()")
    try:
        sql(world.postgres, _WRITES)
        yield "the standby has stopped replaying what it receives"
    finally:
        sql(world.standby, "select pg_wal_replay_resume()")
        sql(world.postgres, _UNWRITE)


@contextmanager
def cut_standby(world: Replicated, target: str | None = None) -> Iterator[str]:
    """A standby that answers but has lost the line to its primary."""
    takes_no_target(target)
    _follow(world, f"host={LOOPBACK} port=1")
    try:
        expect(lambda: not _streams(world), "the standby still streams")
        yield "the standby is up but cut off from its primary"
    finally:
        _follow(world, postgres.line_to(world.postgres))
        expect(lambda: _streams(world), "the standby did not come back to its primary")


@contextmanager
def silent_line(world: Replicated, target: str | None = None) -> Iterator[str]:
    """A standby whose line to its primary is open and dead: nothing gets through, and no new line is answered.

    The packet filter drops what goes over the line, and nothing else. Where the kernel has none, the primary's sender
    is frozen instead: the line is as silent, and its slot stays taken, so that no new line takes its place.
    """
    takes_no_target(target)
    with ExitStack() as undoing:
        undoing.callback(_reconnect, world)
        try:
            undoing.enter_context(_dropped(world.postgres.port))
            how = "the packet filter drops it"
        except SandboxError:
            undoing.enter_context(_frozen(int(sql(world.postgres, _SENDER))))
            how = "its sender is frozen"
        yield f"the standby's line is open, and nothing comes through: {how}"


@contextmanager
def _dropped(port: int) -> Iterator[None]:
    """Both directions of the line that standbys use, and no other line of the server at `port`.

    `SandboxError` where the kernel refuses.
    """
    require("iptables")
    ways = (("-d", postgres.LINE, "--dport", str(port)), ("-s", postgres.LINE, "--sport", str(port)))
    with ExitStack() as rules:
        for direction, address, side, number in ways:
            rule = ("INPUT", "-i", "lo", "-p", "tcp", direction, address, side, number, "-j", "DROP")
            run("iptables", "-w", "10", "-I", *rule)
            rules.callback(run, "iptables", "-w", "10", "-D", *rule)
        yield


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _reconnect(world: Replicated) -> None:
    """Either side would wait on for seconds, or for an answer that was dropped: both begin anew."""
    before = sql(world.postgres, _SENDER)
    sql(world.standby, "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walreceiver'")
    sql(world.postgres, f"select pg_terminate_backend(pid) from pg_stat_replication where pid = {before or 0}")
    expect(lambda: sql(world.postgres, _SENDER) not in {"", before}, "the standby did not come back to its primary")


def _follow(world: Replicated, line: str) -> None:
    quoted = line.replace("'", "''")
    sql(world.standby, f"alter system set primary_conninfo = '{quoted}';\nselect pg_reload_conf()")


def _streams(world: Replicated) -> bool:
    return bool(sql(world.postgres, "select 1 from pg_stat_replication where state = 'streaming'"))


@contextmanager
def stop(world: World, target: str | None = None) -> Iterator[str]:
    """A server that was stopped in good order; it comes back on the same ports."""
    name = _part(target)
    world.services.stop(name)
    try:
        yield f"{name} is stopped"
    finally:
        bring_back(world, name)


def stop_odoo(world: World, target: str | None = None) -> AbstractContextManager[str]:
    """An Odoo that was stopped, 14 unless the other is named."""
    return stop(world, target or "odoo14")


@contextmanager
def freeze(world: World, target: str | None = None) -> Iterator[str]:
    """A server that keeps its connections and accepts new ones, but does nothing any more."""
    name = _part(target)
    world.services.kill(name, signal.SIGSTOP)
    try:
        expect(partial(world.services.frozen, name), f"{name} goes on")
        yield f"{name} is frozen"
    finally:
        with suppress(SandboxError):
            world.services.kill(name, signal.SIGCONT)


@contextmanager
def fill_redis(world: World, target: str | None = None) -> Iterator[str]:
    """A Redis filled to its limit, which refuses writes."""
    takes_no_target(target)
    try:
        _limit(world, redis.MAXMEMORY + _BEYOND)
        while redis.command(world.redis, "RPUSH", _FILLING, _CHUNK).startswith(":"):
            pass
        _limit(world, redis.MAXMEMORY)
        yield f"Redis is full to {redis.MAXMEMORY} bytes and refuses writes"
    finally:
        _limit(world, redis.MAXMEMORY)
        redis.command(world.redis, "DEL", _FILLING)


def _limit(world: World, size: int) -> None:
    redis.command(world.redis, "CONFIG", "SET", "maxmemory", str(size))


@contextmanager
def evictions(world: World, target: str | None = None) -> Iterator[str]:
    """A Redis at its limit that throws keys out which were to live for another hour."""
    takes_no_target(target)
    before, filled = _evicted(world), list[str]()
    try:
        while _evicted(world) == before:
            filled.append(f"{_FILLING}:{len(filled)}")
            redis.command(world.redis, "SET", filled[-1], _CHUNK, "EX", "3600")
        yield f"Redis threw out {_evicted(world) - before} keys before their time"
    finally:
        redis.command(world.redis, "DEL", _FILLING, *filled)


def _evicted(world: World) -> int:
    return int(redis.info(world.redis, "stats")["evicted_keys"])


@contextmanager
def deadlock(world: World, target: str | None = None) -> Iterator[str]:
    """Two sessions that waited for each other, until PostgreSQL ended one of them."""
    database = target or "odoo14"
    ended = f"select deadlocks from pg_stat_database where datname = '{database}'"
    before = sql(world.postgres, ended)
    with ExitStack() as sessions:
        for mine, theirs in ((1, 2), (2, 1)):
            steps = f"select pg_advisory_lock({mine}); {_MET % theirs} select pg_advisory_lock({theirs});"
            sessions.enter_context(postgres.session(world.postgres, steps, database, _HOLDER))
        expect(lambda: sql(world.postgres, ended) != before, "nobody was ended")
    yield f"two sessions of {database} deadlocked"


@contextmanager
def queue_stall(world: World, target: str | None = None, *, count: int = 25, age: float = 1800) -> Iterator[str]:
    """Jobs that have been due for `age` seconds and that no runner takes up."""
    database = target or "odoo14"
    jobs.put_pending(world.postgres, database, mark=_JOBS_MARK, count=count, age=age)
    try:
        yield f"{count} jobs of {database} have been pending for {age:.0f} s"
    finally:
        jobs.remove(world.postgres, database, mark=_JOBS_MARK)


@contextmanager
def black_hole(world: World, target: str | None = None) -> Iterator[str]:
    """In the place of a server, on its own port, somebody who accepts and never answers."""
    name = _part(target)
    with stop(world, name), ExitStack() as holes:
        for port in world.services.ports(name).values():
            holes.enter_context(silence(port))
        yield f"in the place of {name} a black hole accepts connections and never answers"


@contextmanager
def silence(port: int = 0) -> Iterator[int]:
    """A listener on `port`, or any free one, that accepts every connection and never says a word; its port."""
    taken: list[socket.socket] = []
    with socket.create_server((LOOPBACK, port)) as listener:
        acceptor = threading.Thread(target=_accept, args=(listener, taken), daemon=True)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for connection in taken:
                connection.close()


def _accept(listener: socket.socket, taken: list[socket.socket]) -> None:
    with suppress(OSError):
        while True:
            taken.append(listener.accept()[0])


FAULTS: Mapping[str, Fault] = {
    "lock": lock,
    "table-lock": table_lock,
    "lag": lag,
    "cut-standby": cut_standby,
    "silent-line": silent_line,
    "stop": stop,
    "stop-odoo": stop_odoo,
    "freeze": freeze,
    "fill-redis": fill_redis,
    "evictions": evictions,
    "deadlock": deadlock,
    "queue-stall": queue_stall,
    "black-hole": black_hole,
    "customer-lock": flow_faults.customer_lock,
    "bystanders": flow_faults.bystanders,
    "slow-writes": flow_faults.slow_writes,
    "refused-writes": flow_faults.refused_writes,
    "role-limit": flow_faults.role_limit,
    "no-connections": flow_faults.no_connections,
    "hoard": flow_faults.hoard,
    "busy-workers": flow_faults.busy_workers,
    "swallow": flow_faults.swallow,
    "broken-printer": flow_faults.broken_printer,
    "skipped-crons": odoo_faults.skipped_crons,
    "cron-off": odoo_faults.cron_off,
    "stranded-order": odoo_faults.stranded_order,
    "expiring-key": odoo_faults.expiring_key,
    "failing-archive": postgres_faults.failing_archive,
}


def _part(target: str | None) -> str:
    if target is None or target not in PARTS:
        raise SandboxError(f"this fault needs a part to strike, one of {', '.join(PARTS)}")
    return target
