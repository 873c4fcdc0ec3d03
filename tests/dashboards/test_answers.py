"""What panels answer, as Prometheus works it out of series that are given."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.parts.binaries import binaries
from tests.contract.test_dashboards import panels, rendered

Json = dict[str, Any]

CHOSEN = {"$environment": "production", "$__range": "3h", **{f"${name}": ".*" for name in ("job", "target", "probe")}}
"""What a reader chose at the top of a dashboard."""
EVERY = 15
"""Seconds between two samples, as the data source is told."""
RUN = 300
"""Seconds between two runs."""


@dataclass
class Store:
    """A store with series of its own, by name, labels and values in promtool's notation; and what it is asked."""

    directory: Path
    series: list[Json] = field(default_factory=list)
    looks: list[Json] = field(default_factory=list)

    def has(self, name: str, values: str, **labels: str) -> None:
        """Keep a series of the flow `login` of production on `erp`, unless its labels say otherwise."""
        whole = {"environment": "production", "target": "erp", "probe": "login", "job": "agent", **labels}
        inside = ",".join(f'{label}="{value}"' for label, value in whole.items() if value)
        self.series.append({"series": f"{name}{{{inside}}}", "values": values})

    def has_durations(self, values: str) -> None:
        """Keep how long the flow's runs and its one step took, all within a second; all parts have these values."""
        for name in ("quaywatch_probe_duration_seconds", "quaywatch_probe_step_duration_seconds"):
            for part, bound in (("sum", ""), ("count", ""), ("bucket", "1"), ("bucket", "+Inf")):
                self.has(f"{name}_{part}", values, step="login", le=bound)

    def answers(self, expression: str, at: str, samples: Mapping[str, float]) -> None:
        """Expect these values by their labels, and no others, at a moment."""
        wanted = [{"labels": labels, "value": value} for labels, value in samples.items()]
        self.looks.append({"expr": expression, "eval_time": at, "exp_samples": wanted})

    def judge(self) -> None:
        """See that it answers as expected."""
        test = {"interval": f"{EVERY}s", "input_series": self.series, "promql_expr_test": self.looks}
        (self.directory / "test.yml").write_text(yaml.safe_dump({"tests": [test]}))
        argv = [str(binaries().promtool), "test", "rules", "test.yml"]
        run = subprocess.run(argv, cwd=self.directory, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr


def asked(board: str, title: str) -> str:
    """The one query of a panel, as Grafana sends it."""
    (panel,) = [one for one in panels(rendered()[f"{board}.json"]) if one["title"] == title]
    (target,) = panel["targets"]
    return sent(target["expr"], target.get("interval", ""))


def sent(expression: str, interval: str = "") -> str:
    """The query as Grafana sends it; its window of rates is four times the interval of the query or the data source."""
    minutes = re.fullmatch(r"(\d+)m", interval)
    window = 4 * (60 * int(minutes[1]) if minutes else EVERY)
    for variable, value in {**CHOSEN, "$__rate_interval": f"{window}s"}.items():
        expression = expression.replace(variable, value)
    return expression


def test_what_is_down_here_is_not_hidden_by_what_is_up_elsewhere(tmp_path: Path) -> None:
    """A flow that fails in production is a NO, although the same flow of a target of that name works in staging."""
    store = Store(tmp_path)
    store.has("quaywatch_probe_success", "0x20")
    store.has("quaywatch_probe_success", "1x20", environment="staging")
    works = asked("quaywatch-can-we-ship", "Does each flow work now?")
    store.answers(works, "5m", {'{target="erp", probe="login"}': 0})
    store.judge()


@pytest.mark.parametrize(
    ("board", "title"),
    [
        ("quaywatch-can-we-ship", "Which step takes the time?"),
        ("quaywatch-can-we-ship", "How slow is a run for the unlucky?"),
        ("quaywatch-flow", "How slow is a run for the unlucky?"),
        ("quaywatch-flow", "How long does each step take?"),
        ("quaywatch-flow", "How slow are steps for the unlucky?"),
    ],
)
def test_a_flow_that_runs_every_five_minutes_is_timed_at_every_moment(board: str, title: str, tmp_path: Path) -> None:
    """What its runs took is there at whatever moment a reader looks, not only just after a run."""
    store = Store(tmp_path)
    counted = " ".join(f"{run}x{RUN // EVERY - 1}" for run in range(12))
    store.has_durations(counted)
    for seconds in range(2 * RUN, 4 * RUN, 60):
        store.answers(f"count({asked(board, title)} > 0)", f"{seconds}s", {"{}": 1})
    store.judge()


def test_alerts_are_marked_that_tell_of_something_here(tmp_path: Path) -> None:
    """Not the sign of life that always fires, nor what others or other environments have; that no agent is heard is."""
    store = Store(tmp_path)
    ours = {"alertstate": "firing", "alert_role": "symptom", "severity": "page"}
    nowhere = {"environment": "", "target": "", "probe": ""}
    store.has("ALERTS", "1x20", alertname="FlowFailing", **ours)
    store.has("ALERTS", "1x20", alertname="AgentAbsent", **ours | nowhere)
    store.has("ALERTS", "1x20", alertname="FlowSlow", **ours | {"environment": "staging"})
    store.has("ALERTS", "1x20", alertname="FlowFlaky", **ours | {"alertstate": "pending"})
    store.has("ALERTS", "1x20", alertname="Watchdog", **ours | nowhere | {"severity": "none"})
    store.has("ALERTS", "1x20", alertname="KubePodCrashLooping", **ours | {"environment": "", "alert_role": ""})
    for board in rendered().values():
        (marked,) = [one["expr"] for one in board["annotations"]["list"] if one["name"] == "Alerts"]
        shown = ('alertname="FlowFailing", severity="page", target="erp"', 'alertname="AgentAbsent", severity="page"')
        store.answers(sent(marked), "5m", {f"{{{labels}}}": 1 for labels in shown})
    store.judge()


@pytest.mark.parametrize("board", ["quaywatch-can-we-ship", "quaywatch-flow"])
def test_the_first_row_turns_red_while_a_flow_is_not_run(board: str, tmp_path: Path) -> None:
    """However often each flow runs: after three of its intervals, although its last run was a success."""
    title = "How long since the last success?"
    (panel,) = [one for one in panels(rendered()[f"{board}.json"]) if one["title"] == title]
    assert panel["gridPos"]["y"] == 1
    assert [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 3]
    store = Store(tmp_path)
    for probe, every in (("login", 60), ("label_print", 300)):
        store.has("quaywatch_probe_last_success_time_seconds", "0x100", probe=probe)
        store.has("quaywatch_probe_interval_seconds", f"{every}x100", probe=probe)
    late, early = '{target="erp", probe="login"}', '{target="erp", probe="label_print"}'
    store.answers(asked(board, title), "300s", {late: 5, early: 1})
    store.judge()


@pytest.mark.parametrize("title", ["How slow is a run for the unlucky?", "How long does each step take?"])
def test_where_there_was_no_run_a_panel_is_empty(title: str, tmp_path: Path) -> None:
    """Rather than full of values that are no numbers: it then says that there was none."""
    store = Store(tmp_path)
    store.has_durations("7x200")
    store.answers(asked("quaywatch-flow", title), "45m", {})
    store.judge()
