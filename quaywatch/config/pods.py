"""What the annotations of pods mean: targets like those of the file, local to the agent of their node."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from quaywatch.contract import Reach, TargetKind
from quaywatch.drivers.kubernetes import PREFIX, Pod

from .discovery_table import CredentialTable, DiscoveryTable
from .sentences import listed, nearest, sentence, shown
from .settings import Settings
from .tables import AnyTarget, OdooTable, PostgresTable, RedisTable, Table
from .values import ObjectName, Port

DatabaseName = Annotated[str, Field(pattern=r"^.{1,63}$")]
"""As long as PostgreSQL takes one: an annotation may hold 256 KiB of anything."""


class PodTable(Table):
    """What the annotations of any pod may say, ``kind`` aside."""

    port: Port
    credential: ObjectName | None = None


class PostgresPod(PodTable):
    """Those of a pod that runs PostgreSQL."""

    port: Port = 5432
    database: DatabaseName = "postgres"
    tls: Literal["prefer", "require"] = "prefer"


class RedisPod(PodTable):
    """Those of a pod that runs Redis or Valkey."""

    port: Port = 6379
    tls: Literal["none", "require"] = "none"


class OdooPod(PodTable):
    """Those of a pod that runs Odoo."""

    port: Port = 8069
    database: DatabaseName
    credential: ObjectName


_PODS: Final[Mapping[TargetKind, type[PodTable]]] = {
    TargetKind.POSTGRES: PostgresPod,
    TargetKind.REDIS: RedisPod,
    TargetKind.ODOO: OdooPod,
}
_USER: Final = {TargetKind.POSTGRES: "user", TargetKind.REDIS: "username", TargetKind.ODOO: "login"}
"""Which key of a target's table is the user of a credential."""
ANNOTATIONS: Final = {str(kind): ("kind", *table.model_fields) for kind, table in _PODS.items()}
"""What pods of each kind may be annotated with, without `PREFIX`."""


@dataclass(frozen=True, slots=True)
class Found:
    """What pods made of settings.

    Args:
        settings: with a target for each pod.
        targets: how many these are.
        refused: a sentence for each pod whose annotations are wrong, naming pod and annotation.
    """

    settings: Settings
    targets: int = 0
    refused: tuple[str, ...] = ()


class _WrongError(Exception):
    """An annotation is wrong."""

    def __init__(self, annotation: str, what: str) -> None:
        super().__init__(f"{PREFIX}{annotation}: {what}")


def with_pods(settings: Settings, pods: Iterable[Pod]) -> Found:
    """The settings with these pods among the targets; a pod that is not annotated well hides none of the others.

    They are read by the exporters that are on for their kind, name no targets and read what is of one server; probes
    run on none of them.
    """
    table = settings.discovery
    targets: dict[str, AnyTarget] = {}
    refused = []
    for pod in pods if table else ():
        if table and table.looks_into(pod.namespace):
            try:
                targets[_name(pod, settings.targets)] = _target(pod, table)
            except _WrongError as error:
                refused.append(f"pod {pod.namespace}/{pod.name}: {error}")
    return Found(_joined(settings, targets), len(targets), tuple(refused))


def _joined(settings: Settings, targets: Mapping[str, AnyTarget]) -> Settings:
    exporters = {
        name: tuple(task for task in settings.of_pods if task.exporter.reads is table.kind)
        for name, table in targets.items()
    }
    return replace(
        settings,
        targets={**settings.targets, **targets},
        exporters={**settings.exporters, **exporters},
        probes={**settings.probes, **dict.fromkeys(targets, ())},
    )


def _name(pod: Pod, taken: Collection[str]) -> str:
    name = f"{pod.namespace}.{pod.name}"
    if name in taken:
        raise _WrongError("kind", f"the configuration has a target {name} already; another name there is expected")
    return name


def _target(pod: Pod, table: DiscoveryTable) -> AnyTarget:
    written = dict(pod.annotations)
    kind = written.pop("kind", "")
    if kind not in ANNOTATIONS:
        what = f"the kind {shown(kind)} is not known" if kind else "this annotation is missing"
        raise _WrongError("kind", f"{what}; allowed are {listed(ANNOTATIONS)}{nearest(kind, ANNOTATIONS)}")
    try:
        said = _PODS[TargetKind(kind)].model_validate(written)
    except ValidationError as error:
        raise _told(error, kind) from error
    try:
        return _made(TargetKind(kind), pod.address, said, _credential(said.credential, pod, table))
    except ValidationError as error:
        raise _WrongError("credential", f"{said.credential} has not what this kind takes: {_misfit(error)}") from error


def _misfit(error: ValidationError) -> str:
    """What the credential lacks, or has too much of: nothing else of a target's table can still be wrong."""
    lacks = error.errors(include_url=False)[0]["type"] == "missing"
    return "a user is expected" if lacks else "a password is expected, and no api_key"


def _told(error: ValidationError, kind: str) -> _WrongError:
    """The first of the faults: one is enough for a pod to be looked at."""
    detail = error.errors(include_url=False)[0]
    name, rule = str(detail["loc"][0]), detail["type"]
    facts = {**detail.get("ctx", {}), "given": detail["input"], "name": name, "allowed": ANNOTATIONS[kind]}
    return _WrongError(name, sentence(rule, facts, detail["msg"]).replace("this key", "this annotation"))


def _credential(name: str | None, pod: Pod, table: DiscoveryTable) -> CredentialTable | None:
    if name is None:
        return None
    credential = table.credentials.get(name)
    if credential is None:
        what = f"there is no credential {name}; configured are {listed(table.credentials)}"
        raise _WrongError("credential", what + nearest(name, table.credentials))
    if not credential.is_for(pod.namespace):
        what = f"pods of the namespace {pod.namespace} may not name {name}; its namespaces say which may"
        raise _WrongError("credential", what)
    return credential


def _made(kind: TargetKind, address: str, said: PodTable, credential: CredentialTable | None) -> AnyTarget:
    """The target's table, as if it stood in the file.

    Raises:
        ValidationError: when it could not stand there.
    """
    values = {"kind": kind, "reach": Reach.LOCAL, **said.model_dump(exclude={"port", "credential"})}
    if credential is not None:
        proofs = {"password": credential.password, "api_key": credential.api_key}
        login = {_USER[kind]: credential.user, **proofs}
        values |= {key: value for key, value in login.items() if value is not None}
    if kind is TargetKind.ODOO:
        host = f"[{address}]" if ":" in address else address
        return OdooTable.model_validate({**values, "url": f"http://{host}:{said.port}"})
    table = PostgresTable if kind is TargetKind.POSTGRES else RedisTable
    return table.model_validate({**values, "host": address, "port": said.port})
