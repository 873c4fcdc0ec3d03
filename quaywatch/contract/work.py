"""Work: exporters and probes, and what a configuration assigns to a target."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from .metrics import Metric, Sample
from .targets import Target, TargetKind


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
    ``check`` yields a sentence for each thing that will keep it from reading before long, and how to mend it.
    ``node_local`` is whether each of several servers with the same data has its own: only then it reads pods that were
    discovered. What is read once per database never is.
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
    node_local: bool = True
    check: Callable[[D_contra, O], AsyncIterator[str]] | None = None


class Outcome(StrEnum):
    """How a probe run ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    """The watched system's fault, in the last attempt too."""
    INVALID = "invalid"
    """Ours: credentials, rights, configuration, a defect of the agent. Never burns the SLO."""
    FLAKY = "flaky"
    """An attempt failed, and a later one of the same tick succeeded."""
    CLEANUP_FAILED = "cleanup_failed"
    """Every step succeeded, and something of it could not be undone. Never burns the SLO."""
    SKIPPED = "skipped"
    """Not run: maintenance."""
    MISSED = "missed"
    """Not run, and nobody wanted that: the agent was late by an interval or more, or nobody held the lease."""


class Transport(StrEnum):
    """How a flow reaches its target."""

    RPC = "rpc"
    BROWSER = "browser"
    HTTP = "http"


class Transaction(Protocol):
    """One run of a probe, seen by the probe."""

    @property
    def mark(self) -> str:
        """What every record of this run bears; the same for the same tick on every agent."""
        ...

    def step(self, name: str, *, waits: bool = False) -> AbstractAsyncContextManager[None]:
        """One step: timed, one span. ``name`` is one of the probe's declared steps.

        ``waits`` is for one that looks until others have done their part, such as a job: it is not suspicious for the
        time that it takes, and when it ends in vain the queue is looked at first.
        """
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


@dataclass(frozen=True, slots=True)
class ExporterTask:
    """An exporter with its validated options and times, as a configuration assigns it to a target."""

    exporter: Exporter[Any, Any, Any]
    options: Any
    every: float
    deadline: float


@dataclass(frozen=True, slots=True)
class ProbeTask:
    """A probe with its validated options and times, as a configuration assigns it to a target.

    ``attempts`` are made for one tick at most, each of at most ``deadline`` seconds. A step is suspicious that runs for
    more than ``suspect_after`` seconds; a third of the deadline if None.
    """

    probe: Probe[Any, Any]
    options: Any
    every: float
    deadline: float
    attempts: int = 1
    suspect_after: float | None = None


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
