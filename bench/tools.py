"""The tools that are compared, each with a role of its own, each doing a whole cycle when it is told to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import yaml

from exporters import EXPORTERS
from quaywatch.contract import TargetKind
from sandbox.cache import built, fetch_deb
from sandbox.process import LOOPBACK, Services, Spec, accepts, free_port

from .servers import Servers

_SUITE: Final = "sid"
_POSTGRES_EXPORTER: Final = "prometheus-postgres-exporter"
_REDIS_EXPORTER: Final = "prometheus-redis-exporter"
_CYCLE_WITHIN: Final = 600.0
_NEVER: Final = 86400.0

POSTGRES: Final = (
    "postgres_locks",
    "postgres_activity",
    "postgres_replication",
    "postgres_wal",
    "postgres_wal_directory",
    "postgres_archiver",
    "postgres_checkpoints",
    "postgres_databases",
    "postgres_wraparound",
    "postgres_sizes",
    "postgres_tables",
)
"""The agent's exporters that read what the peers read; those for Redis are all on."""
_WHOLE: Final = (
    "--disable-settings-metrics",
    "--collector.database_wraparound",
    "--no-collector.stat_progress_vacuum",
    "--no-collector.stat_user_tables",
    "--no-collector.statio_user_tables",
)
"""What postgres_exporter is told to read of the cluster as a whole."""
_ONE: Final = (
    "--disable-settings-metrics",
    "--disable-default-metrics",
    *(
        f"--no-collector.{name}"
        for name in (
            *("database", "locks", "replication", "replication_slot", "roles", "stat_bgwriter", "stat_database"),
            *("stat_progress_vacuum", "statio_user_tables", "wal"),
        )
    ),
)
"""And of each tenant, by a process of its own that is asked about one after the other."""
_COUNTERS: Final = (
    *("seq_scan", "seq_tup_read", "idx_scan", "idx_tup_fetch"),
    *("n_tup_ins", "n_tup_upd", "n_tup_del", "n_tup_hot_upd"),
    *("vacuum_count", "autovacuum_count", "analyze_count", "autoanalyze_count"),
)
_GAUGES: Final = (
    *("n_live_tup", "n_dead_tup", "n_mod_since_analyze"),
    *("last_vacuum", "last_autovacuum", "last_analyze", "last_autoanalyze"),
)
_SIZES: Final = {"indexes_size": "pg_indexes_size(relid)", "table_size": "pg_table_size(relid)"}


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One side.

    Args:
        name: what its column is called.
        role: the role in PostgreSQL that is only its.
        pids: its processes.
        cycle: does a cycle, whatever this tool calls so; what it shows after it, as Prometheus would read it.
    """

    name: str
    role: str
    pids: Sequence[int]
    cycle: Callable[[], str]


@contextmanager
def quaywatch(servers: Servers, role: str = "quaywatch") -> Iterator[Tool]:
    """The agent, as its own process; a cycle is one turn of every exporter and the page."""
    port = free_port()
    place = servers.services.state / "quaywatch.yaml"
    place.write_text(yaml.safe_dump(_configuration(servers, role, port)))
    argv = (sys.executable, "-m", "bench.agent", str(place))
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, cwd=Path(__file__).parents[1]) as process:
        assert process.stdin is not None  # noqa: S101 - both were asked for in the line above
        assert process.stdout is not None  # noqa: S101 - as above
        try:
            _answer(process.stdout)
            cycle = partial(_turn, process.stdin, process.stdout, f"http://{LOOPBACK}:{port}/metrics")
            yield Tool(name="Quaywatch", role=role, pids=(process.pid,), cycle=cycle)
        finally:
            process.stdin.close()


def _turn(told: IO[str], said: IO[str], page: str) -> str:
    told.write("cycle\n")
    told.flush()
    _answer(said)
    return _get(page)


def _answer(said: IO[str]) -> None:
    line = said.readline()
    if not line:
        raise RuntimeError("the agent ended; its log is above")
    json.loads(line)


def _configuration(servers: Servers, role: str, port: int) -> dict[str, object]:
    redis = [exporter.name for exporter in EXPORTERS if exporter.reads is TargetKind.REDIS]
    wanted = {*POSTGRES, *redis} - {"redis_queues"}
    turns = {"every": _NEVER, "deadline": _CYCLE_WITHIN}
    login = {"user": role, "password": role}
    db = {"kind": "postgres", "host": servers.postgres.host, "port": servers.postgres.port, **login}
    cache = {"kind": "redis", "host": servers.redis.host, "port": servers.redis.port}
    return {
        "environment": "bench",
        "installation": "bench",
        "targets": {
            "db": db | {"tenants": {"include": ["tenant_*"]}},
            "cache": cache | {"password": servers.redis.password},
        },
        "exporters": {
            exporter.name: turns if exporter.name in wanted else {"enabled": False} for exporter in EXPORTERS
        },
        "telemetry": {"http": {"listen": f"{LOOPBACK}:{port}"}, "log": {"level": "warning"}},
        "lease": "none",
    }


@contextmanager
def kept(servers: Servers) -> Iterator[Tool]:
    """postgres_exporter that discovers the databases and keeps a session in each; and redis_exporter."""
    queries = servers.services.state / "queries.yaml"
    queries.write_text(yaml.safe_dump(_queries()))
    flags = (*_WHOLE, "--auto-discover-databases", "--exclude-databases=postgres", f"--extend.query-path={queries}")
    with (
        _postgres_exporter(servers, "kept", "kept", flags) as (pid, page),
        _redis_exporter(servers, "kept") as (redis_pid, redis_page),
    ):
        yield Tool(name="sessions kept", role="kept", pids=(pid, redis_pid), cycle=partial(_read, [page, redis_page]))


@contextmanager
def probed(servers: Servers) -> Iterator[Tool]:
    """postgres_exporter for the cluster, another one that is asked about each tenant; and redis_exporter."""
    role = "probed"
    modules = servers.services.state / "modules.yaml"
    login = {"type": "userpass", "userpass": {"username": role, "password": role}, "options": {"sslmode": "disable"}}
    modules.write_text(yaml.safe_dump({"auth_modules": {"tenant": login}}))
    with (
        _postgres_exporter(servers, "probed", role, _WHOLE) as (pid, page),
        _postgres_exporter(servers, "probes", role, (*_ONE, f"--config.file={modules}")) as (one_pid, one_page),
        _redis_exporter(servers, "probed") as (redis_pid, redis_page),
    ):
        at = f"{servers.postgres.host}:{servers.postgres.port}"
        ask = one_page.replace("/metrics", "/probe?auth_module=tenant&target=")
        tenants = [f"{ask}{quote(f'{at}/{name}', safe='')}" for name in servers.names()]
        cycle = partial(_read, [page, redis_page, *tenants])
        yield Tool(name="a probe each", role=role, pids=(pid, one_pid, redis_pid), cycle=cycle)


def _read(pages: Sequence[str]) -> str:
    return "".join(map(_get, pages))


def _queries() -> dict[str, object]:
    """What postgres_exporter's own collector reads of the tables of the one database it is connected to."""
    columns = ", ".join([*_COUNTERS, *_GAUGES, *(f"{call} as {name}" for name, call in _SIZES.items())])
    labels = [{name: {"usage": "LABEL", "description": name}} for name in ("datname", "schemaname", "relname")]
    counters = [{name: {"usage": "COUNTER", "description": name}} for name in _COUNTERS]
    gauges = [{name: {"usage": "GAUGE", "description": name}} for name in (*_GAUGES, *_SIZES)]
    query = f"select current_database() as datname, schemaname, relname, {columns} from pg_stat_user_tables"
    return {"pg_stat_user_tables": {"query": query, "metrics": [*labels, *counters, *gauges]}}


