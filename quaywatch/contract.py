"""The contract between the rooms: what an exporter, a probe and a metric are.

Standard library only; every record is frozen. An exporter is a record with a plain async function of *(driver, options,
state)* that yields samples; a probe is a record with an async function of *(driver, options, transaction)*. Neither
schedules, retries, exports nor logs configuration: the runtime owns time, the sinks own the wire.

Units follow UCUM as OpenTelemetry uses it: ``s``, ``By``, ``1`` for true ratios, ``{job}`` for counted things and the
empty unit for 0/1 states. Times are seconds, times of day Unix seconds.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

_METRIC_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


# --- metrics ----------------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """How the values of a metric behave over time."""

    GAUGE = "gauge"
    """A level that is read, not additive: an age, a ratio, a 0/1 state."""
    UPDOWN = "updown"
    """A level that adds up over attributes: sessions, jobs, bytes in use. A non-monotonic OTLP sum."""
    COUNTER = "counter"
    """A cumulative count since a start time. A monotonic OTLP sum."""
    HISTOGRAM = "histogram"
    """A cumulative distribution over explicit bounds."""


class Stability(StrEnum):
    """What users may rely on: a stable name never changes its meaning or unit."""

    DEVELOPMENT = "development"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Distribution:
    """The value of one histogram series.

    ``counts`` has one more entry than the metric's ``bounds``: the last counts what lies above all of them.
    """

    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """How many values were recorded in all."""
        return sum(self.counts)


Value = int | float | Distribution


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, declared once, next to the code that reads it.

    Args:
        name: dotted lower-case OpenTelemetry name; never holds the unit.
        kind: how its values behave.
        unit: UCUM unit.
        help: one sentence for a tired reader.
        attributes: names of the attributes that a sample fills, in order. The runtime adds ``target``,
            ``environment`` and, for a tenant's reading, ``database``.
        stability: what users may rely on.
        bounds: upper bounds of a histogram's buckets, ascending.
        budget: the most series of this metric one target may have; what is beyond goes to an overflow series.

    Raises:
        ValueError: when a name is not well formed, or bounds and kind do not fit.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    attributes: tuple[str, ...] = ()
    stability: Stability = Stability.DEVELOPMENT
    bounds: tuple[float, ...] = ()
    budget: int = 2000

    def __post_init__(self) -> None:
        if not _METRIC_NAME.fullmatch(self.name):
            raise ValueError(f"metric name {self.name!r}: dotted lower-case words are expected")
        wrong = [name for name in self.attributes if not _ATTRIBUTE_NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"metric {self.name}: attribute names {wrong}: lower-case words are expected")
        if (self.kind is Kind.HISTOGRAM) != bool(self.bounds) or list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError(f"metric {self.name}: ascending bounds go with a histogram, and only with one")

    def __call__(self, value: Value, *attributes: str, start: float | None = None) -> Sample:
        """A sample of this metric; ``attributes`` are the values in declared order.

        Raises:
            ValueError: when their number is not that of the declaration.
        """
        if len(attributes) != len(self.attributes):
            raise ValueError(f"metric {self.name} takes the attributes {self.attributes}, not {attributes}")
        return Sample(self, value, attributes, start)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value an exporter read. ``start`` is the source's own reset time of a counter (Unix seconds), if known."""

    metric: Metric
    value: Value
    attributes: tuple[str, ...] = ()
    start: float | None = None


Attributes = tuple[tuple[str, str], ...]
"""Attribute pairs sorted by name; a pair with an empty value is left out, since both stores take it as absent."""


@dataclass(frozen=True, slots=True)
class Series:
    """What leaves: one series with its whole identity, as both sinks read it from the snapshot.

    ``start`` is the Unix time from which a counter or histogram counts; None for the other kinds.
    """

    metric: Metric
    attributes: Attributes
    value: Value
    start: float | None = None

    @property
    def key(self) -> tuple[str, Attributes]:
        """The identity: metric name and attributes."""
        return (self.metric.name, self.attributes)


class Snapshot(Protocol):
    """What the sinks read: everything that is fresh now."""

    def series(self) -> Sequence[Series]:
        """All series that are fresh at this moment, each key once."""
        ...


class Meter(Protocol):
    """Where the agent's own rooms leave their numbers; kept in memory, read by the sinks with the snapshot."""

    def add(self, metric: Metric, amount: float, *attributes: str) -> None:
        """Add to a counter. ``add(metric, 0, ...)`` makes the series start at 0, so that the first event counts."""
        ...

    def set(self, metric: Metric, value: float, *attributes: str) -> None:
        """Set a gauge or an up-down value; it stays until it is set again or cleared."""
        ...

    def record(self, metric: Metric, value: float, *attributes: str) -> None:
        """Record one value into a histogram."""
        ...

    def clear(self, metric: Metric, *attributes: str) -> None:
        """End the series that have these leading attribute values."""
        ...


