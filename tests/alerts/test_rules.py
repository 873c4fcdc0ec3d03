"""The rule file: what the code renders, sound, and firing when it should."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import alerts
from alerts import Flow, Objectives
from alerts.objectives import Paging
from otel_config.names import prometheus_name
from quaywatch.contract import Metric
from quaywatch.runtime import catalogue as runtime
from sandbox.parts.binaries import binaries
from tests.alerts.case import Case, firing
from tests.alerts.cases import BRANCHES, CASES, HOUR
from tests.alerts.hurried import hurried
from tests.alerts.rendered import CATALOGUE, FLOW, FOR_FLOW, FOR_TARGET, GENERAL, names, part, rule_of, rules, text_of

HERE = Path(__file__).parent
ROOM = Path(alerts.__file__).parent
MINUTE = 60
OF_DAYS, FASTER, COARSER = "days", 20, 5
"""Cases over days, of which vmalert would look at too many steps: how much faster and more coarsely they are tried."""
RULES = ROOM / "rules" / "quaywatch.yml"
OTHER_FLOW = Flow("FlowAbsent", "erp-west", "order_create", 60)
OF_FIVE = alerts.render(CATALOGUE, prometheus_name, objectives=replace(Objectives(), pages=Paging(3, 5)))

File = dict[str, Any]
"""A file of promtool's, or a test in one."""


@pytest.fixture(scope="module")
def promtool() -> Path:
    """Prometheus' own judge of rules."""
    return binaries().promtool


def judge(*words: Path | str, cwd: Path = HERE) -> None:
    """Run a program that explains itself when it disagrees."""
    run = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_checked_in_file_is_what_the_code_renders() -> None:
    """Nobody edited it by hand, nor changed a rule and forgot it; every metric it names exists."""
    assert RULES.read_text() == alerts.render(CATALOGUE, prometheus_name)


@pytest.mark.parametrize(
    ("flows_run", "targets"),
    [((), {}), ((FLOW, OTHER_FLOW), {"erp": "odoo", "cache": "redis"})],
    ids=["general", "for a configuration"],
)
def test_prometheus_takes_the_rules(
    flows_run: tuple[Flow, ...], targets: dict[str, str], promtool: Path, tmp_path: Path
) -> None:
    """Syntax, templates and duplicates."""
    file = tmp_path / "rules.yml"
    file.write_text(
        alerts.render(CATALOGUE, prometheus_name, flows_run=flows_run, environment=FLOW.environment, targets=targets)
    )
    judge(promtool, "check", "rules", "--lint-fatal", file)


