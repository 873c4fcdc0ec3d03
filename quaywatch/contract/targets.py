"""Targets: what is watched, why a read of it fails, and the drivers that speak to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

from .browser import Browser
from .visits import Visit


class TargetKind(StrEnum):
    """What a target is, and so which driver speaks to it."""

    POSTGRES = "postgres"
    REDIS = "redis"
    ODOO = "odoo"
    HTTP = "http"
    BACKUP = "backup"


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
        """All rows of one statement.

        An argument that is a list is best one of texts, as in ``any($1::text[]::int[])``: the driver looks any other
        list's type up in each new session, which costs more than most visits.
        """
        ...


class Cluster(Driver, Postgres, Protocol):
    """A PostgreSQL cluster: one kept session for cluster-wide reads, and short visits to its databases."""

    async def databases(self) -> Sequence[str]:
        """Names of the databases to be visited now: those that accept connections, templates left out.

        On a standby there are none unless it was asked for: they are those of its primary.
        """
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


class Requests(Protocol):
    """Whoever passes on any HTTP request: drivers of kind http, and those of kind odoo for a visitor."""

    async def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """The answer, whatever its status; redirects are not followed."""
        ...


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

    async def visit(self, path: str, *, method: str = "GET", redirects: int = 0) -> Visit:
        """A visitor's request over a connection of its own, so many redirects followed; a failed one is a result."""
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

    async def log_in(self) -> int:
        """Log in over RPC, whatever is remembered of earlier times; the user's id."""
        ...

    async def log_in_web(self) -> int:
        """Open a web session with the user's password; the user's id, as the session says when asked."""
        ...

    async def report(
        self,
        name: str,
        records: Sequence[int] = (),
        *,
        form: Literal["pdf", "text", "html"] = "pdf",
        options: Mapping[str, Any] | None = None,
    ) -> bytes:
        """What a report prints, never empty and of the type that ``form`` names; ``options`` as a form would give them.

        It takes a web session, which is opened with the user's password once and kept.
        """
        ...

    async def get(self, path: str) -> Answer:
        """The answer to a visitor's GET, whatever its status; nobody is logged in."""
        ...

    def janitor(self) -> Odoo | None:
        """The same database as the user who may delete, where one is configured."""
        ...

    def browser(self) -> Browser:
        """The same database's web client, as the same user.

        Raises:
            ConfigError: when this agent has no browser.
        """
        ...
