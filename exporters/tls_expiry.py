"""The certificates that clients get: when they expire, and whether the chain verifies.

One handshake with each host, by the name that clients use, so that what answers is what they see: the chain, and the
certificate for that very name (SNI). Without the option ``hosts`` it is the target's own host, if its url is https.
Authorities are the system's, or those of the target's ``ca_file``. A host that fails hides no other.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from quaywatch.contract import Certificate, Exporter, Http, Kind, Metric, Sample, TargetKind
from quaywatch.errors import TargetError

HANDSHAKE = Metric(
    "tls.handshake.ok",
    Kind.GAUGE,
    "",
    "1 if a handshake succeeded, whatever the certificate; 0 if nobody answered in time, or not in TLS.",
    ("host",),
)
REMAINING = Metric(
    "tls.certificate.remaining",
    Kind.GAUGE,
    "s",
    "Time until the certificate that clients get expires, by the agent's clock; below 0 after.",
    ("host",),
)
VERIFIED = Metric(
    "tls.certificate.verified",
    Kind.GAUGE,
    "",
    "1 if the chain leads to a trusted authority, is in date and is for this host; else 0.",
    ("host",),
)

MOST: Final = 100
"""Hosts of one target: all of them are looked at together."""
_PORT: Final = 443
_PORTS: Final = 65536
_HOST: Final = re.compile(r"(\[(?P<bracketed>[0-9a-f:.]+)\]|(?P<name>[\w.-]+))(:(?P<port>\d{1,5}))?", re.ASCII)
_SCHEME: Final = "https"

Site = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    hosts: tuple[str, ...] = field(
        default=(), metadata={"help": "HOST or HOST:PORT of each name to check; the target's own host if unset"}
    )

    def __post_init__(self) -> None:
        if len(self.hosts) > MOST:
            raise ValueError(f"hosts: there are {len(self.hosts)}; at most {MOST} are expected")
        for host in self.hosts:
            _site(host)


async def collect(server: Http, options: Options, clock: Callable[[], float]) -> AsyncIterator[Sample]:
    """Every host's certificate."""
    sites = list(dict.fromkeys(map(_site, options.hosts))) or _own(server.url)
    looks = await asyncio.gather(*(_look(server, *site) for site in sites))
    for sample in (sample for site, seen in zip(sites, looks, strict=True) for sample in _told(site, seen, clock())):
        yield sample


def _site(text: str) -> Site:
    """What a host of the options means.

    Raises:
        ValueError: when it means none.
    """
    found = _HOST.fullmatch(text)
    if found is None or not 0 < int(found["port"] or _PORT) < _PORTS:
        raise ValueError(f"hosts: {text!r} is no host; HOST or HOST:PORT is expected")
    return found["bracketed"] or found["name"], int(found["port"] or _PORT)


def _own(url: str) -> list[Site]:
    parts = urlsplit(url)
    return [(parts.hostname, parts.port or _PORT)] if parts.scheme == _SCHEME and parts.hostname else []


async def _look(server: Http, host: str, port: int) -> Certificate | None:
    try:
        return await server.certificate(host, port)
    except TargetError:
        return None


def _told(site: Site, seen: Certificate | None, now: float) -> Sequence[Sample]:
    host, port = site
    name = host if port == _PORT else f"{host}:{port}"
    if seen is None:
        return [HANDSHAKE(0, name)]
    return [HANDSHAKE(1, name), REMAINING(seen.expires - now, name), VERIFIED(int(seen.verified), name)]


EXPORTER: Exporter[Http, Options, Callable[[], float]] = Exporter(
    name="tls_expiry",
    reads=TargetKind.HTTP,
    metrics=(HANDSHAKE, REMAINING, VERIFIED),
    options=Options,
    collect=collect,
    state=lambda: time.time,
    every=60.0,
    deadline=12.0,
)
