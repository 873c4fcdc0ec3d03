"""The rule file: what the code renders, sound, and firing when it should."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import alerts
from alerts import Flow, Objectives
from alerts.objectives import Paging
from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics
from quaywatch.contract import Metric
from quaywatch.runtime import catalogue as runtime
from sandbox.parts.binaries import binaries
from tests.alerts.cases import CASES

HERE = Path(__file__).parent
ROOM = Path(alerts.__file__).parent
MINUTE = 60
RECORDED = re.compile(r"quaywatch:[\w:]+")
RULES = ROOM / "rules" / "quaywatch.yml"
CATALOGUE = all_metrics()
FLOW = Flow("prod", "erp", "order_create", 60)
OTHER_FLOW = Flow("prod", "erp-west", "order_create", 60)
GENERAL = alerts.render(CATALOGUE, prometheus_name)
OF_FIVE = alerts.render(CATALOGUE, prometheus_name, objectives=replace(Objectives(), pages=Paging(3, 5)))
FOR_FLOW = alerts.render(CATALOGUE, prometheus_name, flows_run=[FLOW])


@pytest.fixture(scope="module")
def promtool() -> Path:
    """Prometheus' own judge of rules."""
    return binaries().promtool


@cache
def groups(text: str) -> list[dict[str, Any]]:
    """The groups of a rule file, to be read only."""
    read: list[dict[str, Any]] = yaml.safe_load(text)["groups"]
    return read


def rules(text: str) -> list[dict[str, Any]]:
    """Every rule of a rule file."""
    return [rule for group in groups(text) for rule in group["rules"]]


def names(text: str) -> set[str]:
    """The alerts of a rule file."""
    return {rule["alert"] for rule in rules(text) if "alert" in rule}


def judge(*words: Path | str, cwd: Path = HERE) -> None:
    """Run a program that explains itself when it disagrees."""
    run = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_checked_in_file_is_what_the_code_renders() -> None:
    """Nobody edited it by hand, nor changed a rule and forgot it; every metric it names exists."""
    assert RULES.read_text() == alerts.render(CATALOGUE, prometheus_name)


@pytest.mark.parametrize("flows_run", [(), (FLOW, OTHER_FLOW)], ids=["general", "for a configuration"])
def test_prometheus_takes_the_rules(flows_run: tuple[Flow, ...], promtool: Path, tmp_path: Path) -> None:
    """Syntax, templates and duplicates."""
    file = tmp_path / "rules.yml"
    file.write_text(alerts.render(CATALOGUE, prometheus_name, flows_run=flows_run))
    judge(promtool, "check", "rules", "--lint-fatal", file)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the rules and the cases of each alert, and with the longer cases."""
    place = tmp_path_factory.mktemp("alerts")
    for alert, case in CASES.items():
        text = FOR_FLOW if alert in names(FOR_FLOW) else GENERAL
        (place / f"{alert}.rules").write_text(yaml.safe_dump(part(text, alert)))
        (rule, *_) = (rule for rule in rules(text) if rule.get("alert") == alert)
        (place / f"{alert}.case.yml").write_text(yaml.safe_dump(case.tests(rule, f"{alert}.rules"), width=1_000_000))
    for file in HERE.glob("*.yml"):
        (place / f"{file.stem}.general").write_text(yaml.safe_dump(part(OF_FIVE, file.stem)))
        shutil.copy(file, place)
    return place


def part(text: str, alert: str) -> dict[str, Any]:
    """The groups of a rule file with this alert alone, and with what is recorded for it."""
    wanted = [rule for rule in rules(text) if rule.get("alert") == alert]
    for rule in wanted:  # grows while it is walked through
        named = set(RECORDED.findall(rule["expr"]))
        wanted += [other for other in rules(text) if other.get("record") in named and other not in wanted]
    kept = [{**group, "rules": [rule for rule in group["rules"] if rule in wanted]} for group in groups(text)]
    return {"groups": [group for group in kept if group["rules"]]}


@pytest.mark.parametrize("alert", sorted(CASES))
def test_an_alert_fires_when_it_should_and_only_then(alert: str, written: Path, promtool: Path) -> None:
    """Prometheus itself: it does not fire yet, fires, resolves, and is silent without data unless it is about that."""
    judge(promtool, "test", "rules", f"{alert}.case.yml", cwd=written)


@pytest.mark.parametrize("file", sorted(HERE.glob("*.yml")), ids=lambda file: file.stem)
def test_an_alert_is_right_in_longer_cases_too(file: Path, written: Path, promtool: Path) -> None:
    """Restarts, two agents in turn, single failures; and what the alert says."""
    judge(promtool, "test", "rules", file.name, cwd=written)


def test_victoriametrics_judges_alike(written: Path, tmp_path: Path) -> None:
    """The same cases come out the same where VictoriaMetrics' vmalert evaluates the rules, days left out."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    days = {f"{alert}.case.yml" for alert, case in CASES.items() if case.step > MINUTE}
    cases = [file for file in sorted(tmp_path.glob("*.yml")) if file.name not in days]
    for file in cases:
        file.write_text(file.read_text().replace("promql_expr_test", "metricsql_expr_test"))
    files = [f"--files={file}" for file in cases]
    judge(binaries().vmalert_tool, "unittest", "--disableAlertgroupLabel", *files, cwd=tmp_path)