def _postgres_exporter(
    servers: Servers, name: str, role: str, flags: Sequence[str]
) -> AbstractContextManager[tuple[int, str]]:
    server = servers.postgres
    where = f"postgresql://{role}:{role}@{server.host}:{server.port}/postgres?sslmode=disable"
    return _served(
        servers.services, f"postgres_exporter.{name}", _POSTGRES_EXPORTER, flags, {"DATA_SOURCE_NAME": where}
    )


def _redis_exporter(servers: Servers, name: str) -> AbstractContextManager[tuple[int, str]]:
    server = servers.redis
    environ = {"REDIS_ADDR": f"redis://{server.host}:{server.port}", "REDIS_PASSWORD": server.password}
    return _served(servers.services, f"redis_exporter.{name}", _REDIS_EXPORTER, (), environ)


@contextmanager
def _served(
    services: Services, name: str, package: str, flags: Sequence[str], environ: dict[str, str]
) -> Iterator[tuple[int, str]]:
    """A peer, until the block ends: its pid and its page."""
    port = free_port()
    spec = Spec(
        name=name,
        argv=(str(_program(package)), f"--web.listen-address={LOOPBACK}:{port}", *flags),
        ready=partial(accepts, port),
        ports={"http": port},
        env=environ,
    )
    pid = services.start(spec)
    try:
        yield pid, f"http://{LOOPBACK}:{port}/metrics"
    finally:
        services.stop(name)


def _program(package: str) -> Path:
    return built(package, f"{_SUITE}-1", lambda part: _fetch(package, part)) / "usr" / "bin" / package


def _fetch(package: str, into: Path) -> None:
    fetch_deb(package, _SUITE, into)


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=_CYCLE_WITHIN) as answer:
        body: bytes = answer.read()
    return body.decode()


def versions() -> dict[str, str]:
    """The peers and their versions."""
    return {package.removeprefix("prometheus-"): _version(package) for package in (_POSTGRES_EXPORTER, _REDIS_EXPORTER)}


def _version(package: str) -> str:
    said = subprocess.run((_program(package), "--version"), capture_output=True, text=True, check=False)
    found = re.search(r"(?:version |Exporter )(\d[\w.]*)", said.stdout + said.stderr)
    return found[1] if found else "of unknown version"
