"""SLO and error budget: did we keep what we promised? For those who do not look at graphs at night."""

from __future__ import annotations

from functools import partial

from .builder import Dashboard, Panel
from .levels import Levels
from .parts import (
    COMMON,
    FLOW,
    FLOW_TARGET,
    NO_RULES,
    NOT_PROMISED,
    PLACE,
    PROBE,
    graph,
    now,
    over_time,
    recorded,
    red_above,
    red_below,
    stat,
    steps_of_each,
    table,
)

PERIOD = "30d"
"""The time that a budget is for, as the rules have it."""
FLOWS = "{{probe}} {{target}}"


def slo(levels: Levels) -> Dashboard:
    """What was promised of the flows and of the edge, what came of it, and what is left to spend."""
    return Dashboard(
        uid="quaywatch-slo",
        title="SLO and error budget",
        description="Did we keep what we promised, and how much may still go wrong?",
        about=frozenset({"flow", "http"}),
        variables=(*COMMON, FLOW_TARGET, PROBE),
        rows=(
            ("Did we keep our promise?", _kept(levels)),
            ("How fast is the budget spent?", _pace(levels)),
            ("Where did it go?", _where()),
        ),
    )


def budget_left(*, width: int, height: int) -> Panel:
    """What is left of each flow's error budget."""
    return stat(
        title="How much error budget is left?",
        description="Part of the failures allowed in 30 days that did not happen: 100 % is untouched, below 0 the"
        " promise is broken.",
        width=width,
        height=height,
        unit="percentunit",
        steps=red_below(0.0),
        empty=NO_RULES,
        queries=now(recorded(f"quaywatch:flow_budget_left:ratio{PERIOD}", FLOW), FLOWS),
    )


def _kept(levels: Levels) -> tuple[Panel, ...]:
    return (
        _promised(
            title="How many runs did what users want?",
            description="Part of the runs of 30 days that did not fail, of those that were to be.",
            width=6,
            steps=NOT_PROMISED,
            steps_of=steps_of_each(levels, lambda promise: red_below(1 - promise.budget)),
            queries=now(recorded(f"quaywatch:flow_availability:ratio{PERIOD}", FLOW), FLOWS),
        ),
        _promised(
            title="How much of it was measured?",
            description="Part of the runs of 30 days that were to be and told whether the flow works; of the others"
            " nothing is known, and they count as good.",
            width=6,
            steps=NOT_PROMISED,
            queries=now(recorded(f"quaywatch:flow_measured:ratio{PERIOD}", FLOW), FLOWS),
        ),
        budget_left(width=6, height=5),
        _promised(
            title="How much of each tier's budget is left?",
            description="The budgets of all flows of a tier together.",
            width=6,
            steps=red_below(0.0),
            queries=now(recorded(f"quaywatch:tier_budget_left:ratio{PERIOD}", PLACE), "{{tier}}"),
        ),
        _promised(
            title="How many requests were answered?",
            description="Part of the requests of 30 days at the edge that did not end with an error of the server.",
            width=6,
            steps=red_below(1 - levels.edge_budget),
            queries=now(f"1 - {recorded(f'quaywatch:edge_errors:ratio{PERIOD}', PLACE)}", "{{target}}"),
        ),
        _promised(
            title="What is left of it at the edge?",
            description="Part of the errors allowed in 30 days that did not happen.",
            width=6,
            steps=red_below(0.0),
            queries=now(recorded(f"quaywatch:edge_budget_left:ratio{PERIOD}", PLACE), "{{target}}"),
        ),
        _promised(
            title="Were jobs done in time?",
            description="Part of 30 days in which no due job waited longer than promised.",
            width=6,
            queries=now(f"min by (target) ({recorded(f'quaywatch:queue_on_time:ratio{PERIOD}', PLACE)})", "{{target}}"),
        ),
        _promised(
            title="Would little enough have been lost?",
            description="Part of 30 days in which each standby's data was as new as promised; not while it was down.",
            width=6,
            queries=now(recorded(f"quaywatch:recovery_in_point:ratio{PERIOD}", PLACE), "{{target}}"),
        ),
    )


_promised = partial(stat, unit="percentunit", empty=NO_RULES)


def _pace(levels: Levels) -> tuple[Panel, ...]:
    return (
        graph(
            title="How many times too fast is the budget spent?",
            description="Over a day: 1 spends it evenly over its period; at the line a month's is gone in ten days.",
            unit="none",
            width=12,
            steps=red_above(levels.burning),
            empty=NO_RULES,
            queries=over_time(recorded("quaywatch:flow_burn_rate:ratio1d", FLOW), FLOWS),
        ),
        _promised(
            title="How many runs are fast enough?",
            description="Part of the successful runs of 30 days within the time that was promised.",
            width=12,
            height=7,
            steps=NOT_PROMISED,
            steps_of=steps_of_each(levels, lambda promise: red_below(promise.share)),
            queries=now(recorded(f"quaywatch:flow_timely:ratio{PERIOD}", FLOW), FLOWS),
        ),
    )


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
