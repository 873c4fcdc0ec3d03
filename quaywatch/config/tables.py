"""The tables of the file that are the same for everybody: targets, telemetry, lease.

Each model is a frozen record of what the user wrote; the tables of exporters and probes are made from their own
options in `assignments`. Descriptions stand beside the keys: schema and example are made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from quaywatch.contract import Reach, TargetKind

from .sentences import refusal
from .values import (
    AbsolutePath,
    CaFile,
    HeaderName,
    HostName,
    ListenText,
    ObjectName,
    Pattern,
    Port,
    Seconds,
    SecretText,
    Text,
    Url,
    Whole,
)


class Table(BaseModel):
    """A table of the file: frozen, unknown keys refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True, arbitrary_types_allowed=True
    )


def empty_is_default(value: Any) -> Any:
    """A key that stands there without a value is a table with its defaults."""
    return {} if value is None else value


class _NullToo:
    """Lets the schema take what `empty_is_default` takes."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "null"}]}


_Any = TypeVar("_Any")
OrDefault = Annotated[_Any, BeforeValidator(empty_is_default), _NullToo()]
"""A table that may stand there as a key without a value."""


# --- targets ----------------------------------------------------------------------------------------------------------


class TargetTable(Table):
    """What all targets have."""

    reach: Reach = Field(
        default=Reach.SHARED, description="shared: one agent at a time reads it; local: every agent its own"
    )
    answer_within: Seconds = Field(default=5.0, description="seconds for one answer")


class TenantsTable(Table):
    """Which databases of a cluster are visited; names are compared with upper and lower case told apart."""

    include: tuple[Pattern, ...] = Field(default=("*",), description="shell patterns of the databases that are visited")
    exclude: tuple[Pattern, ...] = Field(
        default=(), description="shell patterns of those that are not", examples=[["test_*"]]
    )
    on_standby: bool = Field(
        default=False,
        description="whether they are visited while the server is a standby too; for one whose primary is not watched",
    )

    def admits(self, database: str) -> bool:
        """Whether a database is visited: some pattern includes it, and none excludes it."""
        included = any(fnmatchcase(database, pattern) for pattern in self.include)
        return included and not any(fnmatchcase(database, pattern) for pattern in self.exclude)


class PostgresTable(TargetTable):
    """A PostgreSQL cluster."""

    kind: Literal[TargetKind.POSTGRES]
    host: Text = Field(description="name, address, or directory of a Unix socket", examples=["db.internal"])
    port: Port = Field(default=5432, description="TCP port")
    user: Text = Field(default="quaywatch", description="role; `quaywatch check --sql` prints how it is made")
    password: SecretText | None = Field(
        default=None, description="its password", examples=["${env:QUAYWATCH_PG_PASSWORD}"]
    )
    database: Text = Field(default="postgres", description="where the cluster as a whole is read")
    tls: Literal["prefer", "require", "verify"] = Field(
        default="prefer",
        description="prefer: where the server offers it; require: always; verify: and check its certificate",
    )
    ca_file: CaFile | None = Field(
        default=None, description="authorities to trust with tls: verify; the system's if unset"
    )
    pooled: bool = Field(default=False, description="true behind a pooler in transaction mode, such as pgbouncer")
    connect_within: Seconds = Field(default=3.0, description="seconds for connecting and logging in")
    lock_within: Seconds = Field(
        default=0.1, description="seconds a read waits behind somebody's lock before it gives up"
    )
    tenants: OrDefault[TenantsTable] = Field(
        default_factory=TenantsTable, description="the databases that are visited one by one"
    )
    visits: Annotated[Whole, Field(ge=1, le=50)] = Field(
        default=3, description="how many databases are visited at a time"
    )

    @model_validator(mode="after")
    def _ca_is_used(self) -> PostgresTable:
        return _refuse_unused_ca(self)


class RedisTable(TargetTable):
    """A Redis or Valkey server."""

    kind: Literal[TargetKind.REDIS]
    host: Text = Field(description="name or address", examples=["redis.internal"])
    port: Port = Field(default=6379, description="TCP port")
    username: str = Field("", description="user of the access list; empty for the default user")
    password: SecretText | None = Field(
        default=None, description="its password", examples=["${env:QUAYWATCH_REDIS_PASSWORD}"]
    )
    db: Annotated[Whole, Field(ge=0)] = Field(default=0, description="number of the database")
    tls: Literal["none", "require", "verify"] = Field(
        default="none", description="require: TLS without a check of the certificate; verify: with one"
    )
    ca_file: CaFile | None = Field(
        default=None, description="authorities to trust with tls: verify; the system's if unset"
    )
    connect_within: Seconds = Field(default=3.0, description="seconds for connecting and logging in")

    @model_validator(mode="after")
    def _ca_is_used(self) -> RedisTable:
        return _refuse_unused_ca(self)


class JanitorTable(Table):
    """The Odoo user who may delete what a probe's own user may not."""

    login: Text = Field(description="its login", examples=["janitor@example.com"])
    password: SecretText = Field(description="its password or API key", examples=["${env:QUAYWATCH_JANITOR_PASSWORD}"])


