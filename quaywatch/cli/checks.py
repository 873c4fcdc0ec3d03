"""What `quaywatch check` finds out about one target."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from quaywatch.contract import ExporterTask, Per, ProbeTask, Reason, TargetKind, Watched
from quaywatch.drivers.deadline import deadline
from quaywatch.errors import ConfigError, InternalError, PermissionDeniedError, TargetError

from .roles import MONITOR, identifier, lacking, wanted

_WITHIN: Final = 15.0
"""Seconds for a login, and for each of a probe's own checks."""
_UNREACHED: Final = (Reason.CONNECT, Reason.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is missing: what, and what mends it; ``defect`` when the agent itself is at fault."""

    what: str
    remedy: str = ""
    defect: Exception | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was found out about a target; what could not be found out is None."""

    name: str
    kind: TargetKind
    reachable: bool | None
    logged_in: bool | None
    version: str
    findings: tuple[Finding, ...]

    @property
    def fine(self) -> bool:
        """Whether nothing is missing."""
        return bool(self.logged_in) and not self.findings


async def examine(watched: Watched, user: str) -> Report:
    """Connect, log in and try everything that is configured; ``user`` is who is granted rights in remedies.

    Raises nothing but a cancellation: a defect that one target brings out must not hide the others.
    """
    try:
        driver = watched.open()
        try:
            return await _examined(watched, driver, user)
        finally:
            await driver.close()
    except Exception as error:  # noqa: BLE001 - as promised
        return Report(watched.target.name, watched.target.kind, None, None, "", (_told("", error),))


async def _examined(watched: Watched, driver: Any, user: str) -> Report:
    name, kind = watched.target.name, watched.target.kind
    try:
        async with deadline(_WITHIN, f"{name}: login"):
            await driver.ping()
            version = await _VERSIONS[kind](driver)
    except TargetError as error:
        reachable = error.reason not in _UNREACHED
        return Report(name, kind, reachable, False if reachable else None, "", (_told("", error),))
    findings = [finding async for finding in _findings(watched, driver, user)]
    return Report(name, kind, reachable=True, logged_in=True, version=version, findings=tuple(findings))


async def _findings(watched: Watched, driver: Any, user: str) -> AsyncIterator[Finding]:
    if watched.target.kind is TargetKind.POSTGRES:
        async for finding in _grants(watched, driver, user):
            yield finding
    for task in watched.exporters:
        if task.exporter.per is Per.TARGET:
            async for finding in _reading(task, driver):
                yield finding
    for probe in watched.probes:
        async for finding in _flow(probe, driver):
            yield finding


async def _grants(watched: Watched, cluster: Any, user: str) -> AsyncIterator[Finding]:
    """What the role lacks, in the cluster and in each tenant's database."""
    try:
        (row,) = await cluster.fetch(MONITOR)
        if not row["monitor"]:
            yield Finding("the role is not a member of pg_monitor", f"grant pg_monitor to {identifier(user)};")
        databases = [name for name in await cluster.databases() if watched.tenants(name)]
    except TargetError as error:
        yield _told("", error)
        return
    for database in databases if wanted(watched) else ():
        async for finding in _database_grants(watched, cluster, database, user):
            yield finding


async def _database_grants(watched: Watched, cluster: Any, database: str, user: str) -> AsyncIterator[Finding]:
    try:
        async with cluster.visit(database) as session:
            lacks = await lacking(session, wanted(watched))
    except TargetError as error:
        yield _told(f"database {database}", error)
        return
    for lack in lacks:
        what = f"database {database}: the role may not read {lack.table} ({', '.join(lack.columns)})"
        yield Finding(what, f"\\connect {identifier(database)}\n{lack.sql(user)}")


async def _reading(task: ExporterTask, driver: Any) -> AsyncIterator[Finding]:
    """Why an exporter cannot read, if it cannot: tried for real; and what it says itself of the days to come."""
    exporter, found = task.exporter, []
    try:
        async with deadline(task.deadline, exporter.name):
            _ = [sample async for sample in exporter.collect(driver, task.options, exporter.state())]
            if exporter.check is not None:
                found = [what async for what in exporter.check(driver, task.options)]
    except Exception as error:  # noqa: BLE001 - an exporter's defect is its own: the others are tried all the same
        yield _told(exporter.name, error)
    for what in found:
        yield Finding(f"{exporter.name}: {what}")


async def _flow(task: ProbeTask, driver: Any) -> AsyncIterator[Finding]:
    """What keeps a probe from working, as it knows best itself."""
    if task.probe.check is None:
        return
    try:
        async with deadline(_WITHIN, f"{task.probe.name}: check"):
            found = [what async for what in task.probe.check(driver, task.options)]
    except Exception as error:  # noqa: BLE001 - a probe's defect is its own, too
        yield _told(task.probe.name, error)
        return
    for what in found:
        yield Finding(f"{task.probe.name}: {what}")


def _told(where: str, error: Exception) -> Finding:
    place = f"{where}: " if where else ""
    if not isinstance(error, TargetError | ConfigError):
        what = error.what if isinstance(error, InternalError) else f"{type(error).__name__}: {error}"
        return Finding(f"{place}a defect of the agent: {what}", "run it again with --debug, and report it", error)
    denied = isinstance(error, PermissionDeniedError)
    return Finding(place + error.what, error.remedy or ("give the user the right to do this" if denied else ""))


async def _postgres_version(cluster: Any) -> str:
    number = cluster.version
    return f"{number // 10_000}.{number % 10_000}"


async def _redis_version(server: Any) -> str:
    info: Mapping[str, str] = await server.info("server")
    return info.get("redis_version", "")


async def _odoo_version(odoo: Any) -> str:
    return str(await odoo.version())


async def _no_version(_driver: Any) -> str:
    return ""


_VERSIONS: Final[Mapping[TargetKind, Callable[[Any], Any]]] = {
    TargetKind.POSTGRES: _postgres_version,
    TargetKind.REDIS: _redis_version,
    TargetKind.ODOO: _odoo_version,
    TargetKind.HTTP: _no_version,
    TargetKind.BACKUP: _no_version,
}
