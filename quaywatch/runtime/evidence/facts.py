"""What is known about a suspicious step: the facts that the rules judge by. None of them holds a query or a datum."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from quaywatch.contract import Phase, Trouble, Visit
from quaywatch.runtime.probing import Suspicion


class State(StrEnum):
    """How a back end took our own visit."""

    ANSWERS = "answers"
    DOWN = "down"
    """It refuses connections, cuts them, or is starting."""
    SILENT = "silent"
    """It did not answer in time."""
    MISSING = "missing"
    """The server is there, the database is not."""
    FULL = "full"
    """It has no connection left."""
    LOADING = "loading"
    BUSY = "busy"
    """It says that it is at work on something else."""
    UNREAD = "unread"
    """It could not be read for a reason of ours, such as a password: nothing follows from that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A database session that is in a transaction, or holds up one that is; ages in seconds.

    ``blockers`` are the pids it waits behind. ``written`` and ``read`` are those of the flows' tables that its
    transaction has written or wants to lock, and has read. ``bears_mark`` is whether its statement names the run.
    """

    pid: int
    database: str = ""
    state: str = "active"
    application_name: str = ""
    transaction_age: float | None = None
    statement_age: float | None = None
    wait_type: str = ""
    wait_event: str = ""
    blockers: tuple[int, ...] = ()
    prepared_age: float | None = None
    written: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()
    bears_mark: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Jobs that are due, and for how many seconds the oldest is."""

    due: int
    oldest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The PostgreSQL server under Odoo as seen from the tenant's database.

    ``used`` of ``usable`` connections are taken; ``exhausted`` names the roles and databases whose own limit is.
    ``holders`` are who has most of them, by application or role, when they run out: read where it still can be.
    ``odoo_sessions`` are Odoo's connections to the tenant's database, idle ones too. ``seconds`` is how long reading
    all this took. ``queue`` and ``late_crons`` are None where they cannot be read.
    """

    state: State = State.ANSWERS
    name: str = ""
    sessions: tuple[Session, ...] = ()
    used: int = 0
    usable: int = 0
    exhausted: tuple[str, ...] = ()
    holders: tuple[tuple[str, int], ...] = ()
    odoo_sessions: int = 0
    seconds: float = 0.0
    queue: Queue | None = None
    late_crons: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """A standby: for how many seconds and bytes it is behind in replaying; 0 when it is not."""

    state: State = State.ANSWERS
    behind: float = 0.0
    backlog: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Redis: ``used`` bytes of ``limit`` (0 for none), and what it does at the limit."""

    state: State = State.ANSWERS
    used: int = 0
    limit: int = 0
    policy: str = ""
    evicted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that was found; None where there is nothing to look at, or it could not be looked at in time.

    ``front`` is a light page at the address that the probe uses, ``direct`` the same page at Odoo itself, past the
    edge, and ``edge`` the edge's own address. ``fronted`` is whether an edge is configured to stand before Odoo.
    """

    suspicion: Suspicion
    front: Visit | None = None
    direct: Visit | None = None
    edge: Visit | None = None
    database: Database | None = None
    standby: Standby | None = None
    cache: Cache | None = None
    fronted: bool = False


GATEWAY: Final = frozenset({502, 503, 504})
"""What a proxy says of a server behind it."""


def took(visit: Visit | None) -> bool:
    """Whether somebody took the connection."""
    return visit is not None and (Phase.CONNECT in visit.phases or visit.status > 0)


def answered(visit: Visit | None) -> bool:
    """Whether Odoo itself answered, whatever it said."""
    return visit is not None and visit.trouble is None and visit.status not in GATEWAY


def hangs(visit: Visit | None) -> bool:
    """Whether the connection was taken and nothing came back in time."""
    return visit is not None and visit.trouble is Trouble.TIMEOUT and took(visit)


def swallowed(visit: Visit | None) -> bool:
    """Whether nobody so much as refused the connection."""
    return visit is not None and visit.trouble is Trouble.TIMEOUT and not took(visit)


def refused(visit: Visit | None) -> bool:
    """Whether nobody listens there."""
    return visit is not None and visit.trouble is Trouble.CONNECT


def cut(visit: Visit | None) -> bool:
    """Whether somebody took the connection and ended it without an answer, or answered with no HTTP."""
    return visit is not None and visit.trouble is Trouble.PROTOCOL and not visit.status


def gateway(visit: Visit | None) -> bool:
    """Whether a proxy says that it cannot reach what is behind it."""
    return visit is not None and visit.trouble is None and visit.status in GATEWAY
