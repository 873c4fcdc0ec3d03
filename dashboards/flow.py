"""Flow: one business transaction, step by step."""

from __future__ import annotations

import json
from urllib.parse import quote

from .builder import Address, Dashboard, Json, Lead, Panel, Query
from .levels import Levels
from .parts import (
    ANY_IS_BAD,
    COMMON,
    COUNTED,
    FLOW,
    FLOW_TARGET,
    GOOD,
    NO_RUN,
    NOT_PROMISED,
    PROBE,
    RUN_EVERY,
    graph,
    last_success,
    mean,
    now,
    over_time,
    quantile,
    rate,
    rates,
    red_above,
    red_below,
    share,
    stat,
    steps_of_each,
    table,
    traced,
)

STEP = "quaywatch.probe.step.duration"
RUNS = "quaywatch.probe.runs"
_WORST_FIRST = ("failure", "invalid", "missed", "cleanup_failed", "flaky", "skipped", "success")
_COLOURS = ("red", "purple", "purple", "orange", "yellow", "blue", "green")
OUTCOMES: tuple[Json, ...] = (
    {
        "type": "value",
        "options": {
            str(number): {"text": outcome.replace("_", " "), "color": colour}
            for number, (outcome, colour) in enumerate(zip(_WORST_FIRST, _COLOURS, strict=True))
        },
    },
)
"""How a run can end, by the number that stands for it in a state timeline."""
TRACES = "tempo"
_THIS = "&&".join(f'span.quaywatch.{name}="${{__field.labels.{name}}}"' for name in ("probe", "target"))
_ASKED = {
    "refId": "A",
    "datasource": {"type": TRACES, "uid": f"${{{TRACES}_datasource}}"},
    "queryType": "traceql",
    "query": f"{{{_THIS}}}",
}
_PANES = {
    "traces": {
        "datasource": f"${{{TRACES}_datasource}}",
        "queries": [_ASKED],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
}
ITS_TRACES = Lead(
    "Traces of these runs",
    # What Grafana fills in must stand as it is.
    f"/explore?schemaVersion=1&panes={quote(json.dumps(_PANES), safe='${}')}",
)
ITS_RUNS = Lead("Its runs, step by step, and what was kept of them", "${agent}/")
ITS_RUNBOOK = Lead("What to do: the runbook", "${runbooks}/FlowFailing.md")
WHEN_SLOW = Lead("What to do: the runbook", "${runbooks}/FlowSlow.md")


def flow(levels: Levels) -> Dashboard:
    """Rate, errors and duration of each step, and what was found when it was slow or failed."""
    return Dashboard(
        uid="quaywatch-flow",
        title="Flow",
        description="Which step of a flow fails or is slow, since when, and why?",
        about=frozenset({"flow"}),
        variables=(*COMMON, FLOW_TARGET, PROBE),
        traces=TRACES,
        addresses=(
            Address(name="agent", label="An agent's status page", default="http://127.0.0.1:9464"),
            Address(name="runbooks", label="Runbooks", default="alerts/runbooks"),
        ),
        rows=(
            ("Does the flow work, and how well?", _now(levels)),
            ("Rate, errors and duration of each step", _steps()),
            ("Why?", _why()),
            ("What the flow leaves", _leftovers()),
        ),
    )


def _now(levels: Levels) -> tuple[Panel, ...]:
    runs = (
        f'sum by (target, probe) (increase(<{RUNS}>{{{FLOW}, outcome=~"{some}"}}[$__range]))'
        for some in (GOOD, COUNTED)
    )
    return (
        Panel(
            title="How did the runs end, over time?",
            description="The worst outcome at each moment. Flaky runs succeeded when they were repeated; invalid,"
            " skipped and missed ones measured nothing.",
            kind="state-timeline",
            unit="none",
            width=12,
            mappings=OUTCOMES,
            empty=NO_RUN,
            leads=(ITS_TRACES, ITS_RUNS, ITS_RUNBOOK),
            queries=over_time(" or ".join(map(_ended, _WORST_FIRST)), "{{probe}} {{target}}"),
        ),
        stat(
            title="How many runs worked?",
            description="Part of the runs in the time shown that did what users want, red below what was promised.",
            unit="percentunit",
            width=4,
            height=7,
            empty=NO_RUN,
            steps=NOT_PROMISED,
            steps_of=steps_of_each(levels, lambda promise: red_below(1 - promise.budget)),
            queries=now(share(*runs), "{{probe}} {{target}}"),
        ),
        last_success(levels, width=4, height=7),
        stat(
            title="How slow is a run for the unlucky?",
            description="The 95th percentile of a run's duration in the time shown, red above what was promised of it.",
            width=4,
            height=7,
            steps=NOT_PROMISED,
            steps_of=steps_of_each(levels, lambda promise: red_above(promise.within)),
            leads=(ITS_TRACES, ITS_RUNS, WHEN_SLOW),
            empty=NO_RUN,
            queries=now(
                quantile(0.95, "quaywatch.probe.duration", "target, probe", FLOW, over="$__range"),
                "{{probe}} {{target}}",
            ),
        ),
    )


def _ended(outcome: str) -> str:
    """PromQL for the number of an outcome while runs end so."""
    runs = f'sum by (target, probe) (increase(<{RUNS}>{{{FLOW}, outcome="{outcome}"}}[$__rate_interval]))'
    return f"0 * ({runs} > 0) + {_WORST_FIRST.index(outcome)}"


def _steps() -> tuple[Panel, ...]:
    return (
        graph(
            title="How often is each step done?",
            description="Successful steps a minute, undo steps included.",
            unit="cpm",
            width=6,
            empty=NO_RUN,
            queries=over_time(
                f"60 * sum by (probe, step) (rate(<{STEP}>_count{{{FLOW}}}[$__rate_interval]))",
                "{{probe}} {{step}}",
                every=RUN_EVERY,
            ),
        ),
        graph(
            title="Which step fails?",
            description="Attempts a minute that did not succeed, by the step that failed and the reason.",
            unit="cpm",
            width=6,
            empty="no attempt failed",
            when_fine=True,
            leads=(ITS_TRACES, ITS_RUNS, ITS_RUNBOOK),
            queries=over_time(
                f"{rate('quaywatch.probe.failures', 'target, probe, step, reason', FLOW, times='60 * ')} > 0",
                "{{probe}} {{step}}: {{reason}} ({{target}})",
                every=RUN_EVERY,
            ),
        ),
        graph(
            title="How long does each step take?",
            description="Mean duration of each step that succeeded; a point is one run, and leads to its trace.",
            width=6,
            empty=NO_RUN,
            leads=(ITS_TRACES, ITS_RUNS, WHEN_SLOW),
            queries=traced(mean(STEP, "target, probe, step", FLOW), "{{probe}} {{step}} ({{target}})"),
        ),
        graph(
            title="How slow are steps for the unlucky?",
            description="The 95th percentile of each step's duration; a point is one run, and leads to its trace.",
            width=6,
            empty=NO_RUN,
            leads=(ITS_TRACES, ITS_RUNS, WHEN_SLOW),
            queries=traced(quantile(0.95, STEP, "target, probe, step", FLOW), "{{probe}} {{step}} ({{target}})"),
        ),
    )


def _why() -> tuple[Panel, ...]:
    return (
        table(
            title="What was found to be the cause?",
            description="What the agent saw while a step was slow or failed: step, cause and how often.",
            unit="short",
            empty="nothing was slow or failed",
            when_fine=True,
            leads=(ITS_RUNS, ITS_RUNBOOK),
            queries=now(
                "sort_desc(sum by (target, probe, step, cause) "
                f"(increase(<quaywatch.probe.causes>{{{FLOW}}}[$__range])) > 0)"
            ),
        ),
        table(
            title="What failed, and for which reason?",
            description="Attempts that failed in the time shown. The agent's status page has each run, step by step,"
            " and what was kept of it.",
            unit="short",
            empty="no attempt failed",
            when_fine=True,
            leads=(ITS_RUNS, ITS_RUNBOOK),
            queries=now(
                "sort_desc(sum by (target, probe, step, reason) "
                f"(increase(<quaywatch.probe.failures>{{{FLOW}}}[$__range])) > 0)"
            ),
        ),
        graph(
            title="How did the runs end?",
            description="Runs a minute by outcome. Flaky ones succeeded when they were repeated.",
            unit="cpm",
            width=12,
            stacked=True,
            empty=NO_RUN,
            queries=rates(RUNS, "probe, outcome", FLOW, times="60 * ", every=RUN_EVERY),
        ),
        graph(
            title="Are runs repeated?",
            description="Attempts and runs a minute; more attempts than runs means that some were repeated.",
            unit="cpm",
            width=12,
            empty=NO_RUN,
            queries=tuple(
                Query(
                    rate(f"quaywatch.probe.{name}", "probe", FLOW, times="60 * "),
                    f"{{{{probe}}}} {name}",
                    every=RUN_EVERY,
                )
                for name in ("attempts", "runs")
            ),
        ),
    )


def _leftovers() -> tuple[Panel, ...]:
    return (
        stat(
            title="Has anything been left behind?",
            description="Records of past runs that could be erased and still stand, as the last sweep saw them.",
            steps=ANY_IS_BAD,
            queries=now(f"max by (target, probe) (<quaywatch.probe.residue>{{{FLOW}}})", "{{probe}} {{target}}"),
        ),
        stat(
            title="What can never be erased?",
            description="Records of the runs that Odoo does not let go, such as shipments that were done.",
            queries=now(f"max by (target, probe) (<quaywatch.probe.permanent>{{{FLOW}}})", "{{probe}} {{target}}"),
        ),
        stat(
            title="Did undoing fail?",
            description="Undo steps that failed or ran out of time in the time shown; the sweep comes after them.",
            unit="short",
            steps=ANY_IS_BAD,
            queries=now(
                f"sum by (target, probe) (increase(<quaywatch.probe.undo.failures>{{{FLOW}}}[$__range]))",
                "{{probe}} {{target}}",
            ),
        ),
    )
