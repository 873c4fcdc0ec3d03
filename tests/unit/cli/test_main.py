"""The command line's grammar, its exit codes and its errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from exporters import EXPORTERS
from quaywatch.cli import main
from quaywatch.cli.arguments import parser
from quaywatch.cli.completion import levels_of
from quaywatch.cli.main import explained
from quaywatch.cli.terminal import Console
from quaywatch.contract import TargetKind

CONFIGURATION = "environment: test\ninstallation: acme\ntargets: {cache: {kind: redis, host: cache}}\n"


@pytest.fixture
def good(tmp_path: Path) -> str:
    """A configuration with nothing wrong."""
    path = tmp_path / "good.yaml"
    path.write_text(CONFIGURATION)
    return str(path)


def grammars() -> list[tuple[str, ArgumentParser]]:
    """Every parser of the grammar by its program name, the top first."""
    found = [("quaywatch", parser())]
    for _, one in found:
        for action in one._actions:
            if action.choices and isinstance(action.choices, dict):
                found += [(below.prog, below) for below in action.choices.values()]
    return found


@pytest.mark.parametrize(("name", "grammar"), grammars(), ids=lambda value: value if isinstance(value, str) else "")
def test_help_explains_every_argument(name: str, grammar: ArgumentParser) -> None:
    """No argument stands there without a word, and the exit codes are told."""
    silent = [action.dest for action in grammar._actions if not action.help and not action.choices]
    assert silent == []
    assert f"usage: {name}" in grammar.format_help()
    assert "exit codes:" in grammar.format_help()
    assert [
        code for code in (0, 1, 2, 3, 130) if not re.search(rf"^  {code} ", grammar.format_help(), re.MULTILINE)
    ] == []


def test_help_stays_within_a_terminal() -> None:
    """No line of any help is wider than 100 columns."""
    wide = [line for _, grammar in grammars() for line in grammar.format_help().splitlines() if len(line) > 100]
    assert wide == []


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        ([], 2),
        (["nonsense"], 2),
        (["run", "--nonsense"], 2),
        (["config", "check", "-c", "nowhere.yaml"], 2),
        (["config", "example"], 0),
        (["config", "schema"], 0),
        (["list"], 0),
        (["rules"], 0),
        (["dashboards"], 0),
    ],
)
def test_exit_codes(argv: list[str], code: int) -> None:
    """0 for what was done, 2 for usage and configuration."""
    assert main(argv) == code


def test_a_good_configuration_is_told_to_be(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With how much it sets to work."""
    assert main(["config", "check", "-c", good]) == 0
    count = sum(exporter.on for exporter in EXPORTERS if exporter.reads is TargetKind.REDIS)
    assert capsys.readouterr().out == f"{good}: fine; targets: 1, exporters on them: {count}, probes on them: 0\n"


def test_a_check_looks_at_the_variables_of_otlp(
    good: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `run` would refuse is told before it is started."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")
    assert main(["config", "check", "-c", good]) == 2
    assert "environment: OTEL_EXPORTER_OTLP_ENDPOINT" in capsys.readouterr().err


