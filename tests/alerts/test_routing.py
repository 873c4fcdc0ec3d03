"""The configuration of Alertmanager: what the code renders, sound for every version, and complete."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import alerts
from alerts import Flow, Objectives, alertmanager
from alerts.alertmanager import Cases, Destination, Routing
from alerts.causes import LASTING
from quaywatch.cli import main
from quaywatch.config import load_record
from sandbox.parts.alertmanager import SUITES, programs
from tests.alerts.rendered import FOR_FLOW, FOR_TARGET, GENERAL, rules

ROOM = Path(alerts.__file__).parent / "alertmanager"
EXAMPLE = ROOM / "example"
CONFIGURATION = ROOM / "alertmanager.yml"
ROUTING = load_record(ROOM / "routing.yaml", Routing)
RULES = [rule for text in (GENERAL, FOR_FLOW, FOR_TARGET) for rule in rules(text) if "alert" in rule]
LABELS = ("severity", "alert_role", "service", "tier", "team")
KINDS = {tuple(rule["labels"][label] for label in LABELS): rule["alert"] for rule in RULES}
"""The labels by which alerts are routed, each set of them once, with an alert that has them."""
CASES = {file: load_record(file, Cases) for file in [*sorted((ROOM / "cases").iterdir()), EXAMPLE / "cases.yaml"]}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The configuration of the example with two tenants and windows."""
    out = tmp_path_factory.mktemp("example")
    words = ["-c", str(EXAMPLE / "quaywatch.yaml"), "--routing", str(EXAMPLE / "routing.yaml"), "--out", str(out)]
    assert main(["alertmanager", "render", *words]) == 0
    return (out / "alertmanager.yml").read_text()


def judged(suite: str, text: str, tmp_path: Path) -> str:
    """What the version of a Debian suite finds wrong; nothing when it takes the configuration."""
    file = tmp_path / "judged.yml"
    file.write_text(text)
    words = (str(programs(suite) / "amtool"), "check-config", str(file))
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr if run.returncode else ""


def test_the_checked_in_file_is_what_the_code_renders() -> None:
    """Nobody edited it by hand, nor changed the routing and forgot it."""
    assert alertmanager.render(ROUTING, Objectives()) == CONFIGURATION.read_text()


@pytest.mark.parametrize("suite", SUITES)
def test_every_version_takes_the_configuration(suite: str, example: str, tmp_path: Path) -> None:
    """Routes, inhibition and windows; 0.25 does not know `url_file` of webhooks, and says so."""
    for text in (CONFIGURATION.read_text(), example):
        assert ("field url_file not found" in judged(suite, text, tmp_path)) == (suite == "bookworm")
        assert judged(suite, text.replace("url_file: ", "url: http://outside.example"), tmp_path) == ""


