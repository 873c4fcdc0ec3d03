"""What Traefik's own page of metrics says about the edge: requests, their duration, retries, servers, certificates.

The target is the address of that page without its path, such as ``http://traefik.internal:8080``; a target that has no
such page is no Traefik and is left alone. Codes become classes, methods are summed up. Zeros are true: a class that
Traefik does not list has not happened since its start, and that start is the counters'.

A service none of whose servers is well is answered for by Traefik itself: those 503 count at the entry point alone, so
look there for what users get. A request that the retry middleware tries again counts once there, and each time at its
service; Traefik 3.7 was not seen to count ``traefik.service.retries``. Connections that were upgraded to a websocket
are left out of durations, of which theirs would be hours. ``traefik.service.server.up`` needs a health check.

A tenant is told by its router: where Traefik counts by router (its ``addRoutersLabels``), the series name the hosts of
each router's rule, as far as Traefik's API answers at the same address. Tenants behind one router cannot be told apart.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample as Line

from quaywatch.contract import Distribution, Exporter, Http, Kind, Metric, Sample, TargetKind
from quaywatch.drivers.json_answers import read_json
from quaywatch.errors import AuthError, FaultError, ParseError

BOUNDS: Final = (0.1, 0.3, 1.2, 5.0)
"""The buckets of a Traefik that was not told of others."""

ENTRY_REQUESTS = Metric(
    "traefik.entrypoint.requests", Kind.COUNTER, "{request}", "Requests answered.", ("entrypoint", "code_class")
)
ENTRY_DURATION = Metric(
    "traefik.entrypoint.request.duration",
    Kind.HISTOGRAM,
    "s",
    "How long requests took, websockets left out. The buckets are those that Traefik was given.",
    ("entrypoint",),
    bounds=BOUNDS,
)
REQUESTS = Metric(
    "traefik.service.requests",
    Kind.COUNTER,
    "{request}",
    "Requests that a server of a service answered.",
    ("service", "code_class"),
    budget=5000,
)
DURATION = Metric(
    "traefik.service.request.duration",
    Kind.HISTOGRAM,
    "s",
    "How long a service took, websockets left out. The buckets are those that Traefik was given.",
    ("service",),
    bounds=BOUNDS,
)
ROUTER_REQUESTS = Metric(
    "traefik.router.requests",
    Kind.COUNTER,
    "{request}",
    "Requests that a router took, by the hosts of its rule. Absent unless Traefik counts by router.",
    ("router", "host", "code_class"),
    budget=5000,
)
ROUTER_DURATION = Metric(
    "traefik.router.request.duration",
    Kind.HISTOGRAM,
    "s",
    "How long the requests of a router took, websockets left out. Absent unless Traefik counts by router.",
    ("router", "host"),
    bounds=BOUNDS,
)
RETRIES = Metric("traefik.service.retries", Kind.COUNTER, "{retry}", "Requests that were tried again.", ("service",))
SERVER_UP = Metric(
    "traefik.service.server.up",
    Kind.GAUGE,
    "",
    "1 if a server passed its last health check, else 0.",
    ("service", "url"),
)
CONNECTIONS = Metric(
    "traefik.connections.open", Kind.UPDOWN, "{connection}", "Connections that are open.", ("entrypoint", "protocol")
)
RELOADS = Metric("traefik.config.reloads", Kind.COUNTER, "{reload}", "Times a new configuration was taken.")
RELOAD_AGE = Metric(
    "traefik.config.reload.age",
    Kind.GAUGE,
    "s",
    "Time since a configuration was last taken; one that was refused shows by nothing but this.",
)
CERTIFICATE = Metric(
    "traefik.tls.certificate.remaining",
    Kind.GAUGE,
    "s",
    "Time until the newest certificate for these names expires, below 0 after. What clients get is in tls.certificate.",
    ("cn", "sans"),
    budget=500,
)

_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "499", "5xx")
_UPGRADED: Final = "1xx"
_START: Final = "process_start_time_seconds"
_OURS: Final = (
    "traefik_config_",
    "traefik_entrypoint_request",
    "traefik_open_connections",
    "traefik_router_request",
    "traefik_service_request",
    "traefik_service_retries_",
    "traefik_service_server_up",
    "traefik_tls_certs_",
    _START,
)
_NOT_FOUND_FROM, _FAULT_FROM = 300, 500
_REFUSED: Final = frozenset({401, 403})
_BY_ROUTER: Final = b"traefik_router_requests_total{"
_ROUTERS: Final = "/http/routers?per_page=10000"
_FEWER_ROUTERS: Final = "give the option api a path that is not there: routers then go without their hosts"
_HOST: Final = re.compile(r"(?<!!)\bHost\(([^)]*)\)")
_QUOTED: Final = re.compile(r"[`\"]([^`\"]+)[`\"]")

Lines = Mapping[str, Sequence[Line]]
"""The lines of a page by the name in front of each."""
Called = Callable[[str], tuple[str, ...]]
"""What Traefik calls a thing, as attributes."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a configuration may tune."""

    path: str = field(default="/metrics", metadata={"help": "path of the page below the target's url"})

    api: str = field(default="/api", metadata={"help": "path of Traefik's API there, for the hosts of routers"})

    def __post_init__(self) -> None:
        for name, path, usual in (("path", self.path, "/metrics"), ("api", self.api, "/api")):
            if not path.startswith("/"):
                raise ValueError(f"{name}: {path!r} has no slash in front; one such as {usual!r} is expected")


