"""PostgreSQL: a primary and a streaming standby, clusters of our own on free ports.

The servers refuse root, and their data may lie below a directory only root may enter. So each runs as `postgres`
where its directory is mounted at `/var/lib/postgresql`, which no other process sees.
"""

import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from sandbox.cache import SandboxError, run
from sandbox.host import as_user, in_private_mounts, require, require_root
from sandbox.process import LOOPBACK, Services, Spec, free_port

PRIMARY = "postgres"
STANDBY = "standby"
CASCADE = "cascade"
ODOO_ROLE = "odoo"
ODOO_PASSWORD = "odoo"
LINE = "127.0.0.2"
"""Where a standby finds its primary: an address that nobody else uses, so that this line alone can be cut."""
_HOME = Path("/var/lib/postgresql")
_NO_ARCHIVE = "archive-stop"
_PASSWORD = "sandbox"
# Durability costs time and buys nothing here; the rest is what a production server of Odoo would have.
_SETTINGS = {
    "listen_addresses": f"{LOOPBACK},{LINE}",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": "on",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "replica",
    "max_wal_size": "4GB",
    "wal_keep_size": "256MB",
    "hot_standby": "on",
    "wal_retrieve_retry_interval": "200ms",
    "log_lock_waits": "on",
}
_ROLES = f"""
create role {ODOO_ROLE} login createdb password '{ODOO_PASSWORD}';
create role quaywatch login password 'quaywatch' in role pg_monitor;
create role replicator login replication password '{_PASSWORD}';
create extension pg_stat_statements;
"""


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A running server: `user` may only watch (pg_monitor and granted columns), `superuser` everything."""

    host: str
    port: int
    user: str = "quaywatch"
    password: str = "quaywatch"
    superuser: str = "postgres"
    superuser_password: str = _PASSWORD

    def dsn(self, database: str = "postgres") -> str:
        """A libpq address as the watching role."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def superuser_dsn(self, database: str = "postgres") -> str:
        """A libpq address as the superuser."""
        return f"postgresql://{self.superuser}:{self.superuser_password}@{self.host}:{self.port}/{database}"


@dataclass(frozen=True, kw_only=True)
class Programs:
    """An installed PostgreSQL: this machine's, or that of the Debian file system below `root`."""

    major: int
    root: Path | None = None

    def command(self, home: Path, program: str, *arguments: str) -> tuple[str, ...]:
        """`program` as the user `postgres`, to whom `home` is `/var/lib/postgresql`."""
        argv = [f"/usr/lib/postgresql/{self.major}/bin/{program}", *arguments]
        if self.root is None:
            return in_private_mounts(as_user("postgres", argv), {home: _HOME})
        user = pwd.getpwnam("postgres")
        chroot = ("chroot", f"--userspec={user.pw_uid}:{user.pw_gid}", "--groups=", str(self.root), *argv)
        return in_private_mounts(chroot, {home: self.root / _HOME.relative_to("/"), Path("/dev"): self.root / "dev"})


INSTALLED = Programs(major=15)
"""What `prepare` installs."""
_BIN = Path(f"/usr/lib/postgresql/{INSTALLED.major}/bin")
"""Clients are called here: the ones on the path are scripts that look for these, and take several times as long."""


class Replicated(Protocol):
    """What the standby needs of the world: whom to follow."""

    @property
    def postgres(self) -> Postgres:
        """The primary."""


def prepare(_progress: object) -> None:
    """Install the server, if the machine has none."""
    require_root()
    require("postgresql-15", "postgresql-client-15")


def start(services: Services, _world: object, _progress: object) -> Postgres:
    """Start the primary, its cluster made when there is none yet; it archives to nowhere, unless that is forbidden."""
    settings = {"archive_mode": "on", "archive_command": f"test ! -e {_HOME / _NO_ARCHIVE}"}
    return start_primary(services, PRIMARY, INSTALLED, settings)


def archive_stop(services: Services) -> Path:
    """The file that keeps the primary from archiving for as long as it is there."""
    return services.state / PRIMARY / _NO_ARCHIVE


def start_standby(services: Services, world: Replicated, _progress: object) -> Postgres:
    """Start the standby, copied from the primary when there is none yet; it follows through a slot of its own."""
    return start_follower(services, STANDBY, INSTALLED, world.postgres)


def start_cascade(services: Services, primary: Postgres, standby: Postgres) -> Postgres:
    """Start a standby of `standby`, copied from `primary` when there is none yet."""
    return start_follower(services, CASCADE, INSTALLED, primary, upstream=standby)


def start_primary(
    services: Services, name: str, programs: Programs, settings: Mapping[str, str] | None = None
) -> Postgres:
    """Start the service `name` as a primary, its cluster made when there is none yet; `settings` go before ours."""
    server = Postgres(host=LOOPBACK, port=_port(services, name))
    data = services.state / name / "data"
    if not data.exists():
        _initialise(programs, data)
        _serve(services, name, programs, server, settings)
        sql(server, _ROLES)
    _serve(services, name, programs, server, settings)
    return server


