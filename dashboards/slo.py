"""SLO and error budget: did we keep what we promised? For those who do not look at graphs at night."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .builder import Dashboard, Panel
from .levels import Levels, Promise
from .parts import (
    COUNTED,
    ENVIRONMENT,
    FLOW,
    FLOW_TARGET,
    GOOD,
    PLACE,
    PROBE,
    graph,
    now,
    over_time,
    red_above,
    red_below,
    stat,
    table,
)

BURNS_FAST = 14.4
"""Times the even pace at which a month's budget is gone in two days."""


def slo(levels: Levels) -> Dashboard:
    """What was promised of the flows and of the edge, what came of it, and what is left to spend."""
    return Dashboard(
        uid="quaywatch-slo",
        title="SLO and error budget",
        description="Did we keep what we promised, and how much may still go wrong?",
        variables=(ENVIRONMENT, FLOW_TARGET, PROBE),
        rows=(
            ("Did we keep our promise?", _kept(levels)),
            ("How fast is the budget spent?", _pace(levels)),
            ("Where did it go?", _where()),
        ),
    )


def budget_left(levels: Levels, *, width: int, height: int) -> Panel:
    """What is left of each flow's error budget over the time shown."""
    return stat(
        title="How much error budget is left?",
        description="Part of the failures allowed in the time shown that did not happen: 100 % is untouched, below 0"
        " the promise is broken.",
        width=width,
        height=height,
        unit="percentunit",
        steps=red_below(0.0),
        queries=now(
            _any(f"1 - {_failed(promise, '$__range')} / {promise.budget:g}" for promise in levels.flows),
            "{{probe}} {{target}}",
        ),
    )


def _any(expressions: Iterable[str]) -> str:
    """PromQL for all of these, each of which is about other flows."""
    return " or ".join(expressions)


def _failed(promise: Promise, window: str) -> str:
    """PromQL for the part of the runs that failed."""
    bad, all_runs = (
        f'sum by (target, probe) (increase(<quaywatch.probe.runs>{{{_of(promise)}, outcome=~"{outcomes}"}}[{window}]))'
        for outcomes in ("failure", COUNTED)
    )
    return f"({bad} / ({all_runs} > 0))"


def _of(promise: Promise) -> str:
    return ", ".join(part for part in (FLOW, promise.matchers) if part)


def _kept(levels: Levels) -> tuple[Panel, ...]:
    return (
        stat(
            title="How many runs did what users want?",
            description="Part of the runs that succeeded in the time shown. Invalid, skipped and missed ones say"
            " nothing of the system and do not count.",
            unit="percentunit",
            width=8,
            steps=red_below(1 - min(promise.budget for promise in levels.flows)),
            queries=now(_good("$__range", "target, probe"), "{{probe}} {{target}}"),
        ),
        budget_left(levels, width=8, height=5),
        stat(
            title="How many requests did users get an answer to?",
            description="Part of the requests at the edge that did not end with an error of the server.",
            unit="percentunit",
            width=8,
            steps=red_below(1 - levels.edge_budget),
            queries=now(
                "1 - (sum by (target) (increase(<traefik.entrypoint.requests>"
                f'{{{PLACE}, code_class="5xx"}}[$__range])) or 0 * {_requests()}) / ({_requests()} > 0)',
                "{{target}}",
            ),
        ),
    )


def _good(window: str, by: str) -> str:
    good, all_runs = (
        f'sum by ({by}) (increase(<quaywatch.probe.runs>{{{FLOW}, outcome=~"{outcomes}"}}[{window}]))'
        for outcomes in (GOOD, COUNTED)
    )
    return f"{good} / ({all_runs} > 0)"


def _requests() -> str:
    return f"sum by (target) (increase(<traefik.entrypoint.requests>{{{PLACE}}}[$__range]))"


def _pace(levels: Levels) -> tuple[Panel, ...]:
    return (
        graph(
            title="How many times too fast is the budget spent?",
            description="1 spends a budget evenly over its period; at the line a month's is gone in two days.",
            unit="none",
            width=12,
            steps=red_above(BURNS_FAST),
            queries=over_time(
                _any(f"{_failed(promise, '1h')} / {promise.budget:g}" for promise in levels.flows),
                "{{probe}} {{target}}",
            ),
        ),
        graph(
            title="How many runs are fast enough?",
            description="Part of the successful runs of the last hour within the time that was promised.",
            unit="percentunit",
            width=12,
            queries=over_time(_any(_fast(levels)), "{{probe}} {{target}}"),
        ),
    )


def _fast(levels: Levels) -> Iterator[str]:
    for promise in levels.flows:
        bound = "|".join((f"{promise.within:g}", f"{promise.within:.1f}"))
        fast, done = (
            f"sum by (target, probe) (increase(<quaywatch.probe.duration>_{part}[1h]))"
            for part in (f'bucket{{{_of(promise)}, le=~"{bound}"}}', f"count{{{_of(promise)}}}")
        )
        yield f"{fast} / ({done} > 0)"


def _where() -> tuple[Panel, ...]:
    return (
        table(
            title="Which flows spent it?",
            description="Runs that failed in the time shown, by flow and target.",
            unit="short",
            empty="no run failed",
            when_fine=True,
            queries=now(
                f'sum by (target, probe) (increase(<quaywatch.probe.runs>{{{FLOW}, outcome="failure"}}[$__range])) > 0'
            ),
        ),
        table(
            title="What caused it?",
            description="Causes that the agent found for slow and failed steps in the time shown.",
            unit="short",
            empty="nothing was slow or failed",
            when_fine=True,
            queries=now(f"sum by (probe, cause) (increase(<quaywatch.probe.causes>{{{FLOW}}}[$__range])) > 0"),
        ),
    )
