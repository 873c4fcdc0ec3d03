"""Odoo 14 and Odoo 19 with OCA's queue_job, each in a file system of its own Debian suite.

What is slow is done once per cache: the file system, and a database with everything installed and seeded. A start
restores that database into the sandbox's PostgreSQL and runs the server in mounts that only it sees.
"""

import configparser
import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from sandbox import api_key, grants, jobs, seed
from sandbox.cache import built, is_built, mmdebstrap, run
from sandbox.host import in_private_mounts, require, require_root
from sandbox.process import LOOPBACK, Services, Spec, free_port
from sandbox.progress import Progress

from . import postgres
from .postgres import ODOO_PASSWORD, ODOO_ROLE, Postgres
from .redis import Redis

SESSIONS = "odoo14-sessions"
_HOME = Path("/srv")
_ADDONS = Path("/mnt")
_JOBS = "root:2"
# In seconds. The runner on Odoo 19 fails on jobs that are due in more than 24 days.
_JOBS_AHEAD = 14 * 86_400
# Whoever changes what is built raises its word; what `seed` puts there is part of the template.
_VERSIONS = {"root": "1", "addons": "4", "template": "4"}
_USUAL_SECONDS = {"addons": 2, "template": 45}


@dataclass(frozen=True, kw_only=True)
class Edition:
    """One packaged version of Odoo, and what of it differs."""

    name: str
    title: str
    suites: tuple[str, ...]
    package: str
    wheels: tuple[str, ...]
    python: str
    modules: str
    load: str
    health: str
    install_seconds: float

    @property
    def root(self) -> Path:
        """Its file system, built when there is none."""
        return built(f"{self.name}-root", _VERSIONS["root"], self._debootstrap)

    @property
    def addons(self) -> Path:
        """`addons` with queue_job and `lib` with what that imports, fetched when not there."""
        return built(f"{self.name}-addons", _VERSIONS["addons"], self._fetch_addons)

    def _debootstrap(self, part: Path) -> None:
        mmdebstrap(self.suites, (self.package,), part, default_release=self.suites[0])

    def _fetch_addons(self, part: Path) -> None:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        kind = ("--only-binary=:all:", f"--python-version={self.python}")
        run(*pip, *kind, "--target", part / "lib", *self.wheels)
        (part / "lib" / "odoo" / "addons").rename(part / "addons")
        (part / "lib" / "odoo").rmdir()


ODOO14 = Edition(
    name="odoo14",
    title="Odoo 14",
    suites=("bullseye",),
    package="odoo-14",
    # Debian's reportlab draws no barcodes as pictures: what it needs for that is a package of its own, unlike here.
    # The last four keep the web sessions in Redis, where `start_with_sessions` says so.
    wheels=(
        *("odoo14-addon-queue-job", "reportlab<3.7"),
        *("mangono-odoo-redis-session", "redis>=5,<5.1", "wrapt<2", "async-timeout"),
    ),
    python="3.9",
    modules="sale_management,stock,delivery,queue_job,base_automation",
    load="base,web,queue_job",
    health="/web/login",
    install_seconds=75,
)
ODOO19 = Edition(
    name="odoo19",
    title="Odoo 19",
    suites=("trixie", "sid"),
    package="odoo-19",
    wheels=("odoo-addon-queue-job>=19,<20", "openupgradelib"),
    python="3.13",
    modules="sale_management,stock_delivery,queue_job,base_automation",
    load="base,rpc,web,queue_job",
    health="/web/health",
    install_seconds=110,
)


@dataclass(frozen=True, kw_only=True)
class Odoo:
    """A running Odoo: its users with their fixed passwords, and the records kept for the probes.

    `login` is a salesman and stock user, as a probe should be; `janitor_login` may erase what that leaves;
    `portal_login` is a customer. `api_key` is the probe user's, for RPC only, and never expires.
    """

    url: str
    database: str
    partner_id: int
    product_id: int
    storable_id: int
    place_id: int
    api_key: str
    login: str = seed.PROBE[0]
    password: str = seed.PROBE[1]
    janitor_login: str = seed.JANITOR[0]
    janitor_password: str = seed.JANITOR[1]
    admin_login: str = seed.ADMIN[0]
    admin_password: str = seed.ADMIN[1]
    portal_login: str = seed.PORTAL[0]
    portal_password: str = seed.PORTAL[1]

    def admin(self) -> seed.Connection:
        """An RPC connection as the administrator."""
        return seed.Connection(self.url, self.database, self.admin_login, self.admin_password)


