"""Quaywatch itself: whether what the other dashboards show can be believed."""

from __future__ import annotations

from functools import partial

from .builder import Dashboard, Panel, Query, Variable
from .levels import Levels
from .parts import (
    ANY_IS_BAD,
    COMMON,
    HERE,
    INTERVALS,
    PLACE,
    RUN_EVERY,
    graph,
    intervals_since,
    now,
    over_time,
    rates,
    red_above,
    red_below,
    stat,
    table,
    yes_or_no,
)

narrow = partial(graph, width=6)
fifth = partial(graph, width=5)
WATCHED = Variable(name="target", label="Target", metric="quaywatch.target.up")


def agent(levels: Levels) -> Dashboard:
    """Targets, readings, leases, discovery, export and the agents' own needs."""
    return Dashboard(
        uid="quaywatch-agent",
        title="Quaywatch itself",
        description="Can what is shown be believed: is everything reached, read in time and delivered?",
        variables=(*COMMON, WATCHED),
        rows=(
            ("Can what is shown be believed?", _now()),
            ("Reading", _reading()),
            ("Flows and leases", _flows(levels)),
            ("Lost or refused", _lost()),
            ("Pods found by annotation", _discovery()),
            ("Delivering", _delivering()),
            ("The agents", _agents()),
        ),
    )


def _now() -> tuple[Panel, ...]:
    return (
        yes_or_no(
            title="Is everything reachable?",
            description="Every watched system: reached, logged in and answering.",
            width=6,
            queries=now(f"min by (target) (<quaywatch.target.up>{{{HERE}}})", "{{target}}"),
        ),
        stat(
            title="How many readings fail?",
            description="Readings of each target that did not work at their last turn.",
            width=6,
            unit="short",
            steps=ANY_IS_BAD,
            queries=now(f"sum by (target) (1 - <quaywatch.scrape.success>{{{HERE}}})", "{{target}}"),
        ),
        stat(
            title="When was anything last delivered?",
            description="Time since the back end last took a batch, by signal.",
            width=6,
            unit="s",
            empty="nothing is pushed",
            queries=now(
                f"time() - max by (signal) (<quaywatch.export.last_success.time>{{{PLACE}}} > 0)", "{{signal}}"
            ),
        ),
        yes_or_no(
            title="Was the configuration accepted?",
            description="Whether the last load of it was; a refused one leaves the old one in force.",
            width=6,
            queries=now(f"min(<quaywatch.config.reload.success>{{{PLACE}}})", "last load"),
        ),
    )


def _reading() -> tuple[Panel, ...]:
    return (
        narrow(
            title="How old is what is shown?",
            description="Age of the oldest reading of each target.",
            queries=over_time(f"max by (target) (<quaywatch.snapshot.age>{{{HERE}}})", "{{target}}"),
        ),
        narrow(
            title="Which readings take long?",
            description="The ten longest, by exporter.",
            queries=over_time(
                f"topk(10, max by (target, exporter) (<quaywatch.scrape.duration>{{{HERE}}}))",
                "{{target}} {{exporter}}",
            ),
        ),
        narrow(
            title="How many turns were left out?",
            description="Turns a minute that were left out because the one before was still running.",
            unit="cpm",
            queries=rates("quaywatch.schedule.missed", "target", HERE, times="60 * "),
        ),
        table(
            title="Why do readings fail?",
            description="Failed readings in the time shown, by reason.",
            width=6,
            height=7,
            unit="short",
            empty="none failed",
            when_fine=True,
            queries=now(
                f"sum by (target, exporter, reason) (increase(<quaywatch.scrape.error>{{{HERE}}}[$__range])) > 0"
            ),
        ),
    )


def _flows(levels: Levels) -> tuple[Panel, ...]:
    return (
        fifth(
            title="Do flows run on time?",
            description="Intervals since the last run, 1 or less while all is as configured; at the line nobody knows"
            " any more whether the flow works.",
            unit=INTERVALS,
            steps=red_above(levels.late),
            empty="no flow is configured",
            queries=over_time(intervals_since("last_run", HERE), "{{probe}} {{target}}"),
        ),
        fifth(
            title="How many runs are not made?",
            description="Runs an hour that were due and that no agent made.",
            unit="short",
            empty="no flow is configured",
            queries=rates(
                "quaywatch.probe.runs",
                "probe, target",
                f'{HERE}, outcome="missed"',
                times="3600 * ",
                every=RUN_EVERY,
            ),
        ),
        fifth(
            title="Do flows leave anything behind?",
            description="Records of past runs that could be erased and still stand, as the last sweep saw them.",
            steps=ANY_IS_BAD,
            empty="no sweep has been made",
            queries=over_time(f"max by (target, probe) (<quaywatch.probe.residue>{{{HERE}}})", "{{probe}} {{target}}"),
        ),
        stat(
            title="When do keys expire?",
            description="Time left of API keys: nothing is known of a target's flows once its key has expired.",
            width=4,
            height=7,
            steps=red_below(levels.certificate),
            empty="no key expires",
            when_fine=True,
            queries=now(f"min by (target, key) (<odoo.api_key.remaining>{{{HERE}}})", "{{key}} of {{target}}"),
        ),
        fifth(
            title="Who acts on shared targets?",
            description="Agents that hold the lease of a target: one each, and two only for as long as a lease lives.",
            empty="no target is shared",
            queries=over_time(f"sum by (target) (<quaywatch.lease.held>{{{HERE}}})", "{{target}}"),
        ),
    )


