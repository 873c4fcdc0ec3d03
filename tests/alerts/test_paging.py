"""The figures of paging: the simulation does as Prometheus does, and what it gives is bearable."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
import yaml

from alerts.objectives import Objectives
from bench.paging.__main__ import PAGE
from bench.paging.months import pages
from bench.paging.report import LOOKS, of_interval
from sandbox.parts.binaries import binaries
from tests.alerts.rendered import FOR_FLOW, part

EVERY = 60
SAMPLES = 4
"""In an interval."""
RUNS = 600
FIRING = 'count(ALERTS{alertname="%s",alertstate="firing"}) or vector(0)'


def test_the_default_interval_pages_seldom_and_in_time() -> None:
    """Twelve flows, a hundred months, the 95th percentile of false pages in all: at most 1, 3 and 10.

    An outage fires within three intervals and half a minute. A flow of which 30 % of the runs fail makes a ticket
    within half an hour, nine times out of ten. The page says the same figures.
    """
    line = of_interval(EVERY)
    few, some, many, fires, _page, ticket = line.strip("| ").split(" | ")[1:]
    assert (int(few) <= 1, int(some) <= 3, int(many) <= 10) == (True, True, True)
    assert float(fires.removesuffix(" s")) <= 3 * EVERY + 30
    assert float(ticket) >= 0.9
    assert line in PAGE.read_text()


def test_what_pages_is_looked_at_as_often_as_the_figures_say() -> None:
    """So often does Prometheus evaluate it."""
    (group,) = part(FOR_FLOW, "FlowFailing")
    assert group["interval"] == f"{LOOKS:.0f}s"


@pytest.mark.parametrize(("alert", "rate"), [("FlowFailing", 0.3), ("FlowUnsteady", 0.1)])
def test_the_simulation_pages_as_prometheus_does(alert: str, rate: float, tmp_path: Path) -> None:
    """Of the same ten hours of runs, the shipped rule in Prometheus itself begins to fire just as often."""
    chance = random.Random(1)  # noqa: S311 - no secret
    failed = [chance.random() < rate for _ in range(RUNS)]
    objectives = Objectives()
    rule = objectives.pages if alert == "FlowFailing" else objectives.tickets_of(EVERY)
    expected = pages((run for run, one in enumerate(failed) if one), rule, objectives.keep / EVERY)
    assert expected > 3
    recorded = {"name": "looks", "rules": [{"record": "fires", "expr": FIRING % alert}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [*part(FOR_FLOW, alert), recorded]}))
    (tmp_path / "test.yml").write_text(yaml.safe_dump(seen(failed, expected), width=10_000_000))
    judged = subprocess.run(
        [binaries().promtool, "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr


def seen(failed: list[bool], expected: int) -> dict[str, object]:
    """Promtool's test: these runs, and how often an alert has begun to fire in the end."""
    labels = '{environment="prod",target="erp",probe="order_create"%s}'
    counts, count = ["0"] * SAMPLES, 0
    for one in failed:
        count += one
        counts += [str(count)] * SAMPLES
    after = [str(count)] * 40 * SAMPLES
    step = EVERY // SAMPLES
    series = {
        f"quaywatch_probe_interval_seconds{labels % ''}": " ".join([str(EVERY)] * len(counts + after)),
        "quaywatch_probe_runs_total" + labels % ',outcome="failure"': " ".join(counts + after),
    }
    span = len(counts + after) * step
    look = {
        "expr": f"changes(fires[{span}s]) / 2",
        "eval_time": f"{span}s",
        "exp_samples": [{"labels": "{}", "value": expected}],
    }
    test = {
        "interval": f"{step}s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [look],
    }
    return {"rule_files": ["rules.yml"], "evaluation_interval": f"{step}s", "tests": [test]}