_STANDS_ON: Mapping[str, TargetKind] = {
    "database_server": TargetKind.POSTGRES,
    "standby": TargetKind.POSTGRES,
    "cache": TargetKind.REDIS,
    "edge": TargetKind.HTTP,
}
"""The keys of an Odoo that name what it stands on, and of what kind: there the cause of a trouble is looked for."""


class OdooTable(TargetTable):
    """One database of an Odoo server."""

    kind: Literal[TargetKind.ODOO]
    url: Url = Field(description="address of the server", examples=["https://erp.example.com"])
    database: Text = Field(description="name of the database", examples=["acme"])
    login: Text = Field(description="login of the probe's own user", examples=["probe@example.com"])
    password: SecretText | None = Field(
        default=None, description="its password", examples=["${env:QUAYWATCH_ODOO_PASSWORD}"]
    )
    api_key: SecretText | None = Field(
        default=None, description="its API key; with one, Odoo 19 is spoken to by JSON-2"
    )
    janitor: JanitorTable | None = Field(
        default=None, description="a user who may delete cancelled records; without one these stay and count as residue"
    )
    transport: Literal["auto", "xmlrpc", "json2"] = Field(default="auto", description="auto: json2 where it can be had")
    ca_file: CaFile | None = Field(default=None, description="authorities to trust; the system's if unset")
    answer_within: Seconds = Field(default=10.0, description="seconds for one answer")
    limit_time_real: Seconds = Field(
        default=120.0,
        description="the server's own limit_time_real: no call of a client that died commits later than this",
    )
    database_server: Text | None = Field(
        default=None,
        description="target of kind postgres that holds the database; the first that visits a database of this name",
    )
    standby: Text | None = Field(default=None, description="target of kind postgres that is a standby of it")
    cache: Text | None = Field(default=None, description="target of kind redis that this Odoo uses")
    edge: Text | None = Field(default=None, description="target of kind http: the proxy that url leads through")
    direct: Url | None = Field(default=None, description="address of Odoo itself, where url leads through a proxy")

    @field_validator(*_STANDS_ON)
    @classmethod
    def _stands_on_a_target(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None and info.field_name is not None:
            must_be_target(name, _STANDS_ON[info.field_name], info)
        return name

    @model_validator(mode="after")
    def _can_log_in(self) -> OdooTable:
        if self.password is None and self.api_key is None:
            raise refusal("odoo_login")
        if self.transport == "json2" and self.api_key is None:
            raise refusal("json2_key", "transport")
        return self


class HttpTable(TargetTable):
    """An HTTP endpoint, such as an edge's metrics."""

    kind: Literal[TargetKind.HTTP]
    url: Url = Field(description="its address", examples=["http://traefik.internal:8080"])
    headers: Mapping[HeaderName, SecretText] = Field(
        default_factory=dict, description="headers of each request, such as a token; sent to this server only"
    )
    ca_file: CaFile | None = Field(default=None, description="authorities to trust; the system's if unset")


class BackupTable(TargetTable):
    """Backups, and the tests of restoring them."""

    kind: Literal[TargetKind.BACKUP]
    source: Literal["pgbackrest", "walg", "s3", "file"] | None = Field(
        default=None,
        description="who tells of backups; only restore_tests if unset",
        examples=["pgbackrest"],
    )
    command: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="what prints the report of pgbackrest or walg; run without a shell",
        examples=[["pgbackrest", "info", "--output=json"]],
    )
    environment: Mapping[Text, SecretText] = Field(
        default_factory=dict, description="variables of the command; it gets none of the agent's own"
    )
    file: AbsolutePath | None = Field(
        default=None, description="a file that a job keeps the report in, instead of a command"
    )
    endpoint: Url | None = Field(default=None, description="address of an S3-compatible store, without the bucket")
    bucket: Text | None = Field(default=None, description="its bucket")
    prefix: str = Field(default="", description="what the keys of the backups begin with")
    region: Text = Field(default="us-east-1", description="its region")
    access_key: SecretText | None = Field(default=None, description="who asks there")
    secret_key: SecretText | None = Field(default=None, description="and proves it; the right to list is enough")
    ca_file: CaFile | None = Field(default=None, description="authorities to trust; the system's if unset")
    restore_tests: AbsolutePath | None = Field(
        default=None, description="the file in which restore tests are told; see telemetry.http.notices"
    )
    answer_within: Seconds = Field(default=30.0, description="seconds for one report")

    @model_validator(mode="after")
    def _tells(self) -> BackupTable:
        needed = _BACKUP_NEEDS[self.source]
        given = {name for name in (*_BACKUP_KEYS, "restore_tests") if getattr(self, name) is not None}
        chosen = next((keys for keys in needed if set(keys) <= given), None)
        if chosen is None:
            alternatives = " or ".join(" and ".join(keys) for keys in needed)
            raise refusal("backup_needs", source=self.source or "none", needed=alternatives)
        unused = sorted(given - {*chosen, "restore_tests"})
        if unused:
            raise refusal("backup_unused", unused[0], name=unused[0], source=self.source or "none")
        return self


