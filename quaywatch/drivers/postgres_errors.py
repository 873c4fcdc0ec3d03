"""PostgreSQL's errors, mapped by SQLSTATE, with what the reader can do about them.

The server's own words are passed on only for the classes that speak of names and rights: other messages can quote a
datum.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from quaywatch.errors import (
    AuthError,
    ConnectError,
    DeadlineError,
    FaultError,
    InternalError,
    LockTimeoutError,
    ParseError,
    PermissionDeniedError,
    TargetError,
    VersionError,
)

from .network import connect_error, cut

_OUTDATED: Final = "an older or newer server, or something is not installed"
_TABLE: Final[dict[str, type[TargetError]]] = {
    "08": ConnectError,
    "0A000": VersionError,
    "25P03": ConnectError,
    "28": AuthError,
    "3D000": ConnectError,
    "3F000": VersionError,
    "42501": PermissionDeniedError,
    "42703": VersionError,
    "42704": VersionError,
    "42883": VersionError,
    "42P01": VersionError,
    "53300": ConnectError,
    "55P03": LockTimeoutError,
    "57014": DeadlineError,
    "57P": ConnectError,
}
"""An SQLSTATE or its beginning; the longest one that fits wins, and what fits none is a fault."""
_QUOTED_CLASSES: Final = ("08", "0A", "25", "28", "3D", "3F", "42", "53", "55", "57")
_REMEDIES: Final = {
    "28P01": "check the password of role {role}",
    "28": "check that role {role} exists, may log in, and that pg_hba.conf lets it in from here",
    "3D000": "correct the name of the database, or create it",
    "53300": "raise max_connections, or the connection limit of role {role}",
    "55P03": "somebody holds a stronger lock",
    "57P03": "it is starting up or shutting down",
    "0A000": _OUTDATED,
    "3F000": _OUTDATED,
    "42703": _OUTDATED,
    "42704": _OUTDATED,
    "42883": _OUTDATED,
    "42P01": _OUTDATED,
}
_DENIED: Final = re.compile(
    r"permission denied for (?P<kind>table|view|materialized view|foreign table|relation|sequence|function|schema"
    r"|database) \"?(?P<name>[^\"]+)\"?"
)
_GRANTS: Final = {  # no tables: a whole one holds more than is read, such as the arguments of jobs
    "function": "EXECUTE ON FUNCTION {name}",
    "schema": "USAGE ON SCHEMA {name}",
    "database": "CONNECT ON DATABASE {name}",
    "sequence": "SELECT ON SEQUENCE {name}",
}
_PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")


@contextmanager
def postgres_errors(where: str, *, role: str) -> Iterator[None]:
    """Raise what asyncpg or the network raises in the block as an error of ours.

    Args:
        where: the server and database, for messages.
        role: who is logged in, for remedies.

    Raises:
        TargetError: for whatever the server or the network is at fault.
        InternalError: for a call that asyncpg itself refuses.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _of_postgres(error, where, role) from error
    except OSError as error:
        raise connect_error(error, where) from error
    except asyncpg.InterfaceError as error:
        raise _of_interface(error, where) from error
    except (asyncpg.InternalClientError, BufferError, ValueError) as error:
        raise ParseError(
            f"{where}: the answer could not be understood", remedy="check that PostgreSQL answers there"
        ) from error


def _of_postgres(error: asyncpg.PostgresError, where: str, role: str) -> TargetError | InternalError:
    if isinstance(error, asyncpg.DataError) and error.message is None:  # no server's words: asyncpg could not encode
        return InternalError(f"{where}: an argument of a statement has the wrong type")
    return of_sqlstate(error.sqlstate or "", error.message or str(error), where=where, role=role)


def of_sqlstate(state: str, message: str, *, where: str, role: str) -> TargetError:
    """The error for an SQLSTATE and the server's message."""
    kind = _longest(_TABLE, state) or FaultError
    if state == "57014" and "lock timeout" in message:
        kind = LockTimeoutError
    words = message if state.startswith(_QUOTED_CLASSES) else "the server answered with an error"
    return kind(f"{where}: {words}", remedy=_remedy(state, message, role), code=state)


def _longest(table: dict[str, type[TargetError]], state: str) -> type[TargetError] | None:
    return next((table[state[:length]] for length in range(5, 1, -1) if state[:length] in table), None)


def _remedy(state: str, message: str, role: str) -> str:
    if state == "42501":
        return _remedy_of_denial(message, role)
    if state == "08P01" and "startup parameter" in message:
        return "a pooler refuses the session's settings: set pooled for this target"
    text = next((_REMEDIES[state[:n]] for n in range(5, 1, -1) if state[:n] in _REMEDIES), "")
    return text.format(role=_identifier(role))


def _remedy_of_denial(message: str, role: str) -> str:
    found = _DENIED.search(message)
    if found and found["kind"] not in _GRANTS:
        return "run `quaywatch check --sql`: it prints the grants on single columns that are missing"
    return "run: " + grant_for(message, role)


def grant_for(message: str, role: str) -> str:
    """The SQL that gives a role what a "permission denied" message says it lacks, tables left out.

    Everything that is not about one named object belongs to the monitoring views, and so to pg_monitor.
    """
    found = _DENIED.search(message)
    if not found:
        return f"GRANT pg_monitor TO {_identifier(role)};"
    privilege = _GRANTS[found["kind"]].format(name=_identifier(found["name"]))
    return f"GRANT {privilege} TO {_identifier(role)};"


def _identifier(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _of_interface(error: asyncpg.InterfaceError, where: str) -> TargetError | InternalError:
    if isinstance(error, ValueError):
        return InternalError(f"{where}: asyncpg refuses its own arguments")
    if "authentication method" in str(error):
        return AuthError(f"{where}: {error}", remedy="allow password authentication in pg_hba.conf")
    return cut(where)
