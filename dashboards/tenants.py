"""Tenants: who of them takes what the others need."""

from __future__ import annotations

from functools import partial

from .builder import Dashboard, Lead, Panel
from .levels import Levels
from .parts import (
    COMMON,
    DATABASE,
    HERE,
    PLACE,
    SERVER,
    TENANT,
    connections_taken,
    found_in_memory,
    graph,
    now,
    over_time,
    rate,
    rates,
    red_above,
    stat,
    table,
)

narrow = partial(graph, width=6)
THIS_ALONE = Lead(
    "This tenant alone",
    "/d/quaywatch-tenants?${datasource:queryparam}&${environment:queryparam}&${__url_time_range}"
    "&var-target=${__data.fields.target}&var-database=${__data.fields.database}",
)
ranked = partial(table, width=8, height=8, leads=(THIS_ALONE,))
TENANTS = "target, database"
"""The labels that tell one tenant from all others."""
MOST = 10
"""How many tenants a ranking shows."""


def tenants(levels: Levels) -> Dashboard:
    """The noisy neighbours ranked; one database chosen shows that tenant alone."""
    return Dashboard(
        uid="quaywatch-tenants",
        title="Tenants",
        description="Which tenant takes what the others need, and how does one tenant fare?",
        about=frozenset({"postgres"}),
        variables=(*COMMON, SERVER, DATABASE),
        rows=(
            ("Is there a noisy neighbour?", _now(levels)),
            ("The noisy ones, ranked", (*_busiest(), *_largest(), _in_error(levels))),
            ("The tenant that is chosen", _chosen(levels)),
        ),
    )


def _active(by: str, matchers: str) -> str:
    return f'sum by ({by}) (<postgresql.session.open>{{{matchers}, state="active"}})'


def _now(levels: Levels) -> tuple[Panel, ...]:
    of_all = f"{_active(TENANTS, HERE)} / on (target) group_left () ({_active('target', HERE)} > 0)"
    commits = (rate("postgresql.transaction.commits", by, HERE) for by in (TENANTS, "target"))
    each, every = commits
    return (
        stat(
            title="How many tenants are there?",
            description="Databases that are visited one by one.",
            width=5,
            queries=now(f"max by (target) (<quaywatch.tenants>{{{HERE}}})", "{{target}}"),
        ),
        stat(
            title="Who has the most active sessions?",
            description="The largest part of a server's active sessions that one tenant has.",
            width=7,
            unit="percentunit",
            steps=red_above(levels.tenant),
            empty="no session is active",
            when_fine=True,
            queries=now(f"topk(1, {of_all})", "{{database}} on {{target}}"),
        ),
        stat(
            title="How many connections are taken?",
            description="Of those that a server can give: when they run out, tenants take them from each other.",
            width=6,
            unit="percentunit",
            steps=red_above(levels.connections),
            queries=now(connections_taken(), "{{target}}"),
        ),
        stat(
            title="Who does the most?",
            description="The largest part of a server's transactions that one tenant commits.",
            width=6,
            unit="percentunit",
            queries=now(f"topk(1, {each} / on (target) group_left () ({every} > 0))", "{{database}} on {{target}}"),
        ),
    )


def _top(expression: str) -> str:
    return f"topk({MOST}, {expression})"


def _busiest() -> tuple[Panel, ...]:
    return (
        ranked(
            title="Who commits most?",
            description="Transactions a second.",
            unit="cps",
            queries=now(_top(rate("postgresql.transaction.commits", TENANTS, HERE))),
        ),
        ranked(
            title="Who reads most from disk?",
            description="Blocks a second that were not in PostgreSQL's buffers.",
            unit="cps",
            queries=now(_top(rate("postgresql.blocks.read", TENANTS, HERE))),
        ),
        ranked(
            title="Who has most sessions?",
            description="Sessions of clients, whatever their state.",
            unit="short",
            queries=now(_top(f"sum by ({TENANTS}) (<postgresql.session.open>{{{HERE}}})")),
        ),
    )


def _largest() -> tuple[Panel, ...]:
    return (
        ranked(
            title="Who is largest?",
            description="Estimated size of the database.",
            unit="bytes",
            queries=now(_top(f"sum by ({TENANTS}) (<postgresql.database.size.estimate>{{{HERE}}})")),
        ),
        ranked(
            title="Who has most jobs?",
            description="Jobs of Odoo that are neither done nor cancelled.",
            unit="short",
            empty="no database has a job queue",
            queries=now(_top(f"sum by ({TENANTS}) (<odoo.queue.live>{{{HERE}}})")),
        ),
        ranked(
            title="Who writes most temporary files?",
            description="Bytes a second.",
            unit="Bps",
            queries=now(_top(rate("postgresql.temp.io", TENANTS, HERE))),
        ),
    )


def _in_error(levels: Levels) -> Panel:
    errors, requests = (
        f"sum by (target, router, host) (rate(<traefik.router.requests>{{{PLACE}{only}}}[$__rate_interval]))"
        for only in (', code_class="5xx"', "")
    )
    return table(
        title="Whose users get errors?",
        description="Part of the requests that end in a server's error, by the router and hosts at the edge, if the"
        " edge counts by router.",
        width=24,
        height=5,
        unit="percentunit",
        steps=red_above(levels.tenant_errors),
        empty="no edge counts by router",
        queries=now(_top(f"({errors} or 0 * {requests}) / ({requests} > 0)")),
    )


def _chosen(levels: Levels) -> tuple[Panel, ...]:
    return (
        narrow(
            title="How much does the tenant do?",
            description="Commits a second.",
            unit="cps",
            queries=rates("postgresql.transaction.commits", "database", TENANT),
        ),
        narrow(
            title="How much of what it reads is in memory?",
            description="Part of the blocks that were found in PostgreSQL's own buffers.",
            unit="percentunit",
            queries=over_time(found_in_memory(), "{{database}}"),
        ),
        narrow(
            title="Does it wait for locks?",
            description="Longest current wait.",
            empty="it does not wait",
            when_fine=True,
            steps=red_above(levels.lock_wait),
            queries=over_time(f"max by (database) (<postgresql.lock.wait.longest>{{{TENANT}}})", "{{database}}"),
        ),
        narrow(
            title="How many orders does it confirm?",
            description="Orders confirmed within the last hour, the probes' own left out.",
            queries=over_time(f"sum by (database) (<odoo.orders.confirmed.recent>{{{TENANT}}})", "{{database}}"),
        ),
    )