async def collect(edge: Http, options: Options, clock: Callable[[], float]) -> AsyncIterator[Sample]:
    """The edge, as far as the page tells.

    Raises:
        AuthError: when the page is only for others.
        FaultError: when Traefik failed to make it.
        ParseError: when it cannot be read.
    """
    answer = await edge.get(options.path)
    if answer.status in _REFUSED:
        raise AuthError("the page of metrics is refused", remedy="let the agent in", code=str(answer.status))
    if answer.status >= _FAULT_FROM:
        raise FaultError("the page of metrics failed", code=str(answer.status))
    if answer.status >= _NOT_FOUND_FROM or b"traefik_" not in answer.body:
        return
    hosts = await _hosts(edge, options) if _BY_ROUTER in answer.body else {}
    # A page of many services takes a while to read, which nobody else should wait for.
    for sample in await asyncio.to_thread(read_page, answer.body, clock(), hosts):
        yield sample


async def _hosts(edge: Http, options: Options) -> Mapping[str, str]:
    """The hosts of each router's rule; none where the API is off, elsewhere, or for others only."""
    answer = await edge.get(f"{options.api}{_ROUTERS}")
    if answer.status >= _NOT_FOUND_FROM:
        return {}
    routers = read_json(answer.body, "Traefik's list of routers", _FEWER_ROUTERS)
    try:
        return {router["name"]: hosts_of(router.get("rule", "")) for router in routers}
    except (TypeError, KeyError, AttributeError) as error:
        raise ParseError("Traefik's list of routers cannot be read") from error


def hosts_of(rule: str) -> str:
    """The hosts that a rule names, joined by commas; those that it excludes are none of them."""
    return ",".join(sorted({host for names in _HOST.findall(rule) for host in _QUOTED.findall(names)}))


def read_page(body: bytes, now: float, hosts: Mapping[str, str] = MappingProxyType({})) -> list[Sample]:
    """The samples of a page; ``now`` is Unix time in seconds, ``hosts`` are those of each router.

    Raises:
        ParseError: when it is not in Prometheus' format.
    """
    lines = _lines(body)
    start = lines[_START][0].value if _START in lines else None

    def tenant(router: str) -> tuple[str, ...]:
        return (router, hosts.get(router, ""))

    return [
        *_requests(ENTRY_REQUESTS, lines, start),
        *_durations(ENTRY_DURATION, lines, start),
        *_requests(REQUESTS, lines, start),
        *_durations(DURATION, lines, start),
        *_requests(ROUTER_REQUESTS, lines, start, tenant),
        *_durations(ROUTER_DURATION, lines, start, tenant),
        *_retries(lines, start),
        *_states(lines),
        *_configuration(lines, start, now),
        *_certificates(lines, now),
    ]


def _lines(body: bytes) -> Lines:
    ours = [line for line in body.decode(errors="replace").splitlines() if line.startswith(_OURS)]
    found: dict[str, list[Line]] = defaultdict(list)
    try:
        for family in text_string_to_metric_families("\n".join(ours) + "\n"):
            for line in family.samples:
                found[line.name].append(line)
    except ValueError as error:
        raise ParseError("the page of metrics is not in Prometheus' format") from error
    return found


