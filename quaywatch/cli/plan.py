"""From settings to what the runtime takes: watched targets with their drivers, leases, telemetry."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, Final, Literal

from otel_config.environment import OtlpFile
from quaywatch.clock import Clock
from quaywatch.config import Settings
from quaywatch.config.maintenance import DAYS, WeeklyTable, WindowTable
from quaywatch.config.tables import (
    AnyTarget,
    ApiTable,
    BackupTable,
    HttpTable,
    KubernetesTable,
    LeaseTable,
    OdooTable,
    PostgresTable,
    RedisTable,
    Table,
)
from quaywatch.contract import Meter, Target, Watched
from quaywatch.drivers.backup_command import Command, CommandReports
from quaywatch.drivers.backup_reports import Parse, parse_pgbackrest, parse_plain, parse_walg
from quaywatch.drivers.backup_s3 import ObjectReports
from quaywatch.drivers.backups import BackupPlace, FileReports, Reports
from quaywatch.drivers.browser import WarmBrowser
from quaywatch.drivers.http import HttpAddress, HttpServer
from quaywatch.drivers.kubernetes import ApiAddress, KubernetesLease, KubernetesMembers, LeaseAddress
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster, PostgresSession
from quaywatch.drivers.redis import RedisAddress, RedisServer
from quaywatch.drivers.s3 import ObjectPrefix
from quaywatch.drivers.trust import Trust
from quaywatch.runtime.evidence import PAGE_WITHIN, Surroundings
from quaywatch.runtime.leases import (
    AlwaysHeld,
    KubernetesLeases,
    KubernetesShards,
    Leases,
    PostgresLeases,
    PostgresShards,
)
from quaywatch.runtime.maintenance import Mode, Weekly, Window
from quaywatch.secret import Secret

from .browsing import plan_browser, web_client

_NONE: Final = Secret("")


def plan(settings: Settings, browser: WarmBrowser | None = None) -> tuple[Watched, ...]:
    """Every target with what is to be done on it, in the order of the file.

    Browser probes take turns on ``browser``; it is the caller's to close, and must be given where one may run.
    """
    shared = browser or plan_browser(settings)
    return tuple(_watched(name, table, settings, shared) for name, table in settings.targets.items())


def plan_leases(settings: Settings, meter: Meter, clock: Clock) -> Leases:
    """Who decides on shared targets; nobody has to when no target can hold a lease or none is wanted."""
    lease, name = settings.lease, settings.lease_target
    if lease is not None and lease.kubernetes is not None:
        return _kubernetes_leases(lease, _lease_address(lease.kubernetes), meter, clock)
    if lease is None or name is None:
        return AlwaysHeld()
    table = settings.targets[name]
    if not isinstance(table, PostgresTable):
        raise TypeError(f"{name} is validated to be PostgreSQL")
    address = postgres_address(table)
    kind = PostgresShards if lease.shards else PostgresLeases
    return kind(
        lambda: PostgresSession(address),
        installation=settings.installation,
        ttl=lease.ttl,
        meter=meter,
        clock=clock,
        fail_open=lease.unreachable == "act",
    )


def _kubernetes_leases(lease: LeaseTable, address: LeaseAddress, meter: Meter, clock: Clock) -> Leases:
    common: Any = {
        "identity": f"{socket.gethostname()}_{uuid.uuid4()}",
        "ttl": lease.ttl,
        "meter": meter,
        "clock": clock,
        "fail_open": lease.unreachable == "act",
    }
    if lease.shards:
        members = KubernetesMembers(address, lease.replica or socket.gethostname().lower())
        return KubernetesShards(members, **common)
    return KubernetesLeases(KubernetesLease(address), **common)


def _lease_address(table: KubernetesTable) -> LeaseAddress:
    api = api_address(table)
    return LeaseAddress(
        name=table.name, namespace=table.namespace, url=api.url, token_file=api.token_file, ca_file=api.ca_file
    )


def api_address(table: ApiTable) -> ApiAddress:
    """Where the API server of Kubernetes is."""
    address = ApiAddress(url=table.url)
    return replace(
        address,
        token_file=str(table.token_file or address.token_file),
        ca_file=str(table.ca_file or address.ca_file),
    )


def plan_maintenance(settings: Settings) -> tuple[Window, ...]:
    """The windows in which probes are not run, or alarm nobody."""
    return tuple(map(_window, settings.maintenance))


def _window(table: WindowTable) -> Window:
    return Window(
        name=table.name,
        mode=Mode(table.mode),
        targets=table.targets,
        probes=table.probes,
        begins=table.begins.timestamp() if table.begins else None,
        ends=table.ends.timestamp() if table.ends else None,
        weekly=_weekly(table.weekly) if table.weekly else None,
    )


def _weekly(table: WeeklyTable) -> Weekly:
    return Weekly(frozenset(map(DAYS.index, table.days)), table.begins, table.ends, table.timezone)


def plan_evidence(settings: Settings, kept: Callable[[str], Any] = lambda _: None) -> dict[str, Surroundings]:
    """By the names of the Odoo targets: where the cause is looked for when a probe's step is slow or fails.

    ``kept`` gives the driver that the agent itself has of a target, or None.
    """
    tables = settings.targets
    return {name: _surroundings(table, tables, kept) for name, table in tables.items() if isinstance(table, OdooTable)}


def _surroundings(odoo: OdooTable, tables: Mapping[str, AnyTarget], kept: Callable[[str], Any]) -> Surroundings:
    database_server = odoo.database_server or _first_with(odoo.database, tables)
    return Surroundings(
        front=partial(_light, odoo.url, odoo.ca_file),
        direct=partial(_light, odoo.direct, odoo.ca_file) if odoo.direct else None,
        edge=_driver_of(odoo.edge, tables),
        database_server=_driver_of(database_server, tables),
        standby=_driver_of(odoo.standby, tables),
        cache=_driver_of(odoo.cache, tables),
        kept_database_server=lambda: kept(database_server) if database_server else None,
    )


def _light(url: str, ca_file: str | None) -> HttpServer:
    return HttpServer(HttpAddress(url=url, ca_file=ca_file, answer_within=PAGE_WITHIN))


def _first_with(database: str, tables: Mapping[str, AnyTarget]) -> str | None:
    """The first PostgreSQL target that visits a database of this name and is nobody's standby."""
    standbys = {table.standby for table in tables.values() if isinstance(table, OdooTable)}
    clusters = {name: table for name, table in tables.items() if isinstance(table, PostgresTable)}
    return next((name for name in clusters if name not in standbys and clusters[name].tenants.admits(database)), None)


