"""The rule file: what the code renders, sound, and firing when it should."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import alerts
from alerts import Flow
from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics
from quaywatch.contract import Metric
from quaywatch.runtime import catalogue as runtime
from sandbox.parts.binaries import binaries

HERE = Path(__file__).parent
ROOM = Path(alerts.__file__).parent
RULES = ROOM / "rules" / "quaywatch.yml"
CATALOGUE = all_metrics()
FLOW = Flow("prod", "erp", "order_create", 60)
OTHER_FLOW = Flow("prod", "erp-west", "order_create", 60)
CASES = {"fires", "not yet", "resolves", "no data"}


@pytest.fixture(scope="module")
def promtool() -> Path:
    """Prometheus' own judge of rules."""
    return binaries().promtool


def rules(text: str) -> list[dict[str, Any]]:
    """Every rule of a rule file."""
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


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


@pytest.mark.parametrize("file", sorted(HERE.glob("*.yml")), ids=lambda file: file.stem)
def test_an_alert_fires_when_it_should_and_only_then(file: Path, promtool: Path, tmp_path: Path) -> None:
    """Prometheus itself evaluates the cases of the alert's file."""
    if "rendered.yml" in file.read_text():
        (tmp_path / "rendered.yml").write_text(alerts.render(CATALOGUE, prometheus_name, flows_run=[FLOW]))
        file = Path(shutil.copy(file, tmp_path))
    judge(promtool, "test", "rules", file.name, cwd=file.parent)


def test_victoriametrics_judges_alike(tmp_path: Path) -> None:
    """The same cases come out the same where VictoriaMetrics' own vmalert evaluates the rules."""
    (tmp_path / "rendered.yml").write_text(alerts.render(CATALOGUE, prometheus_name, flows_run=[FLOW]))
    for file in HERE.glob("*.yml"):
        text = file.read_text().replace("promql_expr_test", "metricsql_expr_test")
        (tmp_path / file.name).write_text(text.replace("../../alerts/rules/quaywatch.yml", str(RULES)))
    files = [f"--files={tmp_path / file.name}" for file in HERE.glob("*.yml")]
    judge(binaries().vmalert_tool, "unittest", "--disableAlertgroupLabel", *files, cwd=tmp_path)


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules(RULES.read_text())] + ["FlowAbsent"])
def test_every_alert_has_its_cases_and_its_runbook(alert: str) -> None:
    """It fires, does not fire yet, resolves and meets no data; and who is woken finds what to do."""
    tests = yaml.safe_load((HERE / f"{alert}.yml").read_text())["tests"]
    assert {test["name"] for test in tests} >= CASES
    headings = [line[3:] for line in (ROOM / "runbooks" / f"{alert}.md").read_text().splitlines() if line[:3] == "## "]
    assert headings == ["Meaning", "Impact", "Diagnosis", "Mitigation", "Escalation"]


def test_no_runbook_is_left_over() -> None:
    """A runbook without an alert is a trap."""
    written = {file.stem for file in (ROOM / "runbooks").glob("*.md")}
    assert written == {rule["alert"] for rule in rules(alerts.render(CATALOGUE, prometheus_name, flows_run=[FLOW]))}


@pytest.mark.parametrize("rule", rules(RULES.read_text()), ids=lambda rule: str(rule["alert"]))
def test_symptoms_page_and_causes_make_tickets(rule: dict[str, Any]) -> None:
    """Nobody is woken by a cause; labels are fixed, and the texts are complete."""
    labels = rule["labels"]
    assert (labels["severity"], labels["alert_role"]) in {("page", "symptom"), ("ticket", "cause")}
    assert labels["service"] in {"odoo", "quaywatch"}
    assert not [value for value in labels.values() if "{{" in value]
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}


def test_a_configuration_gets_windows_for_its_own_intervals() -> None:
    """Five runs of this flow take five minutes, and no window is wider."""
    (failing,) = (
        rule
        for rule in rules(alerts.render(CATALOGUE, prometheus_name, flows_run=[FLOW]))
        if rule["alert"] == "FlowFailing"
    )
    assert failing["expr"].count("increase(") == 1
    assert "[300s]" in failing["expr"]


def test_runbooks_may_lie_elsewhere() -> None:
    """The address of the directory is the user's."""
    text = alerts.render(CATALOGUE, prometheus_name, runbooks="https://wiki.example/oncall/")
    assert {rule["annotations"]["runbook_url"] for rule in rules(text)} >= {
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