_BACKUP_KEYS = ("command", "file", "endpoint", "bucket", "access_key", "secret_key")
_BACKUP_NEEDS: Mapping[str | None, tuple[tuple[str, ...], ...]] = {
    None: (("restore_tests",),),
    "pgbackrest": (("command",), ("file",)),
    "walg": (("command",), ("file",)),
    "file": (("file",),),
    "s3": (("endpoint", "bucket", "access_key", "secret_key"),),
}
"""For each source what has to be given, as alternatives."""

_WithCa = TypeVar("_WithCa", PostgresTable, RedisTable)
AnyTarget = PostgresTable | RedisTable | OdooTable | HttpTable | BackupTable
TARGET_TABLES: tuple[type[AnyTarget], ...] = (PostgresTable, RedisTable, OdooTable, HttpTable, BackupTable)


def _refuse_unused_ca(table: _WithCa) -> _WithCa:
    if table.ca_file is not None and table.tls != "verify":
        raise refusal("ca_unused", "ca_file", tls=table.tls)
    return table


# --- telemetry --------------------------------------------------------------------------------------------------------


class QueueTable(Table):
    """What is kept while the back end is away."""

    bytes: Annotated[Whole, Field(ge=1_048_576)] = Field(
        default=67_108_864,
        description="how much is kept of metrics, and a quarter of it of traces and of logs each; the oldest goes",
    )
    spool: AbsolutePath | None = Field(
        default=None,
        description="a directory that keeps it over a restart and a kill, not over a loss of power; memory if unset",
    )


class OtlpTable(Table):
    """Where metrics, traces and logs are sent. What is not said here is taken from OTEL_* variables."""

    endpoint: Url | None = Field(
        default=None, description="address of the collector", examples=["http://collector:4317"]
    )
    protocol: Literal["grpc", "http/protobuf"] | None = Field(default=None, description="grpc if unset")
    headers: Mapping[HeaderName, SecretText] | None = Field(
        default=None, description="headers of each request, such as a token"
    )
    compression: Literal["gzip", "none"] | None = Field(default=None, description="gzip if unset")
    timeout: Seconds | None = Field(default=None, description="seconds for one request; 10 if unset")
    ca_file: CaFile | None = Field(default=None, description="authorities to trust; the system's if unset")
    cert_file: Text | None = Field(default=None, description="client certificate")
    key_file: Text | None = Field(default=None, description="its key")
    temporality: Literal["cumulative", "delta", "lowmemory"] | None = Field(
        default=None, description="cumulative if unset"
    )
    interval: Seconds | None = Field(default=None, description="seconds between two exports of metrics; 15 if unset")
    queue: OrDefault[QueueTable] = Field(
        default_factory=QueueTable, description="what happens to metrics while the back end is away"
    )
    metrics: bool | None = Field(
        default=None, description="whether metrics are sent; if an endpoint is known, if unset"
    )
    traces: bool | None = Field(default=None, description="whether traces are sent; likewise")
    logs: bool | None = Field(default=None, description="whether logs are sent; likewise")

    @model_validator(mode="after")
    def _certificate_with_key(self) -> OtlpTable:
        if (self.cert_file is None) != (self.key_file is None):
            raise refusal("key_pair", "cert_file" if self.cert_file else "key_file")
        return self


class NoticesTable(Table):
    """What others may tell the agent: deployments at /v1/deployments, restore tests at /v1/restore-tests."""

    token: SecretText = Field(
        description="what a sender must bring as `Authorization: Bearer ...`",
        examples=["${env:QUAYWATCH_NOTICES_TOKEN}"],
    )
    restore_tests: AbsolutePath | None = Field(
        default=None, description="the file in which restore tests are kept; a target of kind backup reads it"
    )