# --- targets and their drivers ----------------------------------------------------------------------------------------


class TargetKind(StrEnum):
    """What a target is, and so which driver speaks to it."""

    POSTGRES = "postgres"
    REDIS = "redis"
    ODOO = "odoo"
    HTTP = "http"


class Reach(StrEnum):
    """Who reads a target when several agents run: each its own, or one at a time."""

    LOCAL = "local"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that is watched. ``name`` is the user's, unique in a configuration."""

    name: str
    kind: TargetKind
    environment: str = ""
    reach: Reach = Reach.SHARED


class Reason(StrEnum):
    """Why a read or a step failed: the values of the attribute ``reason``."""

    CONNECT = "connect"
    """No connection: refused, unreachable, cut, name unknown."""
    AUTH = "auth"
    """The credentials were refused."""
    PERMISSION = "permission"
    """Logged in, but not allowed."""
    TIMEOUT = "timeout"
    """No answer within the deadline."""
    LOCK_TIMEOUT = "lock_timeout"
    """The read gave up behind somebody's lock."""
    VERSION = "version"
    """The server lacks what is read: too old, too new, or not installed."""
    PARSE = "parse"
    """The answer could not be understood."""
    FAULT = "fault"
    """The server answered with an error of its own."""
    WRONG = "wrong"
    """The server said yes, and the result is not there or not right."""
    CONFIG = "config"
    """The configuration asks for what is not there."""
    INTERNAL = "internal"
    """A defect of the agent."""


Row = Mapping[str, Any]


class Driver(Protocol):
    """What the runtime asks of every driver. Every call is bounded and raises `errors.TargetError`."""

    async def ping(self) -> None:
        """Connect if need be, log in and get one answer."""
        ...

    async def close(self) -> None:
        """Let go of every connection; never raises, never waits for the other side."""
        ...


class Postgres(Protocol):
    """One PostgreSQL session, read-only, with statement and lock time-outs."""

    @property
    def version(self) -> int:
        """``server_version_num``, such as 150008."""
        ...

    @property
    def database(self) -> str:
        """The database this session is in."""
        ...

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Row]:
        """All rows of one statement."""
        ...


class Cluster(Driver, Postgres, Protocol):
    """A PostgreSQL cluster: one kept session for cluster-wide reads, and short visits to its databases."""

    async def databases(self) -> Sequence[str]:
        """Names of the databases that accept connections, templates left out."""
        ...

    def visit(self, database: str) -> AbstractAsyncContextManager[Postgres]:
        """A session in one database, closed at the end of the visit."""
        ...


class Redis(Driver, Protocol):
    """A Redis or Valkey server."""

    async def info(self, *sections: str) -> Mapping[str, str]:
        """``INFO`` as raw strings."""
        ...

    async def command(self, *words: str | int) -> Any:
        """One read command's answer."""
        ...

    async def pipeline(self, *commands: Sequence[str | int]) -> Sequence[Any]:
        """The answers of several read commands in one round trip; a `TargetError` in place of one that was refused."""
        ...


class Answer(Protocol):
    """A whole answer to an HTTP request; ``seconds`` from the request to its last byte."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def body(self) -> bytes:
        """The content, undecoded."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a TLS server shows: when it expires (Unix seconds), and whether to trust it for the host asked for."""

    expires: float
    verified: bool


class Http(Driver, Protocol):
    """A server that speaks HTTP."""

    @property
    def url(self) -> str:
        """The address of the target, without a slash at the end."""
        ...

    async def get(self, path: str) -> Answer:
        """The answer to a GET, whatever its status."""
        ...

    async def certificate(self, host: str, port: int) -> Certificate:
        """The certificate that a client gets who asks for ``host``, by the authorities that the target trusts."""
        ...