def _driver_of(name: str | None, tables: Mapping[str, AnyTarget]) -> Callable[[], Any] | None:
    """How to open a driver to a target that answers in time or not at all."""
    if name is None:
        return None
    table = tables[name]
    table = table.model_copy(update={"answer_within": min(table.answer_within, PAGE_WITHIN)})
    return partial(_OPENERS[type(table)], table)


def plan_otlp(settings: Settings) -> OtlpFile:
    """What the file says about OTLP, as that room takes it."""
    otlp = settings.telemetry.otlp
    plain = otlp.model_dump(exclude={"queue", "headers"}, exclude_unset=True)
    queue = otlp.queue.model_dump(exclude_unset=True)
    return OtlpFile(**plain, headers=otlp.headers, queue_bytes=queue.get("bytes"), spool=queue.get("spool"))


def postgres_address(table: PostgresTable) -> PostgresAddress:
    """Where a cluster is, with how TLS is made."""
    return PostgresAddress(
        host=table.host,
        port=table.port,
        user=table.user,
        password=table.password or _NONE,
        database=table.database,
        ssl=None if table.tls == "prefer" else _tls(table.tls, table.ca_file),
        pooled=table.pooled,
        connect_within=table.connect_within,
        answer_within=table.answer_within,
        lock_within=table.lock_within,
        on_standby=table.tenants.on_standby,
    )


def open_driver(table: AnyTarget, browser: WarmBrowser) -> Any:
    """The driver of a target; it connects when it is first used."""
    if isinstance(table, OdooTable):
        return _odoo(table, browser)
    opener: Callable[[Any], Any] = _OPENERS[type(table)]
    return opener(table)


