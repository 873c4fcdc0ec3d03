"""What the network says, in words of ours."""

from __future__ import annotations

import errno
import socket
import ssl

from quaywatch.errors import AuthError, ConnectError
from quaywatch.secret import Secret

_CUT = ("the connection was cut", "see the log at the other end, and what lies in between, such as a proxy or pooler")
"""What is said of a connection that ended early, and what to do."""
_WORDS = {
    errno.ECONNREFUSED: ("nobody listens there", "check host and port, and that the server runs"),
    errno.EHOSTUNREACH: ("the host cannot be reached", "check routes and firewalls"),
    errno.ENETUNREACH: ("the network cannot be reached", "check routes and firewalls"),
    errno.ECONNRESET: _CUT,
    errno.EPIPE: _CUT,
    errno.ETIMEDOUT: ("the host does not answer", "check routes and firewalls"),
}


def connect_error(error: OSError, where: str) -> ConnectError:
    """The error to raise for a failed connection to ``where`` (``host:port``)."""
    what, remedy = _words(error)
    return ConnectError(f"{where}: {what}", remedy=remedy)


def _words(error: OSError) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", "")
        return f"its certificate is not trusted: {why}", "name the authority that signed it"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'handshake broken'}", "check that the port speaks TLS"
    if isinstance(error, socket.gaierror):
        return "the name is unknown", "check the host name and the name server"
    if error.errno in _WORDS:
        return _WORDS[error.errno]
    return (error.strerror, "") if error.strerror else _CUT


def cut(where: str) -> ConnectError:
    """The error to raise when the other side ended the connection to ``where`` (``host:port``)."""
    what, remedy = _CUT
    return ConnectError(f"{where}: {what}", remedy=remedy)


def revealed(secret: Secret) -> str:
    """The text of a secret at this moment.

    Raises:
        AuthError: when its file cannot be read.
    """
    try:
        return secret.reveal()
    except (OSError, UnicodeDecodeError) as error:
        raise AuthError("the file with the password cannot be read", remedy="check its path and rights") from error