class Odoo(Driver, Protocol):
    """An Odoo database over its RPC, as one user."""

    @property
    def database(self) -> str:
        """The tenant database."""
        ...

    async def version(self) -> int:
        """The major version, such as 14 or 19."""
        ...

    async def call(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """``execute_kw``: a method of a model, with its keyword arguments (``context`` among them)."""
        ...

    async def fields(self, model: str) -> frozenset[str]:
        """The names of a model's fields, asked once and remembered: version differences are decided from these."""
        ...

    async def get(self, path: str) -> Answer:
        """The answer to a visitor's GET, whatever its status; nobody is logged in."""
        ...

    def janitor(self) -> Odoo | None:
        """The same database as the user who may delete, where one is configured."""
        ...


# --- exporters --------------------------------------------------------------------------------------------------------


class Per(StrEnum):
    """How often an exporter reads in one cycle."""

    TARGET = "target"
    DATABASE = "database"


D_contra = TypeVar("D_contra", contravariant=True)
O = TypeVar("O")  # noqa: E741 - options
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Grant:
    """The columns of one table that an exporter must be allowed to select, and no more than these."""

    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter(Generic[D_contra, O, S]):
    """One thing that is read.

    ``collect`` yields samples or raises `errors.TargetError`; a run that raises publishes nothing. What is not there
    (a module that is not installed) is absence: no sample, no error. ``state`` is its own small memory, one for each
    target and database, made by the runtime. ``every`` and ``deadline`` are defaults in seconds. ``grants`` is what it
    reads beyond the role ``pg_monitor``; a table that a database lacks needs none there. ``on`` is whether it reads
    without being asked to: false for what needs rights that few targets' users have, or repeats another exporter.
    """

    name: str
    reads: TargetKind
    metrics: tuple[Metric, ...]
    options: type[O]
    collect: Callable[[D_contra, O, S], AsyncIterator[Sample]]
    state: Callable[[], S]
    per: Per = Per.TARGET
    every: float = 15.0
    deadline: float = 5.0
    grants: tuple[Grant, ...] = ()
    on: bool = True


# --- probes -----------------------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """How a probe run ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    """The watched system's fault."""
    INVALID = "invalid"
    """Ours: credentials, rights, configuration, a defect of the agent. Never burns the SLO."""


class Transport(StrEnum):
    """How a flow reaches Odoo."""

    RPC = "rpc"
    BROWSER = "browser"


class Transaction(Protocol):
    """One run of a probe, seen by the probe."""

    @property
    def mark(self) -> str:
        """What every record of this run bears; the same for the same tick on every agent."""
        ...

    def step(self, name: str) -> AbstractAsyncContextManager[None]:
        """One step: timed, one span. ``name`` is one of the probe's declared steps."""
        ...

    def undo(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        """Register how the last change is undone; undo runs in reverse at the end, whatever happened."""
        ...


@dataclass(frozen=True, slots=True)
class SweepOrder:
    """What a sweep may touch: marks that begin with ``prefix``, older than ``older_than`` seconds, at most ``cap``."""

    prefix: str
    older_than: float
    cap: int = 50
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did and left. ``residue`` could be erased and is not; ``permanent`` Odoo cannot erase."""

    undone: int = 0
    erased: int = 0
    residue: int = 0
    permanent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(Generic[D_contra, O]):
    """One business flow over one transport.

    ``run`` goes through ``steps``, registering an undo for each change. ``sweep`` undoes what killed runs left.
    ``deadline`` bounds the steps, ``undo_within`` the undoing after them, both in seconds. ``check`` reads and changes
    nothing: it yields a sentence for each thing that would keep the flow from working, and how to mend it.
    """

    name: str
    flow: str
    transport: Transport
    drives: TargetKind
    options: type[O]
    steps: tuple[str, ...]
    run: Callable[[D_contra, O, Transaction], Awaitable[None]]
    sweep: Callable[[D_contra, O, SweepOrder], Awaitable[Swept]]
    every: float = 60.0
    deadline: float = 30.0
    undo_within: float = 15.0
    check: Callable[[D_contra, O], AsyncIterator[str]] | None = None


# --- what a configuration assigns -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExporterTask:
    """An exporter with its validated options and times, as a configuration assigns it to a target."""

    exporter: Exporter[Any, Any, Any]
    options: Any
    every: float
    deadline: float


@dataclass(frozen=True, slots=True)
class ProbeTask:
    """A probe with its validated options and times, as a configuration assigns it to a target."""

    probe: Probe[Any, Any]
    options: Any
    every: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A target with everything that is to be done on it.

    ``open`` makes its driver (no connection yet). ``tenants`` picks the databases that per-database exporters visit,
    at most ``visits`` of them at a time. ``limit_time_real`` is the age in seconds past which Odoo can no longer
    commit for a client that died. ``fingerprint`` changes when anything about the target does: a reload leaves
    targets alone whose fingerprint stays.
    """

    target: Target
    open: Callable[[], Any]
    exporters: tuple[ExporterTask, ...] = ()
    probes: tuple[ProbeTask, ...] = ()
    tenants: Callable[[str], bool] = field(default=lambda _database: True)
    visits: int = 3
    limit_time_real: float = 120.0
    fingerprint: str = ""