def test_every_alert_has_its_cases() -> None:
    """No alert without a row, no row without an alert."""
    assert set(CASES) == names(GENERAL) | names(FOR_FLOW)


@pytest.mark.parametrize("alert", sorted(CASES))
def test_every_alert_has_its_runbook(alert: str) -> None:
    """Who is woken finds what to do, under the alert's own name."""
    lines = (ROOM / "runbooks" / f"{alert}.md").read_text().splitlines()
    assert lines[0] == f"# {alert}"
    assert [line[3:] for line in lines if line[:3] == "## "] == [
        "Meaning",
        "Impact",
        "Diagnosis",
        "Mitigation",
        "Escalation",
    ]


def test_no_runbook_is_left_over() -> None:
    """A runbook without an alert is a trap."""
    written = {file.stem for file in (ROOM / "runbooks").glob("*.md")}
    assert written == set(CASES)


@pytest.mark.parametrize("rule", [rule for rule in rules(GENERAL) if "alert" in rule], ids=str)
def test_no_cause_pages_and_every_alert_says_what_it_is(rule: dict[str, Any]) -> None:
    """Nobody is woken by a cause; labels are fixed, and the texts are complete."""
    labels = rule["labels"]
    assert labels["severity"] in {"page", "ticket", "none"}
    assert (labels["severity"], labels["alert_role"]) != ("page", "cause")
    assert labels["service"] in {"odoo", "recovery", "edge", "quaywatch"}
    assert labels["tier"] in alerts.Objectives().tiers
    assert labels["team"]
    assert not [value for value in labels.values() if "{{" in value]
    assert {*rule["annotations"]} - {"cause"} == {"summary", "description", "runbook_url", "dashboard_url"}


def test_a_configuration_gets_windows_for_its_own_intervals() -> None:
    """Three runs of this flow take three minutes, and no window is wider."""
    (failing,) = (
        rule
        for rule in rules(alerts.render(CATALOGUE, prometheus_name, flows_run=[FLOW]))
        if rule.get("alert") == "FlowFailing"
    )
    assert failing["expr"].count("increase(") == 1
    assert "[180s]" in failing["expr"]


def test_runbooks_may_lie_elsewhere() -> None:
    """The address of the directory is the user's."""
    text = alerts.render(CATALOGUE, prometheus_name, places=alerts.Places("https://wiki.example/oncall/"))
    assert {rule["annotations"]["runbook_url"] for rule in rules(text) if "alert" in rule} >= {
        "https://wiki.example/oncall/FlowFailing.md"
    }


def test_a_rule_on_a_metric_that_does_not_exist_cannot_be_rendered() -> None:
    """Row 37: a renamed metric is an error here, and not an alert that never fires."""
    with pytest.raises(ValueError, match=r"redis\.memory.utilization: no such metric"):
        alerts.render([metric for metric in CATALOGUE if metric.name != "redis.memory.utilization"], prometheus_name)


def test_a_rule_on_a_label_that_does_not_exist_cannot_be_rendered() -> None:
    """So is a renamed attribute."""
    runs = Metric("quaywatch.probe.runs", runtime.PROBE_RUNS.kind, "{run}", "Without outcome.", ("target", "probe"))
    others = [metric for metric in CATALOGUE if metric.name != runs.name]
    with pytest.raises(ValueError, match=r"quaywatch\.probe\.runs has no label outcome"):
        alerts.render([*others, runs], prometheus_name)