def test_the_agents_of_an_environment_are_missed_whoever_else_is_heard(tmp_path: Path, promtool: Path) -> None:
    """One in staging masks none in production, where the rules know of production."""
    series = {f'quaywatch_start_time_seconds{{environment="{name}"}}': "5x60" for name in ("staging", "TargetAbsent")}
    series['quaywatch_start_time_seconds{environment="TargetAbsent"}'] = "5x10 stale"
    looks = {"7m": [], "8m30s": [{"labels": '{environment="TargetAbsent",severity="page"}', "value": 1}]}
    fires = 'sum by (environment, severity) (ALERTS{alertname="AgentAbsent",alertstate="firing"})'
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": fires, "eval_time": at, "exp_samples": samples} for at, samples in looks.items()],
    }
    case = write(tmp_path, "absent", part(FOR_TARGET, "AgentAbsent"), [test])
    judge(promtool, "test", "rules", case.name, cwd=tmp_path)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the rules and the cases of each alert, and with the longer cases."""
    place = tmp_path_factory.mktemp("alerts")
    for alert, case in CASES.items():
        write(place, alert, part(text_of(alert), alert), case.tests(rule_of(alert)))
    for (alert, branch), case in BRANCHES.items():
        write(place, f"{alert}-{branch}", part(text_of(alert), alert), case.tests(rule_of(alert)))
    for file in HERE.glob("*.yml"):
        (place / f"{file.stem}.general").write_text(yaml.safe_dump({"groups": part(OF_FIVE, file.stem)}))
        shutil.copy(file, place)
    return place


def write(place: Path, name: str, groups: list[File], tests: list[File]) -> Path:
    """A rule file and the file of its tests."""
    (place / f"{name}.rules").write_text(yaml.safe_dump({"groups": groups}))
    every = max(15, *(int(test["interval"].removesuffix("s")) for test in tests))
    content = {"rule_files": [f"{name}.rules"], "evaluation_interval": f"{every}s", "tests": tests}
    file = place / f"{name}.case.yml"
    file.write_text(yaml.safe_dump(content, width=1_000_000))
    return file


@pytest.mark.parametrize("case", [*sorted(CASES), *map("-".join, BRANCHES)])
def test_an_alert_fires_when_it_should_and_only_then(case: str, written: Path, promtool: Path) -> None:
    """Prometheus itself: it does not fire yet, fires, resolves, and is silent without data unless it is about that."""
    judge(promtool, "test", "rules", f"{case}.case.yml", cwd=written)


@pytest.mark.parametrize("file", sorted(HERE.glob("*.yml")), ids=lambda file: file.stem)
def test_an_alert_is_right_in_longer_cases_too(file: Path, written: Path, promtool: Path) -> None:
    """Restarts, two agents in turn, single failures; and what the alert says."""
    judge(promtool, "test", "rules", file.name, cwd=written)


def test_an_outage_in_which_every_other_run_is_missed_pages(tmp_path: Path, promtool: Path) -> None:
    """A flow that hangs in its steps and again in their undoing overruns the next tick: 3 of 3 never fail then."""
    labels = '{environment="FlowFailing",target="erp",probe="order_create"%s}'
    every_other = " ".join([*["0"] * 20, *(str(number // 8 + 1) for number in range(80))])
    series = {"quaywatch_probe_interval_seconds" + labels % "": "60x100"}
    series |= {
        "quaywatch_probe_runs_total" + labels % f',outcome="{outcome}"': every_other
        for outcome in ("failure", "missed")
    }
    told = [{"labels": '{severity="page"}', "value": 1}]
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": firing("FlowFailing"), "eval_time": at, "exp_samples": samples}
            for at, samples in {"6m45s": [], "8m": told, "24m": told}.items()
        ],
    }
    case = write(tmp_path, "overrun", part(FOR_FLOW, "FlowFailing"), [test])
    judge(promtool, "test", "rules", case.name, cwd=tmp_path)


def test_victoriametrics_judges_alike(tmp_path: Path) -> None:
    """The same cases come out the same where VictoriaMetrics' vmalert evaluates the rules; days are made hours.

    Each test costs it a store of its own, so cases are tried side by side, each in an environment of its own; and what
    fires goes on firing in the next test of the file.
    """
    rows = defaultdict[str, dict[str, Case]](dict)
    for alert, case in CASES.items():
        if case.step > MINUTE:
            rows[OF_DAYS][alert] = case.hurried(FASTER, COARSER)
        else:
            rows["short" if length(alert) <= HOUR / 2 else f"long-{case.step}"][alert] = case
    rows["branches"] = {alert: case for (alert, _), case in BRANCHES.items()}
    files = []
    for name, cases in rows.items():
        groups = parts(cases) if name != OF_DAYS else list(hurried(parts(cases), FASTER, name))
        tests = side_by_side(case.tests(rule_of(alert)) for alert, case in cases.items())
        files.append(write(tmp_path, name, groups, tests))
    longer = sorted(HERE.glob("*.yml"))
    rest = [test for file in longer for test in yaml.safe_load(file.read_text())["tests"]]
    groups = part(OF_FIVE, *(file.stem for file in longer))
    files += [write(tmp_path, f"longer-{number}", groups, [test]) for number, test in enumerate(apart(rest))]
    for file in files:
        file.write_text(file.read_text().replace("promql_expr_test", "metricsql_expr_test"))
    words = [f"--files={file}" for file in files]
    judge(binaries().vmalert_tool, "unittest", "--disableAlertgroupLabel", *words, cwd=tmp_path)


def length(alert: str) -> float:
    """Seconds until the last look at its cases."""
    looks = [look for test in CASES[alert].tests(rule_of(alert)) for look in test["promql_expr_test"]]
    return max(float(look["eval_time"].removesuffix("s")) for look in looks)


def parts(wanted: Iterable[str]) -> list[File]:
    """The groups with these alerts, each out of the file that it is tried in."""
    by_text = defaultdict[str, list[str]](list)
    for alert in wanted:
        by_text[text_of(alert)].append(alert)
    found = [group for text, some in by_text.items() for group in part(text, *some)]
    return [{**group, "name": f"{group['name']}-{number}"} for number, group in enumerate(found)]


def side_by_side(cases: Iterable[list[File]]) -> list[File]:
    """The first tests of all cases as one, the second ones as another."""
    return [merged(tests) for tests in zip(*cases, strict=True)]


def merged(tests: Iterable[File]) -> File:
    """Tests as one, which they are when no series is of two of them."""
    first, *others = tests
    assert {test["interval"] for test in others} <= {first["interval"]}
    keys = ("input_series", "promql_expr_test")
    return {**first, **{key: [item for test in (first, *others) for item in test[key]] for key in keys}}


def apart(tests: Iterable[File]) -> Iterator[File]:
    """Tests as few: those that ask for values side by side, each in an environment of its own; the others as is."""
    plain = []
    for number, test in enumerate(tests):
        assert all(isinstance(series["values"], str) for series in test["input_series"]), (
            "0x9 is a number here: quote it"
        )
        if "alert_rule_test" in test:
            yield test
            continue
        text = yaml.safe_dump(test, width=1_000_000).replace('environment="prod"', f'environment="prod-{number}"')
        plain.append(yaml.safe_load(text.replace("ALERTS{", f'ALERTS{{environment="prod-{number}",')))
    yield merged(plain)


def test_every_alert_has_its_cases() -> None:
    """No alert without a row, no row without an alert."""
    assert set(CASES) == names(GENERAL) | names(FOR_FLOW) | names(FOR_TARGET)


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
    assert written - {"README"} == set(CASES)


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
    (failing,) = (rule for rule in rules(FOR_FLOW) if rule.get("alert") == "FlowFailing")
    assert set(re.findall(r"\[\w+\]", failing["expr"])) == {"[180s]"}


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