@pytest.mark.parametrize("suite", SUITES)
def test_every_version_takes_every_receiver(suite: str, tmp_path: Path) -> None:
    """Those of the examples that no route names are sound as well."""
    names = [receiver["name"] for receiver in ROUTING.alertmanager["receivers"]]
    for name in names:
        text = alertmanager.render(replace(ROUTING, others=Destination(name, name)), Objectives())
        assert judged(suite, text.replace("url_file: ", "url: http://outside.example"), tmp_path) == ""


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_an_alert_reaches_the_receiver_of_its_team(kind: tuple[str, ...]) -> None:
    """Every alert of the rules: pages to a pager, tickets elsewhere, the Watchdog outside."""
    labels = {"alertname": KINDS[kind], **dict(zip(LABELS, kind, strict=True))}
    expected = {
        ("page", "logistics"): "logistics-pager",
        ("ticket", "logistics"): "logistics-chat",
        ("page", "platform"): "platform-pager",
        ("ticket", "platform"): "platform-mail",
        ("none", "platform"): "outside",
    }[labels["severity"], labels["team"]]
    words = [f"--verify.receivers={expected}", *(f"{name}={value}" for name, value in labels.items())]
    amtool = (programs() / "amtool", "config", "routes", "test", f"--config.file={CONFIGURATION}")
    run = subprocess.run([*amtool, *words], capture_output=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("file", CASES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_cases_have_the_labels_of_the_rules(file: Path) -> None:
    """What is proved of an alert in a case is proved of the alert that the rules make."""
    made = {(rule["alert"], *(rule["labels"][label] for label in LABELS)) for rule in RULES}
    ours = {name: labels for name, labels in CASES[file].alerts.items() if "team" in labels}
    strange = [name for name, given in ours.items() if tuple(map(given.get, ("alertname", *LABELS))) not in made]
    assert strange == []


def wait(configuration: str) -> str:
    """How long a ticket waits."""
    group_wait: str = yaml.safe_load(configuration)["route"]["group_wait"]
    return group_wait


@pytest.mark.parametrize(
    ("intervals", "waits"),
    [((), "5m"), ((60,), "5m"), ((300,), "16m"), ((60, 300, 21_600), "16m"), ((21_600,), "5m"), ((1180,), "60m")],
)
def test_a_ticket_waits_for_the_slowest_flow_that_pages_within_an_hour(intervals: tuple[int, ...], waits: str) -> None:
    """Three runs of it, and a minute; five minutes at least."""
    flows = [Flow("prod", "erp", "order_create", every) for every in intervals]
    assert wait(alertmanager.render(ROUTING, Objectives(), flows_run=flows)) == waits


def test_what_is_told_whatever_pages_are_causes_that_exist() -> None:
    """None is left over from an alert that was renamed."""
    causes = {rule["alert"] for rule in RULES if rule["labels"]["alert_role"] == "cause"}
    assert causes >= {*LASTING}


def test_a_flow_that_makes_tickets_is_not_waited_for() -> None:
    """Only a page explains causes."""
    tiers = {name: replace(tier, severity="ticket") for name, tier in Objectives().tiers.items()}
    flows = [Flow("prod", "erp", "order_create", 900)]
    assert wait(alertmanager.render(ROUTING, replace(Objectives(), tiers=tiers), flows_run=flows)) == "5m"


def test_without_a_dead_man_the_sign_of_life_goes_to_nobody() -> None:
    """It is no page, and no ticket."""
    read: dict[str, Any] = yaml.safe_load(alertmanager.render(replace(ROUTING, deadman=""), Objectives()))
    assert read["route"]["routes"][0]["receiver"] == "nobody"
    assert read["receivers"][-1] == {"name": "nobody"}


FAULTY = """\
routes:
  acme: {page: pager, ticket: desk}
  west: {tier: golden, team: nobody, page: pager, ticket: nowhere}
others: {page: pager, ticket: desk}
alertmanager:
  route: {}
  receivers:
    - name: pager
      pagerduty_configs:
        - routing_key: 0123456789
    - name: desk
      slack_configs:
        - api_url: https://hooks.example/0123456789
"""


def refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is said of a routing that is refused, line by line."""
    file = tmp_path / "routing.yaml"
    file.write_text(text)
    assert main(["alertmanager", "render", "--routing", str(file)]) == 2
    return capsys.readouterr().err.replace(f"{file}:", "").splitlines()


def test_a_faulty_routing_is_told_with_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody can be told by, what is rendered, what does not exist; and a secret is never repeated."""
    nobody = "it is not said whose alerts these are; tier, team, targets, databases or hosts is expected"
    assert refused(FAULTY, tmp_path, capsys) == [f"2: routes.acme: {nobody}"]
    text = FAULTY.replace("acme: {", "acme: {team: platform, ")
    own = "this is rendered, or not known; allowed are global, templates, receivers"
    assert refused(text, tmp_path, capsys) == [f"6: alertmanager.route: {own}"]
    secret = "a secret stands here; {}_file with the path of a file is expected"
    told = refused(text.replace("  route: {}\n", "  global: {}\n"), tmp_path, capsys)
    assert told == [
        "3: routes.west.team: the objectives have no team nobody; one of logistics, platform is expected",
        "3: routes.west.ticket: there is no receiver nowhere; one of pager, desk is expected",
        "3: routes.west.tier: the objectives have no tier golden; one of critical, standard, background is expected",
        f"10: alertmanager.receivers.0.pagerduty_configs.0.routing_key: {secret.format('routing_key')}",
        f"13: alertmanager.receivers.1.slack_configs.0.api_url: {secret.format('api_url')}",
    ]


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("discord_configs", "webhook_url"),
        ("msteams_configs", "webhook_url"),
        ("rocketchat_configs", "token_id"),
        ("wechat_configs", "api_secret"),
        ("telegram_configs", "bot_token"),
        ("tls_config", "key"),
    ],
)
def test_a_secret_in_a_receiver_is_refused(
    table: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever's it is, the file's place is named, and what stands there is not repeated."""
    receivers = f"[{{name: pager, {table}: {{{key}: 0123456789}}}}, {{name: desk}}]"
    text = f"others: {{page: pager, ticket: desk}}\nalertmanager:\n  receivers: {receivers}\n"
    (told,) = refused(text, tmp_path, capsys)
    assert told.endswith(f"{table}.{key}: a secret stands here; {key}_file with the path of a file is expected")


@pytest.mark.parametrize(
    ("receivers", "told"),
    [
        ("{}", "4: alertmanager.receivers: a list of receivers is expected"),
        ("[{}]", "4: alertmanager.receivers.0: a receiver with a name is expected"),
    ],
)
def test_receivers_must_be_a_list_of_names(
    receivers: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest of them is Alertmanager's to judge."""
    text = f"others: {{page: pager, ticket: desk}}\n\nalertmanager:\n  receivers: {receivers}\n"
    assert refused(text, tmp_path, capsys) == [told]
