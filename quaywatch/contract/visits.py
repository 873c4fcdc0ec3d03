"""Visits: what one whole request to an HTTP server was like, phase by phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    """A part of a visit, in their order: the values of the attribute ``phase``."""

    DNS = "dns"
    """From a name to addresses. Not there when the url holds an address."""
    CONNECT = "connect"
    """Until the server took the connection."""
    TLS = "tls"
    """The handshake. Not there without TLS."""
    PROCESSING = "processing"
    """From the request to the head of the answer: the server's own time, and one way through the network and back."""
    TRANSFER = "transfer"
    """From the head of the answer to its last byte."""


class Trouble(StrEnum):
    """Why a visit has no whole answer: values of the attribute ``reason``."""

    DNS = "dns"
    """The name leads nowhere."""
    CONNECT = "connect"
    """Nobody took the connection."""
    TLS = "tls"
    """The handshake failed, or the certificate is not to be trusted."""
    TIMEOUT = "timeout"
    """The answer was not whole in time."""
    PROTOCOL = "protocol"
    """The answer is not HTTP, or was cut."""
    REDIRECT = "redirect"
    """More redirects than are followed, or one that leads nowhere."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One whole request, its redirects included.

    Args:
        seconds: how long it took in all, answered or not.
        phases: how long each phase took that was gone through, summed up over redirects, in seconds.
        redirects: how many were followed.
        status: the last status; 0 when there was none.
        version: of HTTP, such as 1.1; 0 without a status.
        body: the content as far as it was asked for, undecoded.
        trouble: why there is no whole answer; None when there is one.
    """

    seconds: float
    phases: Mapping[Phase, float] = field(default_factory=dict)
    redirects: int = 0
    status: int = 0
    version: float = 0.0
    body: bytes = b""
    trouble: Trouble | None = None