def start_follower(
    services: Services, name: str, programs: Programs, primary: Postgres, *, upstream: Postgres | None = None
) -> Postgres:
    """Start the service `name` as a standby, copied from `primary` when there is no copy yet.

    It follows `upstream`, the primary unless given, through a slot of its own there.
    """
    server = replace(primary, port=_port(services, name))
    data = services.state / name / "data"
    if not data.exists():
        slot = slot_of(name)
        _reserve(upstream or primary, slot)
        _copy(programs, primary, data)
        with (data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{line_to(upstream or primary)}'\nprimary_slot_name = '{slot}'\n")
    _serve(services, name, programs, server)
    return server


def slot_of(name: str) -> str:
    """The replication slot through which the standby of this name follows."""
    return name.replace("-", "_")


def line_to(primary: Postgres) -> str:
    """By which a standby reaches its primary, in libpq's words."""
    return f"host={LINE} port={primary.port} user=replicator password={_PASSWORD}"


def sql(server: Postgres, statements: str, database: str = "postgres") -> str:
    """The rows that `statements` give as the superuser, columns split by `|`; `SandboxError` when one fails."""
    argv = (str(_BIN / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", server.superuser_dsn(database), "-f", "-")
    done = subprocess.run(argv, input=statements, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SandboxError(f"SQL failed in {database}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def session(server: Postgres, statements: str, database: str, application: str) -> Iterator[None]:
    """A session of Odoo's role that has been sent `statements` and stays open, in its transaction if it began one.

    It ends with the block, and also with this process: the server sees the line close.
    """
    login = f"postgresql://{ODOO_ROLE}:{ODOO_PASSWORD}@{server.host}:{server.port}/{database}"
    argv = (str(_BIN / "psql"), "-XqAt", "-d", f"{login}?application_name={application}")
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, text=True) as client:
        assert client.stdin is not None  # noqa: S101 - asked for in the line above
        client.stdin.write(f"{statements}\n")
        client.stdin.flush()
        try:
            yield
        finally:
            client.kill()


def has_database(server: Postgres, database: str) -> bool:
    """Whether `database` is there."""
    return bool(sql(server, f"select 1 from pg_database where datname = '{database}'"))


def clone(server: Postgres, template: str, database: str) -> None:
    """Make `database` a copy of `template`, to which nobody may be connected; a tenant more in about a second."""
    sql(server, f'create database "{database}" template "{template}" owner {ODOO_ROLE}')


def _port(services: Services, name: str) -> int:
    return services.ports(name).get("postgres") or free_port()


def _initialise(programs: Programs, data: Path) -> None:
    home = _owned(data.parent)
    password = home / "password"
    password.write_text(_PASSWORD)
    flags = ("--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres", "--auth=scram-sha-256")
    _as_postgres(programs, home, "initdb", *flags, f"--pwfile={_HOME / 'password'}", f"--pgdata={_HOME / 'data'}")
    rules = "".join(f"host {what} all {LOOPBACK}/32 scram-sha-256\n" for what in ("all", "replication"))
    (data / "pg_hba.conf").write_text(rules)


def _reserve(upstream: Postgres, slot: str) -> None:
    left = f"select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{slot}'"
    sql(upstream, f"{left}; select pg_create_physical_replication_slot('{slot}', true)")


def _copy(programs: Programs, primary: Postgres, data: Path) -> None:
    home = _owned(data.parent)
    flags = ("--no-sync", "--checkpoint=fast", "--write-recovery-conf")
    try:
        arguments = (*flags, f"--dbname={line_to(primary)}", f"--pgdata={_HOME / 'data'}")
        _as_postgres(programs, home, "pg_basebackup", *arguments)
    except SandboxError:
        shutil.rmtree(data, ignore_errors=True)
        raise


def _owned(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    shutil.chown(home, "postgres", "postgres")
    return home


def _as_postgres(programs: Programs, home: Path, program: str, *arguments: str) -> None:
    run(*programs.command(home, program, *arguments), cwd=Path("/"))


def _serve(
    services: Services, name: str, programs: Programs, server: Postgres, settings: Mapping[str, str] | None = None
) -> None:
    chosen = {**_SETTINGS, **(settings or {}), "port": str(server.port), "cluster_name": name}
    flags = [word for key, value in chosen.items() for word in ("-c", f"{key}={value}")]
    spec = Spec(
        name=name,
        argv=programs.command(services.state / name, "postgres", "-D", str(_HOME / "data"), *flags),
        ports={"postgres": server.port},
        cwd=Path("/"),
        ready=partial(_answers, server),
        stop_signal=signal.SIGINT,
    )
    services.start(spec)


def _answers(server: Postgres) -> bool:
    argv = (str(_BIN / "pg_isready"), "-q", "-h", server.host, "-p", str(server.port))
    return subprocess.run(argv, check=False).returncode == 0
