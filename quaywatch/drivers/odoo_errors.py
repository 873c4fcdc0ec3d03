"""Odoo's errors, the same over XML-RPC and JSON-2.

A message of Odoo's is passed on as one short line: never a traceback, never the answer itself.
"""

from __future__ import annotations

from typing import Final

from quaywatch.errors import (
    AuthError,
    ConnectError,
    FaultError,
    ParseError,
    PermissionDeniedError,
    TargetError,
)

from .http import HttpAnswer, refuse_gateway

_LONGEST: Final = 200
_LOGIN_REMEDY: Final = (
    "check the login and password or key; a user with a second factor needs an API key; after several refusals Odoo"
    " ignores every login from the same address for its cool-down, 60 s by default, right ones too"
)


def login_refused(where: str, login: str, code: str = "") -> AuthError:
    """The credentials of ``login`` were refused."""
    return AuthError(f"{where}: Odoo refuses the login of {login}", remedy=_LOGIN_REMEDY, code=code)


def access_denied(where: str, message: str, code: str) -> PermissionDeniedError:
    """The user may not do that."""
    remedy = "give the user the rights that the flow is documented with"
    return PermissionDeniedError(f"{where}: {first_line(message)}", remedy=remedy, code=code)


def no_such_database(where: str, database: str, code: str) -> ConnectError:
    """The server runs, but not with this database."""
    return ConnectError(
        f"{where}: there is no database {database}", remedy="correct the name of the database", code=code
    )


def fault(where: str, message: str, code: str) -> FaultError:
    """Odoo answered with an error of its own; ``message`` is already one line."""
    return FaultError(f"{where}: {message}", code=code)


def refuse_status(answer: HttpAnswer, where: str) -> None:
    """Nothing, unless the status says that Odoo did not answer at all.

    Raises:
        TargetError: for proxies' errors, redirects and everything else that is not 200.
    """
    refuse_gateway(answer, where)
    if answer.status != 200:  # noqa: PLR2004 - OK
        raise strange_status(answer, where)


def strange_status(answer: HttpAnswer, where: str) -> TargetError:
    """An answer that is not Odoo's RPC: a redirect, a page of somebody else's."""
    what = f"{where}: HTTP {answer.status} is no answer of Odoo's RPC"
    return ParseError(what, remedy="check the url: scheme, host and path", code=str(answer.status))


def first_line(message: str) -> str:
    """The first line with text, cut short."""
    return _short(next((line for line in message.splitlines() if line.strip()), ""))


def last_line(message: str) -> str:
    """The last line with text, cut short: of a traceback, the exception."""
    return _short(next((line for line in reversed(message.splitlines()) if line.strip()), ""))


def _short(line: str) -> str:
    line = line.strip()
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