class Stored(Protocol):
    """What Odoo needs of the world: where its database is."""

    @property
    def postgres(self) -> Postgres:
        """The primary."""


def prepare(edition: Edition, progress: Progress) -> None:
    """Build the file system, fetch the addons, and install and seed a database, as far as the cache lacks them."""
    require_root()
    require("mmdebstrap", "postgresql-15", "postgresql-client-15")
    usual = {**_USUAL_SECONDS, "root": edition.install_seconds}
    for what, build in _BUILDERS.items():
        if not is_built(f"{edition.name}-{what}", _VERSIONS[what]):
            with progress.step(f"{edition.title}: build its {what}", usual[what]):
                build(edition)


def start(edition: Edition, services: Services, world: Stored, _progress: object) -> Odoo:
    """Start Odoo, its database restored when there is none; each fresh start brings an order of the day."""
    fresh = not services.alive(edition.name)
    if not postgres.has_database(world.postgres, edition.name):
        _restore(edition, world.postgres, services.state / edition.name)
    # Not in the template: what the exporters read changes more often than that.
    grants.grant(world.postgres, edition.name)
    if fresh:
        jobs.put_pending(world.postgres, edition.name, mark="later", count=2, ahead=_JOBS_AHEAD)
    url = _serve(edition, services, world.postgres)
    admin = seed.Connection(url, edition.name, *seed.ADMIN)
    # Once only: while it runs, somebody may just be trying what happens when records are not as they should be.
    seeded = seed.seed(admin) if fresh else seed.find(admin)
    if fresh:
        seed.trade(admin)
    return Odoo(url=url, database=edition.name, api_key=api_key.KEY, **vars(seeded))


def start_with_sessions(services: Services, world: Stored, cache: Redis) -> str:
    """Start one more Odoo 14 on the database of the first, which keeps its web sessions in Redis; its address.

    It runs no crons and no jobs. The first one must have been started before.
    """
    kept = {"host": cache.host, "port": str(cache.port), "password": cache.password, "ssl": "False"}
    settings = {"server_wide_modules": "base,web,redis_session_store", "max_cron_threads": "0"}
    return _serve(ODOO14, services, world.postgres, SESSIONS, settings, {"redis_sessions_store": kept})


def template(edition: Edition) -> Path:
    """A `dump` of a database with all modules and records, and its `filestore`, made when not there."""
    return built(f"{edition.name}-template", _VERSIONS["template"], partial(_build_template, edition))


def _build_template(edition: Edition, part: Path) -> None:
    """A dump of a database with all modules and records, and the files that belong to it."""
    with _scratch() as (services, server):
        home = services.state / edition.name
        config = f"{edition.name}.conf"
        _configure(edition, server, home, free_port(), config)
        install = ("-i", edition.modules, "--stop-after-init", "--without-demo=all")
        run(*_odoo(edition, home, *install, config=config), cwd=Path("/"))
        url = _serve(edition, services, server)
        seed.seed(seed.Connection(url, edition.name, *seed.ADMIN))
        jobs.run_test_jobs(url, edition.name, seed.ADMIN, server)
        services.stop(edition.name)
        api_key.put(server, edition.name, seed.PROBE[0])
        dump = ("pg_dump", "--format=directory", "--jobs=2", "--compress=1", f"--file={part / 'dump'}")
        run(*dump, server.superuser_dsn(edition.name))
        shutil.copytree(home / "data" / "filestore" / edition.name, part / "filestore")


_BUILDERS = {
    "root": lambda edition: edition.root,
    "addons": lambda edition: edition.addons,
    "template": template,
}


