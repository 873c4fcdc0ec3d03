"""Faults that strike a probe's flow on Odoo 14 or 19, one for each cause that an agent may find.

Context managers like those of `faults`, and in its table: what a block has done is undone when it ends.
"""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .cache import SandboxError, run
from .faulting import bring_back, changed, expect, takes_no_target
from .parts import postgres
from .parts.odoo import ODOO14, Odoo
from .parts.postgres import ODOO_PASSWORD, ODOO_ROLE, sql
from .process import LOOPBACK
from .world import World

_BYSTANDER = "odoo-77"
_IMPORT = "month-end-import"
_HOARDER = "price-import"
_HOARD = """
do $$ begin
    for number in 1..:most loop
        perform dblink_connect('line' || number, ':login');
    end loop;
exception when others then null;
end $$;
"""
_THREADS = 2
_UNSLOWED = "drop trigger if exists sandbox_slow on sale_order; drop function if exists sandbox_slow()"
_SLOWED = f"""
{_UNSLOWED};
create function sandbox_slow() returns trigger language plpgsql as
    'begin perform pg_sleep(:seconds); return new; end';
create trigger sandbox_slow before insert on sale_order for each row execute function sandbox_slow()
"""
_UNREFUSED = "alter table sale_order drop constraint if exists sandbox_refusal"
_REFUSED = f"""
{_UNREFUSED};
alter table sale_order add constraint sandbox_refusal check (client_order_ref is null) not valid
"""
_PRINTER = "usr/bin/wkhtmltopdf"


@contextmanager
def customer_lock(world: World, target: str | None = None) -> Iterator[str]:
    """A session that keeps the probes' customer locked and idles in its transaction: no order of theirs is written."""
    database = target or "odoo14"
    partner = _odoo(world, database).partner_id
    with _held(world, database, f"select from res_partner where id = {partner} for update", _IMPORT):
        yield f"{_IMPORT} keeps the probes' customer locked in {database}"


@contextmanager
def bystanders(world: World, target: str | None = None, *, count: int = 10) -> Iterator[str]:
    """Sessions that wait for a lock on a table which no flow writes, and call themselves as Odoo's do."""
    database = target or "odoo14"
    statement = "select from res_country order by id limit 1 for update"
    with ExitStack() as sessions:
        sessions.enter_context(_held(world, database, statement, "country-import"))
        sessions.callback(_end, world, _BYSTANDER)
        for _ in range(count):
            sessions.enter_context(postgres.session(world.postgres, f"{statement};", database, _BYSTANDER))
        waiting = f"application_name = '{_BYSTANDER}' and wait_event_type = 'Lock'"
        expect(lambda: _sessions(world, waiting) == count, "the bystanders do not wait")
        yield f"{count} sessions of {database} wait for a row of res_country"


@contextmanager
def _held(world: World, database: str, statement: str, application: str) -> Iterator[None]:
    with ExitStack() as sessions:
        sessions.callback(_end, world, application)
        sessions.enter_context(postgres.session(world.postgres, f"begin; {statement};", database, application))
        idle = f"application_name = '{application}' and state = 'idle in transaction'"
        expect(lambda: _sessions(world, idle) == 1, f"{application} did not get its lock")
        yield


@contextmanager
def slow_writes(world: World, target: str | None = None, *, seconds: float = 3) -> Iterator[str]:
    """Each new sale order takes the database so many seconds more, as by a trigger that costs much."""
    database = target or "odoo14"
    with changed(world.postgres, database, _SLOWED.replace(":seconds", str(seconds)), _UNSLOWED):
        yield f"a trigger takes {seconds} s for each new order of {database}"


@contextmanager
def refused_writes(world: World, target: str | None = None) -> Iterator[str]:
    """A constraint that no order with a customer's reference passes, and so none of the probes'."""
    database = target or "odoo14"
    with changed(world.postgres, database, _REFUSED, _UNREFUSED):
        yield f"a constraint refuses the probes' orders in {database}"