def _lost() -> tuple[Panel, ...]:
    dropped = f"60 * sum by (target) (rate(<quaywatch.cardinality.dropped>{{{HERE}}}[$__rate_interval]))"
    return (
        yes_or_no(
            title="Do agents reach who keeps the leases?",
            description="Whether every agent can ask who may act on a shared target.",
            width=6,
            height=7,
            empty="no target is shared",
            queries=now(f"1 - max by (environment) (<quaywatch.lease.unreachable>{{{PLACE}}})", "{{environment}}"),
        ),
        graph(
            title="How many series are too many?",
            description="Series a minute that were summed up as other, since their metric has no room for them.",
            width=9,
            unit="cpm",
            queries=over_time(f"{dropped} or 0 * sum by (target) (<quaywatch.target.up>{{{HERE}}})", "{{target}}"),
        ),
        graph(
            title="Do sweeps fail?",
            description="Sweeps an hour that could not be done: what runs that were killed leave behind then stays.",
            width=9,
            unit="short",
            empty="no flow is configured",
            queries=rates("quaywatch.probe.sweep.errors", "probe, target", HERE, times="3600 * "),
        ),
    )


def _discovery() -> tuple[Panel, ...]:
    found, refused = (f"sum(<quaywatch.discovery.{name}>{{{PLACE}}})" for name in ("targets", "refused"))
    return (
        yes_or_no(
            title="Are pods followed?",
            description="Whether every agent follows the changes of its node's pods; one that does not goes on with the"
            " pods it knew.",
            width=6,
            height=7,
            empty="no discovery is configured, or the API server has not answered yet",
            queries=now(f"min by (environment) (<quaywatch.discovery.up>{{{PLACE}}})", "{{environment}}"),
        ),
        graph(
            title="How many pods are found and refused?",
            description="Pods of all nodes that are watched, and those that are not since their annotations are wrong:"
            " the log of their node's agent says what is wrong with each.",
            width=9,
            empty="no discovery is configured, or the API server has not answered yet",
            queries=(Query(found, "watched"), Query(refused, "refused")),
        ),
        graph(
            title="Why are pods listed anew?",
            description="Lists an hour, by cause. Once at each start, and now and then for certainty (resync); many"
            " that the server forgot (expired) are a load on it.",
            width=9,
            unit="short",
            empty="no discovery is configured, or the API server has not answered yet",
            queries=rates("quaywatch.discovery.lists", "cause", PLACE, times="3600 * "),
        ),
    )


def _delivering() -> tuple[Panel, ...]:
    return (
        narrow(
            title="What becomes of the batches?",
            description="Batches a minute, by signal and outcome.",
            unit="cpm",
            queries=rates("quaywatch.export.batches", "signal, outcome", PLACE, times="60 * "),
        ),
        narrow(
            title="How much waits to be sent?",
            description="Bytes of batches, as compressed, by signal.",
            stacked=True,
            queries=over_time(f"sum by (signal) (<quaywatch.export.queue.size>{{{PLACE}}})", "{{signal}}"),
        ),
        narrow(
            title="How many points are sent?",
            description="Metric points a second, by what became of them.",
            unit="cps",
            queries=rates("quaywatch.export.points", "outcome", PLACE),
        ),
        narrow(
            title="How many series are read?",
            description="Samples in the last readings, by target.",
            stacked=True,
            queries=over_time(f"sum by (target) (<quaywatch.scrape.samples>{{{HERE}}})", "{{target}}"),
        ),
    )


def _agents() -> tuple[Panel, ...]:
    return (
        narrow(
            title="How much processor time do agents take?",
            description="Seconds a second, in user and system mode.",
            unit="percentunit",
            queries=over_time(f"sum(rate(<process.cpu.time>{{{PLACE}}}[$__rate_interval]))", "all agents"),
        ),
        narrow(
            title="How much memory do they hold?",
            description="Resident set of all agents together.",
            queries=over_time(f"sum(<process.memory.usage>{{{PLACE}}})", "all agents"),
        ),
        narrow(
            title="Is an agent held up?",
            description="The longest delay of an agent's event loop.",
            queries=over_time(f"max(<quaywatch.loop.lag>{{{PLACE}}})", "longest"),
        ),
        narrow(
            title="How long do agents run?",
            description="Time since each start; a short one after a long one is an agent that was started again.",
            queries=over_time(f"time() - max by (environment) (<quaywatch.start.time>{{{PLACE}}})", "{{environment}}"),
        ),
    )
