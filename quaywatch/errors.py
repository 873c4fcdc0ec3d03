"""The one error tree.

::

    QuaywatchError
    +-- ConfigError            the configuration is wrong: file, line, key, what is allowed      exit code 2
    +-- TargetError            a watched system did not do what was asked; bears a Reason        exit code 1
    |   +-- ConnectError           connect
    |   +-- AuthError              auth
    |   +-- PermissionDeniedError  permission
    |   +-- DeadlineError          timeout
    |   +-- LockTimeoutError       lock_timeout
    |   +-- VersionError           version
    |   +-- ParseError             parse
    |   +-- FaultError             fault
    |   +-- WrongResultError       wrong
    +-- InternalError          a defect of the agent                                              exit code 3

Drivers map every third-party exception into this tree at one border and raise it ``from`` the original. Messages never
hold a secret, a query's parameters or a customer's datum.
"""

from __future__ import annotations

from typing import ClassVar

from quaywatch.contract import Reason


class QuaywatchError(Exception):
    """The root: whatever Quaywatch raises on purpose.

    Args:
        what: what is wrong, one sentence.
        remedy: what the reader can do about it, one sentence, or nothing.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} ({self.remedy})" if self.remedy else self.what


class ConfigError(QuaywatchError):
    """The configuration is wrong. ``str()`` is one line for each fault: ``file:line: key: what, what is allowed``."""

    exit_code = 2


class InternalError(QuaywatchError):
    """A defect of the agent itself."""


class TargetError(QuaywatchError):
    """A watched system did not do what was asked.

    ``code`` is the system's own error code where it has one (an SQLSTATE, an HTTP status, an XML-RPC fault code).
    """

    exit_code = 1
    reason: ClassVar[Reason] = Reason.INTERNAL

    def __init__(self, what: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.code = code


class ConnectError(TargetError):
    """No connection: refused, unreachable, cut, name unknown, bad certificate."""

    reason = Reason.CONNECT


class AuthError(TargetError):
    """The credentials were refused."""

    reason = Reason.AUTH


class PermissionDeniedError(TargetError):
    """Logged in, but not allowed."""

    reason = Reason.PERMISSION


class DeadlineError(TargetError):
    """No answer within the deadline."""

    reason = Reason.TIMEOUT


class LockTimeoutError(TargetError):
    """The read gave up behind somebody's lock."""

    reason = Reason.LOCK_TIMEOUT


class VersionError(TargetError):
    """The server lacks what is asked for: too old, too new, or a module is not installed."""

    reason = Reason.VERSION


class ParseError(TargetError):
    """The answer could not be understood."""

    reason = Reason.PARSE


class FaultError(TargetError):
    """The server answered with an error of its own."""

    reason = Reason.FAULT


class WrongResultError(TargetError):
    """The server said yes, and the result is not there or not right."""

    reason = Reason.WRONG