@contextmanager
def role_limit(world: World, target: str | None = None) -> Iterator[str]:
    """Odoo's role may have no connection any more, and has lost those that it had."""
    takes_no_target(target)
    sql(world.postgres, f"alter role {ODOO_ROLE} connection limit 0")
    try:
        sql(world.postgres, f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{ODOO_ROLE}'")
        expect(lambda: _sessions(world, f"usename = '{ODOO_ROLE}'") == 0, "Odoo's sessions did not end")
        yield f"the connection limit of role {ODOO_ROLE} is used up"
    finally:
        sql(world.postgres, f"alter role {ODOO_ROLE} connection limit -1")


@contextmanager
def no_connections(world: World, target: str | None = None) -> Iterator[str]:
    """Every connection of the server is taken, by clients that have begun to log in and say no more."""
    takes_no_target(target)
    server = world.postgres
    most = int(sql(server, "select current_setting('max_connections')"))
    words = b"\0\3\0\0user\0" + server.user.encode() + b"\0database\0postgres\0\0"
    startup = (len(words) + 4).to_bytes(4, "big") + words
    with ExitStack() as lines:
        for _ in range(most):
            line = lines.enter_context(socket.create_connection((server.host, server.port), timeout=10))
            line.sendall(startup)
            if line.recv(1) == b"E":
                break
        yield f"all {most} connections of PostgreSQL are taken"


@contextmanager
def hoard(world: World, target: str | None = None) -> Iterator[str]:
    """One client has taken all connections that are not kept for superusers, and Odoo has lost those that it had."""
    takes_no_target(target)
    server = world.postgres
    sql(server, "create extension if not exists dblink")
    most = int(sql(server, "select current_setting('max_connections')"))
    login = f"host={server.host} port={server.port} dbname=postgres user={ODOO_ROLE} password={ODOO_PASSWORD}"
    statements = _HOARD.replace(":most", str(most)).replace(":login", f"{login} application_name={_HOARDER}")
    mine = f"application_name = '{_HOARDER}'"
    with ExitStack() as ends:
        ends.callback(_end, world, _HOARDER)
        ends.enter_context(postgres.session(server, statements, "postgres", _HOARDER))
        sql(
            server,
            f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{ODOO_ROLE}' and not {mine}",
        )
        others = "backend_type = 'client backend' and pid <> pg_backend_pid()"
        free = "current_setting('superuser_reserved_connections')::int"
        expect(lambda: _sessions(world, others) >= most - int(sql(server, f"select {free}")), "connections are left")
        yield f"{_HOARDER} has taken the {_sessions(world, mine)} connections of PostgreSQL that were left"


@contextmanager
def busy_workers(world: World, target: str | None = None) -> Iterator[str]:
    """An Odoo with two threads for HTTP, both of them taken by clients that send their requests too slowly."""
    name = target or "odoo14"
    services = world.services
    usual, port = services.argv(name), services.ports(name)["http"]
    narrow = tuple(word.replace(" env -i ", f" env -i ODOO_MAX_HTTP_THREADS={_THREADS} ") for word in usual)
    services.stop(name)
    try:
        bring_back(world, name, narrow)
        with ExitStack() as lines:
            for _ in range(_THREADS):
                line = lines.enter_context(socket.create_connection((LOOPBACK, port)))
                line.sendall(b"POST /xmlrpc/2/common HTTP/1.1\r\n")
            yield f"all {_THREADS} threads of {name} are taken"
    finally:
        services.stop(name)
        bring_back(world, name, usual)


@contextmanager
def swallow(world: World, target: str | None = None) -> Iterator[str]:
    """In the place of a server a port on which connections are neither taken nor refused, as behind a firewall."""
    name = target or "odoo14"
    world.services.stop(name)
    try:
        with ExitStack() as ends:
            for port in world.services.ports(name).values():
                ends.enter_context(swallowing(port))
            yield f"nobody takes or refuses a connection in the place of {name}"
    finally:
        bring_back(world, name)


@contextmanager
def swallowing(port: int) -> Iterator[None]:
    """A listener on `port` whose queue of one is full: the kernel drops every further request to connect."""
    with ExitStack() as ends:
        listener = ends.enter_context(socket.create_server((LOOPBACK, port), backlog=0))
        for _ in range(2):
            caller = ends.enter_context(socket.socket())
            caller.settimeout(0)
            with suppress(BlockingIOError):
                caller.connect(listener.getsockname())
        yield


@contextmanager
def broken_printer(world: World, target: str | None = None, *, hangs: float = 0) -> Iterator[str]:
    """In the place of Odoo 14's wkhtmltopdf a program that fails, or does nothing for so many seconds first.

    It is put there in the mounts of that server alone.
    """
    takes_no_target(target)
    pid, place = world.services.pid("odoo14"), ODOO14.root / _PRINTER
    if pid is None:
        raise SandboxError("odoo14 does not run")
    inside = ("nsenter", f"--target={pid}", "--mount")
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "wkhtmltopdf")
        program.write_text(f"#!/bin/sh\n/bin/sleep {hangs}\necho the printer is broken >&2\nexit 1\n")
        program.chmod(0o755)
        run(*inside, "mount", "--bind", program, place)
        try:
            yield f"wkhtmltopdf {'hangs' if hangs else 'fails'} on Odoo 14"
        finally:
            run(*inside, "umount", "--lazy", place)


def _odoo(world: World, name: str) -> Odoo:
    return world.odoo14 if name == "odoo14" else world.odoo19


def _sessions(world: World, condition: str) -> int:
    return int(sql(world.postgres, f"select count(*) from pg_stat_activity where {condition}"))


def _end(world: World, application: str) -> None:
    there = f"application_name = '{application}'"
    sql(world.postgres, f"select pg_terminate_backend(pid) from pg_stat_activity where {there}")
    expect(lambda: _sessions(world, there) == 0, f"the sessions of {application} did not end")
