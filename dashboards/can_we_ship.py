"""Can we ship? The business flows now, and what stands in their way."""

from __future__ import annotations

from .builder import Dashboard, Panel, Query
from .levels import Levels
from .parts import (
    ANY_IS_BAD,
    COMMON,
    DATABASE,
    DATABASES,
    FLOW,
    FLOW_TARGET,
    NO_RUN,
    PLACE,
    PROBE,
    RUN_EVERY,
    graph,
    last_success,
    mean,
    now,
    over_time,
    quantile,
    rates,
    red_above,
    stat,
    yes_or_no,
)
from .slo import budget_left


def can_we_ship(levels: Levels) -> Dashboard:
    """The first dashboard to open: each flow, and the locks, replicas, queues and caches behind it."""
    return Dashboard(
        uid="quaywatch-can-we-ship",
        title="Can we ship?",
        description="Are orders moving? If not: which lock, queue, replica or cache is in the way?",
        variables=(*COMMON, FLOW_TARGET, PROBE, DATABASE),
        rows=(
            ("Can we ship?", _flows(levels)),
            ("What the business does", _business()),
            ("How the flows run", _runs()),
            ("What is in the way", (*_held_up(levels), *_overloaded(levels))),
        ),
    )


def _flows(levels: Levels) -> tuple[Panel, ...]:
    return (
        yes_or_no(
            title="Does each flow work now?",
            description="The last run of each synthetic flow; one whose runs fail for our own reasons is missing.",
            width=8,
            height=6,
            queries=now(
                f"max by (target, probe) (<quaywatch.probe.success>{{{FLOW}}})",
                "{{probe}} {{target}}",
            ),
        ),
        last_success(levels, width=6, height=6),
        budget_left(width=5, height=6),
        yes_or_no(
            title="Is everything reachable?",
            description="Every watched system: reached, logged in and answering.",
            width=5,
            height=6,
            queries=now(f"min by (target) (<quaywatch.target.up>{{{PLACE}}})", "{{target}}"),
        ),
    )


def _business() -> tuple[Panel, ...]:
    return (
        graph(
            title="How many orders are confirmed?",
            description="Orders confirmed within the last hour, the probes' own left out.",
            width=6,
            queries=over_time(
                f"sum by (target, database) (<odoo.orders.confirmed.recent>{{{DATABASES}}})", "{{database}}"
            ),
        ),
        graph(
            title="How many transfers are done?",
            description="Transfers done within the last hour, by type of operation.",
            width=6,
            queries=over_time(
                f"sum by (database, type) (<odoo.pickings.done.recent>{{{DATABASES}}})", "{{database}} {{type}}"
            ),
        ),
        graph(
            title="How much waits to be shipped?",
            description="Transfers to be done, ready or waiting.",
            width=6,
            stacked=True,
            queries=over_time(
                f"sum by (database, state) (<odoo.pickings.open>{{{DATABASES}}})", "{{database}} {{state}}"
            ),
        ),
        graph(
            title="When was the last order?",
            description="Time since the last order was confirmed by anybody but the probes.",
            width=6,
            empty="there never was an order",
            queries=over_time(f"min by (database) (<odoo.orders.last.age>{{{DATABASES}}})", "{{database}}"),
        ),
    )


def _runs() -> tuple[Panel, ...]:
    return (
        graph(
            title="How did the runs end?",
            description="Runs a minute by outcome. Invalid runs are the agent's own fault and never burn the SLO.",
            unit="cpm",
            stacked=True,
            empty=NO_RUN,
            queries=rates("quaywatch.probe.runs", "probe, outcome", FLOW, times="60 * ", every=RUN_EVERY),
        ),
        graph(
            title="Which step takes the time?",
            description="Mean duration of each step.",
            empty=NO_RUN,
            queries=over_time(
                mean("quaywatch.probe.step.duration", "probe, step", FLOW), "{{probe}} {{step}}", every=RUN_EVERY
            ),
        ),
        graph(
            title="How slow is a run for the unlucky?",
            description="The 95th percentile of a whole run's duration.",
            empty=NO_RUN,
            queries=over_time(
                quantile(0.95, "quaywatch.probe.duration", "probe, target", FLOW),
                "{{probe}} {{target}}",
                every=RUN_EVERY,
            ),
        ),
    )


def _held_up(levels: Levels) -> tuple[Panel, ...]:
    return (
        stat(
            title="What was to blame?",
            description="Causes that the agent found for slow and failed steps in the time shown.",
            steps=ANY_IS_BAD,
            unit="short",
            empty="nothing was slow or failed",
            when_fine=True,
            height=7,
            queries=now(
                f"sum by (probe, cause) (increase(<quaywatch.probe.causes>{{{FLOW}}}[$__range])) > 0",
                "{{probe}}: {{cause}}",
            ),
        ),
        graph(
            title="How long is the longest lock wait?",
            description="By database; empty while nobody waits.",
            empty="nobody waits",
            when_fine=True,
            steps=red_above(levels.lock_wait),
            queries=over_time(
                f"max by (target, database) (<postgresql.lock.wait.longest>{{{DATABASES}}})", "{{database}}"
            ),
        ),
        graph(
            title="How far behind is the standby?",
            description="Bytes that the standby has not yet replayed, as the primary sees it.",
            steps=red_above(levels.replica),
            queries=over_time(
                f'max by (target, standby) (<postgresql.replication.standby.lag>{{{PLACE}, stage="replay"}})',
                "{{target}} {{standby}}",
            ),
        ),
    )


def _overloaded(levels: Levels) -> tuple[Panel, ...]:
    return (
        graph(
            title="How long do jobs wait?",
            description="Age of the oldest job that is due and still pending, by channel.",
            steps=red_above(levels.queue),
            empty="no job is due",
            when_fine=True,
            queries=over_time(
                f"max by (database, channel) (<odoo.queue.oldest.age>{{{DATABASES}}})", "{{database}} {{channel}}"
            ),
        ),
        graph(
            title="How deep are the queues?",
            description="Jobs that are not done, by database.",
            stacked=True,
            queries=over_time(f"sum by (database) (<odoo.queue.live>{{{DATABASES}}})", "{{database}}"),
        ),
        graph(
            title="Is Redis running full?",
            description="Memory in use against maxmemory.",
            queries=(
                Query(f"max by (target) (<redis.memory.used>{{{PLACE}}})", "{{target}} used"),
                Query(f"max by (target) (<redis.maxmemory>{{{PLACE}}})", "{{target}} limit"),
            ),
        ),
    )