def _watched(name: str, table: AnyTarget, settings: Settings, browser: WarmBrowser) -> Watched:
    target = Target(name, table.kind, settings.environment, table.reach)
    exporters, probes = settings.exporters[name], settings.probes[name]
    tasks: list[tuple[object, ...]] = [
        (task.exporter.name, task.options, task.every, task.deadline) for task in exporters
    ]
    tasks += [
        (task.probe, task.options, task.every, task.deadline, task.attempts, task.suspect_after) for task in probes
    ]
    watched = Watched(
        target, lambda: open_driver(table, browser), exporters, probes, fingerprint=_fingerprint(target, table, *tasks)
    )
    return _with_bounds(watched, table)


def _with_bounds(watched: Watched, table: AnyTarget) -> Watched:
    if isinstance(table, PostgresTable):
        return replace(watched, tenants=table.tenants.admits, visits=table.visits)
    if isinstance(table, OdooTable):
        return replace(watched, limit_time_real=table.limit_time_real)
    return watched


def _fingerprint(*parts: object) -> str:
    """Differs when any part does, secrets included; tells nothing of them, since hashes are salted in each process."""
    return f"{hash(tuple(map(_hashed, parts))):x}"


def _hashed(part: object) -> int:
    if isinstance(part, Table):
        return _hashed(tuple(part))
    if isinstance(part, Mapping):
        return _hashed(tuple(part.items()))
    if isinstance(part, tuple | list):
        return hash(tuple(map(_hashed, part)))
    try:
        return hash(part)
    except TypeError:  # options may hold lists or tables, and secrets in these
        if not is_dataclass(part):
            return hash(repr(part))
        return hash((type(part), *(_hashed(getattr(part, one.name)) for one in fields(part) if one.compare)))


def _redis(table: RedisTable) -> RedisServer:
    return RedisServer(
        RedisAddress(
            host=table.host,
            port=table.port,
            password=table.password,
            username=table.username,
            db=table.db,
            ssl=None if table.tls == "none" else _tls(table.tls, table.ca_file),
            connect_within=table.connect_within,
            answer_within=table.answer_within,
        )
    )


def _odoo(table: OdooTable, browser: WarmBrowser) -> OdooServer:
    janitor = table.janitor
    return OdooServer(
        OdooAddress(
            url=table.url,
            database=table.database,
            login=table.login,
            password=table.password or table.api_key or _NONE,
            api_key=table.api_key,
            janitor_login=janitor.login if janitor else "",
            janitor_password=janitor.password if janitor else None,
            ca_file=table.ca_file,
            answer_within=table.answer_within,
            transport=table.transport,
        ),
        browser=web_client(table, browser),
    )


def _http(table: HttpTable) -> HttpServer:
    return HttpServer(
        HttpAddress(url=table.url, ca_file=table.ca_file, answer_within=table.answer_within, headers=table.headers)
    )


def _backup(table: BackupTable) -> BackupPlace:
    return BackupPlace(_reports(table), table.restore_tests)


def _reports(table: BackupTable) -> Reports | None:
    if table.source is None:
        return None
    if table.source == "s3":
        return ObjectReports(_objects(table))
    parse = _PARSERS[table.source]
    if table.file is not None:
        return FileReports(table.file, parse)
    command = Command(words=table.command or (), environment=table.environment, within=table.answer_within)
    return CommandReports(command, parse)


def _objects(table: BackupTable) -> ObjectPrefix:
    return ObjectPrefix(
        endpoint=table.endpoint or "",
        bucket=table.bucket or "",
        prefix=table.prefix,
        region=table.region,
        access_key=table.access_key or _NONE,
        secret_key=table.secret_key or _NONE,
        ca_file=table.ca_file,
        within=table.answer_within,
    )


def _tls(how: Literal["require", "verify"], ca_file: str | None) -> Trust:
    return Trust(ca_file, verified=how == "verify")


_PARSERS: Final[Mapping[str, Parse]] = {"pgbackrest": parse_pgbackrest, "walg": parse_walg, "file": parse_plain}
_OPENERS: Final[dict[type[AnyTarget], Callable[[Any], Any]]] = {
    PostgresTable: lambda table: PostgresCluster(postgres_address(table)),
    RedisTable: _redis,
    HttpTable: _http,
    BackupTable: _backup,
}