def test_an_error_is_one_clean_line(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    """To standard error, without a traceback."""
    assert main(["once", "--target", "db", "-c", good]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "there is no target db (configured are cache)\n")


def test_debug_adds_the_traceback(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    """For whoever repairs it."""
    main(["once", "--debug", "--target", "db", "-c", good])
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_defect_has_a_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever nobody thought of is the agent's fault, and says so."""
    assert explained(ValueError("odd"), Namespace(debug=False), Console.standard({})) == 3
    assert capsys.readouterr().err.startswith("a defect of the agent: ValueError: odd")


@pytest.mark.parametrize("command", ["rules", "dashboards"])
def test_a_directory_that_cannot_be_made_is_a_usage_error(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is told which, and no defect is claimed."""
    (tmp_path / "file").write_text("")
    assert main([command, "--out", str(tmp_path / "file" / "below")]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path}/file/below/" in told
    assert "cannot be written: Not a directory (name a directory" in told


def test_a_full_disk_is_no_defect() -> None:
    """Output that cannot be written ends with one line and exit code 2."""
    program = str(Path(sys.executable).with_name("quaywatch"))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([program, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    told = "the output cannot be written: No space left on device (send it to where there is room)\n"
    assert done.stderr == told


def test_an_exporter_that_runs_nowhere_is_told_with_those_that_do(
    good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names of what could have been meant."""
    assert main(["once", "--exporter", "nix", "-c", good]) == 2
    allowed = sorted(one.name for one in EXPORTERS if one.on and one.reads is TargetKind.REDIS)
    assert f"nix runs on none of these targets (allowed: {', '.join(allowed)})" in capsys.readouterr().err


def test_help_lists_the_commands_once() -> None:
    """Each with its summary, and nowhere else as a list."""
    assert parser().format_help().count("sweep") == 1


def test_the_help_of_check_tells_how_a_role_is_made() -> None:
    """Databases are only known once the role can log in: the script is wanted twice."""
    (text,) = [grammar.format_help() for name, grammar in grammars() if name == "quaywatch check"]
    assert "two passes" in text


def test_rules_and_dashboards_are_written_as_files(good: str, tmp_path: Path) -> None:
    """Into a directory that is made if need be."""
    assert main(["rules", "-c", good, "--out", str(tmp_path / "new")]) == 0
    assert main(["dashboards", "--out", str(tmp_path / "new")]) == 0
    assert {path.suffix for path in (tmp_path / "new").iterdir()} == {".yml", ".json"}


def test_rules_for_a_configuration_miss_what_it_watches(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its targets, and the agents of its environment; rules for nobody's configuration know of neither."""
    wanted = (
        'quaywatch_target_up{environment="test", target="',
        'absent(quaywatch_start_time_seconds{environment="test"})',
    )
    assert main(["rules", "-c", good]) == 0
    told = capsys.readouterr().out
    assert [text for text in wanted if text not in told] == []
    assert main(["rules"]) == 0
    general = capsys.readouterr().out
    assert [text for text in wanted if text in general] == []


def test_rules_link_to_the_runbooks_where_they_are_published(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever is paged follows the link in the alert; a slash at the address's end changes nothing."""
    assert main(["rules", "--runbooks", "https://wiki.example.com/runbooks/"]) == 0
    links = re.findall(r"runbook_url: (.*)", capsys.readouterr().out)
    assert links
    assert [link for link in links if not re.fullmatch(r"https://wiki\.example\.com/runbooks/\w+\.md", link)] == []


FLOWS = """
environment: test
installation: acme
targets: {erp: {kind: odoo, url: "http://erp", database: erp, login: a, password: b}}
probes: {login: {targets: [erp]}}
telemetry: {http: {listen: "127.0.0.1:9999"}}
"""
EVERYBODYS = {"quaywatch-can-we-ship", "quaywatch-agent"}


@pytest.mark.parametrize(
    ("configuration", "about"),
    [
        (CONFIGURATION, {"quaywatch-redis"}),
        (FLOWS, {"quaywatch-flow", "quaywatch-slo"}),
    ],
    ids=["a Redis", "flows alone"],
)
def test_dashboards_fit_a_configuration(configuration: str, about: set[str], tmp_path: Path) -> None:
    """What shows nothing of this installation is left out and linked from nowhere, and its environment is chosen."""
    (tmp_path / "own.yaml").write_text(configuration)
    assert main(["dashboards", "-c", str(tmp_path / "own.yaml"), "--out", str(tmp_path / "made")]) == 0
    made = [json.loads(path.read_text()) for path in (tmp_path / "made").iterdir()]
    assert {one["uid"] for one in made} == EVERYBODYS | about
    for one in made:
        chosen = {variable["name"]: variable["current"].get("value") for variable in one["templating"]["list"]}
        assert chosen["environment"] == "test"
        led = {link["url"].split("/")[2].split("?")[0] for link in one["links"]}
        assert led == (EVERYBODYS | about) - {one["uid"]}


def test_the_flows_own_promise_is_where_their_dashboards_turn_red(tmp_path: Path) -> None:
    """Of the objectives those count that are for flows which the configuration runs."""
    (tmp_path / "own.yaml").write_text(FLOWS)
    (tmp_path / "slo.yaml").write_text("flows: {login: {availability: 80}, '*': {availability: 99.9}}")
    argv = ["dashboards", "--slo", str(tmp_path / "slo.yaml"), "--out", str(tmp_path / "made")]
    reds = []
    for more in ([], ["-c", str(tmp_path / "own.yaml")]):
        assert main([*argv, *more]) == 0
        board = json.loads((tmp_path / "made" / "quaywatch-slo.json").read_text())
        (panel,) = [one for one in board["panels"] if one["title"] == "How many runs did what users want?"]
        steps = [one["properties"][0]["value"]["steps"] for one in panel["fieldConfig"]["overrides"]]
        reds.append([round(one[-1]["value"], 6) for one in steps])
    assert reds == [[0.999, 0.8], [0.8]]


@pytest.mark.parametrize(
    ("more", "agent", "runbooks"),
    [
        ([], "http://127.0.0.1:9999", "alerts/runbooks"),
        (["--agent", "https://watch/", "--runbooks", "https://wiki/r/"], "https://watch", "https://wiki/r"),
    ],
)
def test_a_flows_dashboard_leads_to_the_agent_and_the_runbooks(
    more: list[str], agent: str, runbooks: str, tmp_path: Path
) -> None:
    """To where they are told to be; an agent on this machine is where its configuration lets it listen."""
    (tmp_path / "own.yaml").write_text(FLOWS)
    assert main(["dashboards", "-c", str(tmp_path / "own.yaml"), "--out", str(tmp_path), *more]) == 0
    board = json.loads((tmp_path / "quaywatch-flow.json").read_text())
    told = {one["name"]: one["query"] for one in board["templating"]["list"] if one["type"] == "textbox"}
    assert told == {"agent": agent, "runbooks": runbooks}


def test_every_place_of_the_grammar_can_be_completed() -> None:
    """Commands below commands, too."""
    paths = {" ".join(level.path): level.words for level in levels_of(parser(), {})}
    assert set(paths) >= {"", "run", "check", "config", "config check", "completion"}
    assert {"--config", "--target", "--sql"} <= set(paths["check"])
    assert {"exporters", "probes", "metrics", "--json"} <= set(paths["list"])


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "che",
        "config ",
        "config che",
        "check --s",
        "completion f",
        "once --format ",
        "once --exporter redis_m",
        "probe ",
    ],
)
def test_bash_completes_what_is_typed(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The script runs in a real bash and offers what the grammar has there."""
    main(["completion", "bash"])
    words = ["quaywatch", *re.split(r" +", typed)]
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f'COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _quaywatch; echo "${{COMPREPLY[@]}}"'
    script = capsys.readouterr().out + ask
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    expected = {
        "": {"run", "check", "probe", "--version"},
        "che": {"check"},
        "config ": {"check", "schema", "example"},
        "config che": {"check"},
        "check --s": {"--sql"},
        "completion f": {"fish"},
        "once --format ": {"table", "json", "prometheus"},
        "once --exporter redis_m": {"redis_memory"},
        "probe ": {"order_create"},
    }[typed]
    assert expected <= set(done.stdout.split())


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It names every command."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert [name for name in ("run", "check", "sweep", "completion", "redis_memory") if name not in script] == []