class PageTable(Table):
    """The agent's own page: status, health and metrics."""

    listen: ListenText = Field(
        default="127.0.0.1:9464", validate_default=True, description="HOST:PORT; beyond loopback it takes a token"
    )
    token: SecretText | None = Field(
        default=None, description="what a reader must bring as `Authorization: Bearer ...`"
    )
    hosts: tuple[HostName, ...] = Field(
        default=(),
        description="names beside loopback's own by which it may be asked for without a token, as by a proxy before it",
    )
    notices: NoticesTable | None = Field(
        default=None, description="what others may tell: deployments and restore tests; nothing if unset"
    )

    @model_validator(mode="after")
    def _guarded(self) -> PageTable:
        if self.token is None and not self.listen.loopback:
            raise refusal("token", "listen", host=self.listen.host)
        return self


class LogTable(Table):
    """What the agent itself writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="the least that is written")
    format: Literal["json", "console"] = Field(default="json", description="json for machines, console for a terminal")


class TelemetryTable(Table):
    """How everything leaves."""

    otlp: OrDefault[OtlpTable] = Field(default_factory=OtlpTable, description="sending by OTLP")
    http: OrDefault[PageTable] = Field(default_factory=PageTable, description="the agent's own page")
    log: OrDefault[LogTable] = Field(default_factory=LogTable, description="the agent's own log")


# --- lease ------------------------------------------------------------------------------------------------------------


class ApiTable(Table):
    """Where the API server of Kubernetes is; a pod finds all of it by itself."""

    url: Url = Field(default="https://kubernetes.default.svc", description="address of the API server")
    token_file: AbsolutePath | None = Field(default=None, description="bearer token; the service account's if unset")
    ca_file: AbsolutePath | None = Field(
        default=None, description="authorities to trust; the service account's if unset"
    )


class KubernetesTable(ApiTable):
    """A Lease object of Kubernetes."""

    name: ObjectName = Field(default="quaywatch", description="its name")
    namespace: ObjectName | None = Field(default=None, description="its namespace; the pod's own if unset")


class LeaseTable(Table):
    """Where agents agree on who works on shared targets."""

    target: Text | None = Field(
        default=None, description="a target of kind postgres, not pooled; the first such one if unset"
    )
    kubernetes: Annotated[KubernetesTable | None, BeforeValidator(empty_is_default)] = Field(
        default=None, description="a Lease object instead of a target; empty for one named quaywatch"
    )
    ttl: Annotated[Seconds, Field(ge=3)] = Field(
        default=15.0, description="seconds after which a dead agent's work is taken over"
    )
    unreachable: Literal["act", "stop"] = Field(
        default="act",
        description="while the leases cannot be reached: act goes on, so that nothing goes blind; stop leaves shared"
        " targets after ttl, so that two agents never act for longer",
    )
    shards: bool = Field(
        default=False, description="true spreads the shared targets over all agents, each target on one"
    )
    replica: ObjectName | None = Field(
        default=None, description="this agent's name among them in Kubernetes; the host's name, a pod's own, if unset"
    )

    @field_validator("target")
    @classmethod
    def _target_can_hold_it(cls, target: str | None, info: ValidationInfo) -> str | None:
        if target is None:
            return None
        must_be_target(target, TargetKind.POSTGRES, info)
        if _tables(info)[target].get("pooled") is True:
            raise refusal("lease_pooled", target=target)
        return target

    @model_validator(mode="after")
    def _is_in_one_place(self) -> LeaseTable:
        if self.target is not None and self.kubernetes is not None:
            raise refusal("lease_twice", "kubernetes")
        return self

    @model_validator(mode="after")
    def _shards_are_kept_somewhere(self, info: ValidationInfo) -> LeaseTable:
        named = self.target is not None or self.kubernetes is not None
        if self.shards and not named and not any(map(_holds, _tables(info).values())):
            raise refusal("shards_nowhere", "shards")
        return self


def must_be_target(name: str, kind: TargetKind, info: ValidationInfo) -> None:
    """Refuse a name that is no target of this kind; ``info.context`` holds the tables of all targets by name."""
    targets = _tables(info)
    if name not in targets:
        raise refusal("no_target", target=name, targets=list(targets))
    given = targets[name].get("kind")
    if given != kind and given in set(TargetKind):
        fitting = [other for other, table in targets.items() if table.get("kind") == kind]
        raise refusal("wrong_kind", target=name, kind=str(given), needed=str(kind), fitting=fitting)


def _tables(info: ValidationInfo) -> Mapping[str, Mapping[str, Any]]:
    return info.context or {}


def _holds(table: Mapping[str, Any]) -> bool:
    """Whether a target, as it is written, can hold leases."""
    return table.get("kind") == TargetKind.POSTGRES and table.get("pooled") is not True


def _none_is_off(value: Any) -> Any:
    return None if value == "none" else empty_is_default(value)


LeaseOrNone = Annotated[LeaseTable | None, BeforeValidator(_none_is_off)]
