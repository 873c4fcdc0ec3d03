"""Objectives: the file in the box, what is refused, and what budgets come to."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import alerts
import dashboards
from alerts import Flow, Objectives
from alerts.objectives import EdgeObjective, FlowObjective, Latency, Paging, Unsteady
from alerts.promises import decides
from otel_config.names import prometheus_name
from quaywatch.cli.levels import levels
from quaywatch.cli.registry import all_metrics
from quaywatch.config import load_record
from quaywatch.contract import Metric
from sandbox.parts.binaries import binaries
from tests.alerts.rendered import GENERAL, part

CATALOGUE = all_metrics()
FILE = Path(alerts.__file__).parent / "slo.yaml"
FLOW = Flow("prod", "erp", "order_create", 60)
RECOVERED = "quaywatch:recovery_in_point:ratio30d"


def rendered(objectives: Objectives, *flows: Flow) -> str:
    """The rules for these flows."""
    return alerts.render(CATALOGUE, prometheus_name, objectives=objectives, flows_run=flows)


def promising(**of_flows: float) -> Objectives:
    """Objectives that promise an availability of each probe."""
    return replace(Objectives(), flows={name: FlowObjective("critical", share) for name, share in of_flows.items()})


def test_the_file_in_the_box_says_the_defaults() -> None:
    """Whoever copies it and changes nothing gets the same rules; it leaves nothing out."""
    assert load_record(FILE, Objectives) == Objectives()
    assert set(yaml.safe_load(FILE.read_text())) == set(Objectives.__dataclass_fields__)


@pytest.mark.parametrize("every", [300, 900, 3600])
def test_a_promise_that_one_failure_breaks_is_refused(every: float) -> None:
    """The refusal names the flow and what would do, and what it says would do does."""
    flow = replace(FLOW, every=every)
    with pytest.raises(alerts.ObjectiveError, match=r"flows\.order_create\.availability: 99\.9 %") as told:
        rendered(promising(order_create=99.9), flow)
    advice = re.search(r"run it every (\d+) s or more often, or promise ([\d.]+) %", str(told.value))
    assert advice
    assert rendered(promising(order_create=99.9), replace(flow, every=float(advice[1])))
    assert rendered(promising(order_create=float(advice[2])), flow)


def test_what_is_promised_of_an_interval_that_can_tell_is_taken() -> None:
    """99.9 % of a flow that runs every minute is fine."""
    assert rendered(promising(order_create=99.9), FLOW)


def test_one_failure_never_pages() -> None:
    """Nor can it be asked for."""
    with pytest.raises(ValueError, match="failures: one failure would alarm"):
        Paging(1, 5)
    with pytest.raises(ValueError, match="runs: 3 of 2 cannot be"):
        Paging(3, 2)


def test_a_flow_that_runs_seldom_makes_a_ticket_of_fewer_failures() -> None:
    """The window of each interval is that of its own entry; some entry is for flows that run often."""
    windows = {}
    for every in (60, 120, 300, 900):
        text = rendered(Objectives(), replace(FLOW, every=every))
        (unsteady,) = (rule for rule in all_rules(text) if rule.get("alert") == "FlowUnsteady")
        (windows[every],) = re.findall(r"\[(\d+)s\]\)\) > ([\d.]+)", unsteady["expr"])
    assert windows == {60: ("1800", "4.24"), 120: ("1800", "2.24"), 300: ("1800", "1.3"), 900: ("5400", "1.3")}
    with pytest.raises(ValueError, match="tickets: none is for flows that run often"):
        Objectives(tickets=(Unsteady(2, 6, 300),))


def test_a_flow_of_which_nothing_is_promised_is_refused() -> None:
    """Nobody forgets one."""
    with pytest.raises(alerts.ObjectiveError, match="no pattern fits order_create"):
        rendered(promising(login=99), FLOW)


def test_a_latency_that_no_bucket_is_for_is_refused() -> None:
    """The rule could never fire."""
    flows = {"*": FlowObjective(latency=Latency(7, 95))}
    with pytest.raises(alerts.ObjectiveError, match=r"flows\.\*\.latency\.within: runs are not counted by 7 s; one of"):
        rendered(replace(Objectives(), flows=flows))


def test_a_latency_that_traefik_does_not_count_by_is_refused() -> None:
    """What takes longer could only be guessed; with the bucket it is taken, and services that are to wait are not."""
    with pytest.raises(ValueError, match=r"latency: 2 s is no bound of Traefik's; one of 0\.1, 0\.3, 1\.2, 5 is"):
        EdgeObjective(latency=Latency(2, 95))
    edge = EdgeObjective(latency=Latency(2, 95), buckets=(0.5, 2), unhurried=("*poll*",))
    (slow,) = (
        rule for rule in all_rules(rendered(replace(Objectives(), edge=edge))) if rule.get("alert") == "EdgeSlow"
    )
    assert slow["expr"].count('service!~".*poll.*"') == 3
    assert 'le=~"2|2[.]0"' in slow["expr"]


def test_the_first_pattern_that_fits_decides_and_no_flow_is_of_two() -> None:
    """Each rule leaves out what an earlier pattern took."""
    flows = Objectives().flows
    assert decides(flows, "browser_portal_lookup") == "*portal_lookup"
    assert decides(flows, "order_create") == "*"
    text = rendered(Objectives(), replace(FLOW, probe="portal_lookup"), FLOW)
    failing = [rule for rule in all_rules(text) if rule.get("alert") == "FlowFailing"]
    assert [rule["labels"]["tier"] for rule in failing] == ["standard", "critical"]
    assert 'probe=~".*portal_lookup"' in failing[0]["expr"]
    assert 'probe!~".*portal_lookup"' in failing[1]["expr"]


def all_rules(text: str) -> list[dict[str, Any]]:
    """Every rule of a rule file."""
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_who_is_woken_is_as_the_tier_says() -> None:
    """A flow that is slow pages as one that fails, backups wait; and each has a tier of its own for other habits."""
    usual = Objectives()
    assert severities(usual) == {"FlowSlow": {"page"}, "BackupTooOld": {"ticket"}, "CronsDeactivated": {"ticket"}}
    other = replace(
        usual,
        flows={"*": FlowObjective(slow="background")},
        business=replace(usual.business, deactivated="standard"),
        recovery=replace(usual.recovery, backups="standard"),
    )
    assert severities(other) == {"FlowSlow": {"ticket"}, "BackupTooOld": {"page"}, "CronsDeactivated": {"page"}}
    with pytest.raises(ValueError, match="recovery: backups: there is no tier golden; one of critical, standard"):
        replace(usual, recovery=replace(usual.recovery, backups="golden"))


def severities(objectives: Objectives) -> dict[str, set[str]]:
    """Of three alerts, as they are rendered."""
    wanted = ("FlowSlow", "BackupTooOld", "CronsDeactivated")
    every = [rule for rule in all_rules(rendered(objectives)) if rule.get("alert") in wanted]
    return {alert: {rule["labels"]["severity"] for rule in every if rule["alert"] == alert} for alert in wanted}


def test_a_resource_for_the_operator_holds_the_same_groups() -> None:
    """The same rules, in a PrometheusRule."""
    resource = yaml.safe_load(alerts.render(CATALOGUE, prometheus_name, resource="quaywatch"))
    assert (resource["kind"], resource["metadata"]["name"]) == ("PrometheusRule", "quaywatch")
    assert resource["spec"]["groups"] == yaml.safe_load(alerts.render(CATALOGUE, prometheus_name))["groups"]


def test_every_alert_leads_to_a_dashboard_that_exists() -> None:
    """With the variables that this one has."""
    boards = {
        json.loads(text)["uid"] for _, text in dashboards.render(CATALOGUE, prometheus_name, levels(Objectives()))
    }
    linked = {
        rule["annotations"]["dashboard_url"].removeprefix("/d/").partition("?")[0]
        for rule in all_rules(alerts.render(CATALOGUE, prometheus_name))
        if "alert" in rule
    }
    assert linked - boards == set()


def series(metric: Metric, value: str, **labels: str) -> dict[str, str]:
    """A series for promtool."""
    whole = {"environment": "prod", "target": "erp", "probe": "order_create", **labels}
    inside = ",".join(f'{name}="{text}"' for name, text in whole.items())
    return {"series": f"{prometheus_name(metric)}{{{inside}}}", "values": value}


def test_budgets_are_counted_against_what_was_to_run(tmp_path: Path) -> None:
    """Ten failures of a flow that runs each minute: nothing else need have run for the budget to be right."""
    (tmp_path / "rules.yml").write_text(rendered(Objectives(), FLOW))
    named = {metric.name: metric for metric in CATALOGUE}
    looks = {
        "quaywatch:flow_availability:ratio30d": 1 - 10 / 43200,
        "quaywatch:flow_budget_left:ratio30d": 1 - 10 / 432,
        "quaywatch:tier_budget_left:ratio30d": 1 - 10 / 432,
        "quaywatch:target_availability:ratio30d": 1 - 10 / 43200,
        "1000 * quaywatch:flow_measured:ratio30d": 1000 * 100 / 43200,
        "quaywatch:flow_burn_rate:ratio1d": 10 / 14.4,
    }
    test = {
        "interval": "1m",
        "input_series": [
            series(named["quaywatch.probe.interval"], "60x120"),
            series(named["quaywatch.probe.runs"], "0x30 10x90", outcome="failure"),
            series(named["quaywatch.probe.runs"], "0x10 90x110", outcome="success"),
            series(named["quaywatch.probe.runs"], "0x10 7x110", outcome="missed"),
        ],
        "promql_expr_test": [
            {"expr": f"round(sum({name}), 0.01)", "eval_time": "60m", "exp_samples": [{"value": round(value, 2)}]}
            for name, value in looks.items()
        ],
    }
    judge(tmp_path, test)


def judge(place: Path, test: dict[str, Any]) -> None:
    """Prometheus' own judge takes the test of the rules there."""
    content = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (place / "test.yml").write_text(yaml.safe_dump(content))
    run = subprocess.run(
        [binaries().promtool, "test", "rules", "test.yml"], cwd=place, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_standby_that_is_down_keeps_no_recovery_point(tmp_path: Path) -> None:
    """Down for three hours after one in good order: a quarter of the time was good, and not all that was measured.

    A primary that is down was no standby, and a standby that is no longer configured is not counted on.
    """
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": part(GENERAL, RECOVERED)}))
    named = {metric.name: metric for metric in CATALOGUE}
    recovery, up = named["postgresql.recovery"], named["quaywatch.target.up"]
    courses: dict[str, tuple[str, str, list[float]]] = {
        "standby": ("1x59 stale", "1x59 0x180", [0.25]),
        "primary": ("0x59 stale", "1x59 0x180", []),
        "former": ("1x59 stale", "1x59 stale", [1.0]),
    }
    test = {
        "interval": "1m",
        "input_series": [
            one
            for target, (role, answers, _) in courses.items()
            for one in (series(recovery, role, target=target), series(up, answers, target=target, kind="postgres"))
        ],
        "promql_expr_test": [
            {
                "expr": f'round(sum({RECOVERED}{{target="{target}"}}), 0.05)',
                "eval_time": "4h",
                "exp_samples": [{"value": value} for value in told],
            }
            for target, (_, _, told) in courses.items()
        ],
    }
    judge(tmp_path, test)
