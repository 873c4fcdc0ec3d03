"""Edge: what users got from the proxy in front of Odoo, and its certificates."""

from __future__ import annotations

from functools import partial

from .builder import Dashboard, Panel, Query, Variable
from .levels import Levels
from .parts import (
    BAD_BELOW_ONE,
    COMMON,
    HERE,
    YES_NO,
    graph,
    mean,
    now,
    over_time,
    quantile,
    rates,
    red_above,
    red_below,
    stat,
    yes_or_no,
)

narrow = partial(graph, width=6)
PROXY = Variable(name="target", label="Edge", metric="traefik.entrypoint.requests")
REQUESTS = "traefik.entrypoint.requests"
TOOK = "traefik.entrypoint.request.duration"
SERVICE = "traefik.service.request.duration"
QUIET = "nobody has asked for anything just now"


def edge(levels: Levels) -> Dashboard:
    """Requests, errors and duration at the entry points and for each service behind them."""
    return Dashboard(
        uid="quaywatch-edge",
        title="Edge",
        description="Do users get an answer, in time, and from whom not?",
        about=frozenset({"http"}),
        variables=(*COMMON, PROXY),
        rows=(
            ("Do users get an answer, and in time?", _now(levels)),
            ("At the entry points", _entry_points()),
            ("Behind them", _services()),
            ("Certificates and configuration", _certificates(levels)),
        ),
    )


def _now(levels: Levels) -> tuple[Panel, ...]:
    errors, requests = (
        f"sum by (target) (rate(<{REQUESTS}>{{{HERE}{only}}}[$__rate_interval]))" for only in (', code_class="5xx"', "")
    )
    return (
        yes_or_no(
            title="Does a visitor get in?",
            description="Whether the agent's own visit got the answer that was expected.",
            width=6,
            empty="http_check is not switched on",
            queries=now(f"min by (target) (<quaywatch.http.success>{{{HERE}}})", "{{target}}"),
        ),
        stat(
            title="How many requests end in an error?",
            description="Part of the requests that ended with an error of the server.",
            unit="percentunit",
            width=6,
            steps=red_above(levels.edge_budget),
            empty=QUIET,
            queries=now(f"({errors} or 0 * {requests}) / ({requests} > 0)", "{{target}}"),
        ),
        stat(
            title="How long do the unlucky wait?",
            description="The 95th percentile of a request's duration at the services, websockets left out.",
            width=6,
            steps=red_above(levels.edge_within),
            empty=QUIET,
            queries=now(quantile(0.95, SERVICE, "target", HERE), "{{target}}"),
        ),
        stat(
            title="When does the next certificate expire?",
            description="Time until the first certificate that clients get expires.",
            width=6,
            steps=red_below(levels.certificate),
            empty="no host with TLS is watched",
            queries=now(f"min by (target) (<tls.certificate.remaining>{{{HERE}}})", "{{target}}"),
        ),
    )


def _entry_points() -> tuple[Panel, ...]:
    return (
        graph(
            title="How many requests are there?",
            description="Requests a second, by class of their answer.",
            unit="reqps",
            stacked=True,
            queries=rates(REQUESTS, "entrypoint, code_class", HERE),
        ),
        graph(
            title="How long do requests take?",
            description="Mean and 95th percentile, by entry point.",
            queries=(
                Query(mean(TOOK, "entrypoint", HERE), "{{entrypoint}} mean"),
                Query(quantile(0.95, TOOK, "entrypoint", HERE), "{{entrypoint}} p95"),
            ),
        ),
        graph(
            title="How many connections are open?",
            description="By entry point and protocol.",
            queries=over_time(
                f"sum by (entrypoint, protocol) (<traefik.connections.open>{{{HERE}}})", "{{entrypoint}} {{protocol}}"
            ),
        ),
    )


def _services() -> tuple[Panel, ...]:
    return (
        narrow(
            title="How many requests does each service take?",
            description="Requests a second, by class of their answer.",
            unit="reqps",
            queries=rates("traefik.service.requests", "service, code_class", HERE),
        ),
        narrow(
            title="How long does each service take?",
            description="The 95th percentile, by service.",
            queries=over_time(quantile(0.95, SERVICE, "service", HERE), "{{service}}"),
        ),
        narrow(
            title="Where does the time of a visit go?",
            description="The agent's own visit, by phase.",
            stacked=True,
            empty="http_check is not switched on",
            queries=over_time(
                f"max by (target, phase) (<quaywatch.http.phase.duration>{{{HERE}}})", "{{target}} {{phase}}"
            ),
        ),
        yes_or_no(
            title="Does each server do its work?",
            description="Whether it passed its last health check, if the edge makes any.",
            width=6,
            height=7,
            empty="the edge makes no health checks",
            queries=now(f"min by (service, url) (<traefik.service.server.up>{{{HERE}}})", "{{service}} {{url}}"),
        ),
    )


def _certificates(levels: Levels) -> tuple[Panel, ...]:
    return (
        graph(
            title="How long are certificates good for?",
            description="What clients get, by host.",
            steps=red_below(levels.certificate),
            empty="no host with TLS is watched",
            queries=over_time(f"min by (host) (<tls.certificate.remaining>{{{HERE}}})", "{{host}}"),
        ),
        stat(
            title="Does the chain hold?",
            description="Whether it leads to a trusted authority, is in date and is for this host.",
            height=7,
            steps=BAD_BELOW_ONE,
            mappings=YES_NO,
            empty="no host with TLS is watched",
            queries=now(f"min by (host) (<tls.certificate.verified>{{{HERE}}})", "{{host}}"),
        ),
        stat(
            title="How often did the configuration change?",
            description="New configurations that Traefik took in the time shown.",
            height=7,
            unit="short",
            queries=now(f"sum by (target) (increase(<traefik.config.reloads>{{{HERE}}}[$__range]))", "{{target}}"),
        ),
    )