def _code_class(code: str) -> str:
    """The class of a status; 499, a client that did not wait, is one of its own."""
    of_its_own = code if code in _CLASSES else f"{code[:1]}xx"
    return of_its_own if of_its_own in _CLASSES else "other"


def _itself(name: str) -> tuple[str, ...]:
    return (name,)


def _requests(metric: Metric, lines: Lines, start: float | None, called: Called = _itself) -> Iterator[Sample]:
    label = metric.attributes[0]
    counts: dict[str, Counter[str]] = defaultdict(lambda: Counter(dict.fromkeys(_CLASSES, 0)))
    for line in lines.get(f"traefik_{label}_requests_total", ()):
        counts[line.labels[label]][_code_class(line.labels["code"])] += int(line.value)
    for name, classes in counts.items():
        yield from (metric(count, *called(name), code_class, start=start) for code_class, count in classes.items())


def _durations(metric: Metric, lines: Lines, start: float | None, called: Called = _itself) -> Iterator[Sample]:
    label = metric.attributes[0]
    below: dict[str, Counter[float]] = defaultdict(Counter)
    sums: dict[str, float] = defaultdict(float)
    for line in _lasting(lines.get(f"traefik_{label}_request_duration_seconds_bucket", ())):
        below[line.labels[label]][float(line.labels["le"])] += int(line.value)
    for line in _lasting(lines.get(f"traefik_{label}_request_duration_seconds_sum", ())):
        sums[line.labels[label]] += line.value
    for name, counts in below.items():
        fitting, value = _distribution(metric, counts, sums[name])
        yield fitting(value, *called(name), start=start)


def _lasting(lines: Iterable[Line]) -> Iterator[Line]:
    return (line for line in lines if _code_class(line.labels["code"]) != _UPGRADED)


def _distribution(metric: Metric, below: Mapping[float, int], total: float) -> tuple[Metric, Distribution]:
    """The metric with Traefik's bounds, and each bucket by itself; Prometheus counts the smaller ones in each too."""
    bounds = tuple(sorted(bound for bound in below if bound != math.inf))
    cumulative = [*(below[bound] for bound in bounds), below.get(math.inf, 0)]
    counts = tuple(upper - lower for upper, lower in zip(cumulative, [0, *cumulative], strict=False))
    fitting = metric if bounds == metric.bounds else replace(metric, bounds=bounds)
    return fitting, Distribution(counts, total)


def _retries(lines: Lines, start: float | None) -> Iterator[Sample]:
    for line in lines.get("traefik_service_retries_total", ()):
        yield RETRIES(int(line.value), line.labels["service"], start=start)


def _states(lines: Lines) -> Iterator[Sample]:
    for line in lines.get("traefik_service_server_up", ()):
        yield SERVER_UP(int(line.value), line.labels["service"], line.labels["url"])
    for line in lines.get("traefik_open_connections", ()):
        yield CONNECTIONS(int(line.value), line.labels["entrypoint"], line.labels["protocol"])


def _configuration(lines: Lines, start: float | None, now: float) -> Iterator[Sample]:
    for line in lines.get("traefik_config_reloads_total", ()):
        yield RELOADS(int(line.value), start=start)
    for line in lines.get("traefik_config_last_reload_success", ()):
        yield RELOAD_AGE(max(0.0, now - line.value))


def _certificates(lines: Lines, now: float) -> Iterator[Sample]:
    """The newest for the same names: Traefik goes on listing those that were renewed."""
    newest: dict[tuple[str, str], float] = {}
    for line in lines.get("traefik_tls_certs_not_after", ()):
        names = (line.labels.get("cn", ""), line.labels.get("sans", ""))
        newest[names] = max(line.value, newest.get(names, line.value))
    yield from (CERTIFICATE(expires - now, *names) for names, expires in newest.items())


EXPORTER: Exporter[Http, Options, Callable[[], float]] = Exporter(
    name="traefik_edge",
    reads=TargetKind.HTTP,
    metrics=(
        ENTRY_REQUESTS,
        ENTRY_DURATION,
        REQUESTS,
        DURATION,
        ROUTER_REQUESTS,
        ROUTER_DURATION,
        RETRIES,
        SERVER_UP,
        CONNECTIONS,
        RELOADS,
        RELOAD_AGE,
        CERTIFICATE,
    ),
    options=Options,
    collect=collect,
    state=lambda: time.time,
)