@contextmanager
def _scratch() -> Iterator[tuple[Services, Postgres]]:
    """A PostgreSQL for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="quaywatch-template-") as state:
        services = Services(Path(state))
        try:
            yield services, postgres.start(services, None, None)
        finally:
            services.stop_all()


def _restore(edition: Edition, server: Postgres, home: Path) -> None:
    """Bring the template's database into `server`, under its final name only when all of it is there."""
    built_once = template(edition)
    half = f"{edition.name}_restoring"
    postgres.sql(server, f"drop database if exists {half}")
    postgres.sql(server, f"create database {half} owner {ODOO_ROLE}")
    run("pg_restore", "--jobs=2", f"--dbname={server.superuser_dsn(half)}", built_once / "dump")
    filestore = home / "data" / "filestore" / edition.name
    shutil.copytree(built_once / "filestore", filestore, dirs_exist_ok=True)
    postgres.sql(server, f"alter database {half} rename to {edition.name}")


def _serve(
    edition: Edition,
    services: Services,
    server: Postgres,
    name: str = "",
    settings: Mapping[str, str] = MappingProxyType({}),
    sections: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> str:
    """Run Odoo under the edition's name or another, both on the database and in the directory of the first."""
    name = name or edition.name
    port = services.ports(name).get("http") or free_port()
    home = services.state / edition.name
    _configure(edition, server, home, port, f"{name}.conf", settings, sections)
    url = f"http://{LOOPBACK}:{port}"
    spec = Spec(
        name=name,
        argv=_odoo(edition, home, config=f"{name}.conf"),
        ports={"http": port},
        cwd=Path("/"),
        ready=partial(_answers, f"{url}{edition.health}"),
    )
    services.start(spec)
    return url


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return bool(answer.status == 200)  # noqa: PLR2004


def _configure(
    edition: Edition,
    server: Postgres,
    home: Path,
    port: int,
    file_name: str,
    more: Mapping[str, str] = MappingProxyType({}),
    sections: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> None:
    """Write the configuration, and give the directory to the file system's own user `odoo`."""
    core = "/usr/lib/python3/dist-packages/odoo/addons"
    settings = {
        "db_host": server.host,
        "db_port": server.port,
        "db_user": ODOO_ROLE,
        "db_password": ODOO_PASSWORD,
        "db_name": edition.name,
        "data_dir": _HOME / "data",
        "addons_path": f"{core},{_ADDONS / 'addons'}",
        "server_wide_modules": edition.load,
        "http_interface": LOOPBACK,
        "http_port": port,
        "workers": 0,
        **more,
    }
    config = configparser.ConfigParser()
    config["options"] = {key: str(value) for key, value in settings.items()}
    config["queue_job"] = {"channels": _JOBS, "host": LOOPBACK, "port": str(port)}
    config.read_dict(sections)
    (home / "data").mkdir(parents=True, exist_ok=True)
    with (home / file_name).open("w") as file:
        config.write(file)
    _give(home, *_identity(edition.root))


def _identity(root: Path) -> tuple[int, int]:
    rows = (line.split(":") for line in (root / "etc" / "passwd").read_text().splitlines())
    return next((int(row[2]), int(row[3])) for row in rows if row[0] == "odoo")


def _give(home: Path, uid: int, gid: int) -> None:
    os.chown(home, uid, gid)
    for path in home.rglob("*"):
        os.chown(path, uid, gid)


def _odoo(edition: Edition, home: Path, *arguments: str, config: str) -> tuple[str, ...]:
    """Odoo in its own file system, as its own user, with the sandbox's directories mounted into it."""
    root = edition.root
    shared = {Path("/proc"): root / "proc", Path("/dev"): root / "dev", home: root / _HOME.relative_to("/")}
    binds = {**shared, edition.addons: root / _ADDONS.relative_to("/")}
    env = ("env", "-i", "PATH=/usr/bin:/bin", f"HOME={_HOME}", "LANG=C.UTF-8", f"PYTHONPATH={_ADDONS / 'lib'}")
    odoo = ("odoo", f"--config={_HOME / config}", *arguments)
    return in_private_mounts(("chroot", "--userspec=odoo:odoo", str(root), *env, *odoo), binds)
