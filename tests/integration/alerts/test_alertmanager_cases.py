"""Cases put to a real Alertmanager: routes, inhibition, maintenance windows, and the command that puts them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest
import yaml

import alerts
from alerts import Objectives, alertmanager
from alerts.alertmanager import Case, Cases, Event, Routing, Weekly, Window
from alerts.alertmanager.trial import Difference, play
from alerts.alertmanager.windows import DAYS
from quaywatch.cli import main
from quaywatch.config import load_record
from sandbox.parts.alertmanager import runnable
from sandbox.process import until

pytestmark = pytest.mark.timeout(600)
"""All may be played twice."""
ROOM = Path(alerts.__file__).parent / "alertmanager"
CONFIGURATION = ROOM / "alertmanager.yml"
EXAMPLE = ROOM / "example"
SPEED = 60.0
PATIENT = SPEED / 4
"""How many times faster than in life; and what did not hold then, as messages were late on a busy machine."""
AT_ONCE = 16
PAGE = {"alertname": "TargetDown", "severity": "page", "service": "odoo", "team": "platform", "environment": "prod"}
TARGETS = {
    **{name: {**PAGE, "target": name} for name in ("weekly", "once", "weekly-later", "once-later")},
    "staging": {**PAGE, "environment": "staging", "target": "erp"},
    "silence": {**PAGE, "alertname": "AgentAbsent", "environment": "staging"},
}

Labels = Mapping[str, Mapping[str, str]]
Play = tuple[Mapping[str, Any], Labels, Case]
"""A configuration, the alerts by their names, and a case."""
Title = tuple[str, str]
"""A file's name, and the title of a case in it."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Alertmanager as if it were installed."""
    return runnable(tmp_path_factory.mktemp("alertmanager"))


FILES = {
    ROOM / "cases" / "inhibition.yaml": "general",
    ROOM / "cases" / "routes.yaml": "general",
    EXAMPLE / "cases.yaml": "example",
}
"""The files of cases, and which configuration each of them is for."""
CASES = {(file.stem, title): case for file in FILES for title, case in load_record(file, Cases).cases.items()}
BY_CLOCK = ("clock", "windows by the clock")


@pytest.fixture(scope="module")
def results(program: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Title, list[Difference]]:
    """Every case, played side by side, and once more with patience where it did not hold: what differs."""
    out = tmp_path_factory.mktemp("example")
    words = ["-c", str(EXAMPLE / "quaywatch.yaml"), "--routing", str(EXAMPLE / "routing.yaml"), "--out", str(out)]
    assert main(["alertmanager", "render", *words]) == 0
    texts = {"general": CONFIGURATION.read_text(), "example": (out / "alertmanager.yml").read_text()}
    plays: dict[Title, Play] = {BY_CLOCK: (yaml.safe_load(around_now()), TARGETS, by_clock())}
    for file, configuration in FILES.items():
        names = load_record(file, Cases).alerts
        read = yaml.safe_load(texts[configuration])
        plays |= {title: (read, names, case) for title, case in CASES.items() if title[0] == file.stem}
    found = asyncio.run(all_played(program, plays, SPEED))
    again = {title: plays[title] for title, differences in found.items() if differences}
    return found | asyncio.run(all_played(program, again, PATIENT))


async def all_played(program: Path, plays: Mapping[Title, Play], speed: float) -> dict[Title, list[Difference]]:
    """Some at a time: the longest one decides how long it takes."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(configuration: Mapping[str, Any], names: Labels, case: Case) -> list[Difference]:
        async with places:
            return await play(program, configuration, names, case, speed)

    found = await asyncio.gather(*(one(*arguments) for arguments in plays.values()))
    return dict(zip(plays, found, strict=True))


def around_now() -> str:
    """A configuration with a weekly and a single window that are open now, and one of each that open in six hours.

    In another environment everything is worked on.
    """
    now = datetime.now(UTC)
    windows = [
        window
        for suffix, begins in (("", now - timedelta(hours=2)), ("-later", now + timedelta(hours=6)))
        for window in (
            Window(name=f"weekly{suffix}", environment="prod", targets=(f"weekly{suffix}",), weekly=hours(begins)),
            Window(
                name=f"once{suffix}",
                environment="prod",
                targets=(f"once{suffix}",),
                begins=begins,
                ends=begins + timedelta(hours=4),
            ),
        )
    ]
    windows.append(Window(name="all", environment="staging", begins=now - timedelta(hours=2)))
    return alertmanager.render(load_record(ROOM / "routing.yaml", Routing), Objectives(), windows=windows)


def hours(begins: datetime) -> Weekly:
    """Four hours of this day of the week, in a time zone that is not Alertmanager's own."""
    zone = ZoneInfo("Pacific/Auckland")
    local = begins.astimezone(zone)
    first = local.hour * 60 + local.minute
    return Weekly((DAYS[local.weekday()],), first, (first + 240) % 1440, zone)


def by_clock() -> Case:
    """All targets page at once, and that no agent is heard, which no window mutes."""
    return Case(
        happens=(Event(fires=tuple(TARGETS)),),
        told={"platform-pager": ("weekly-later", "once-later", "silence")},
        muted={"weekly": ("prod: weekly",), "once": ("prod: once",), "staging": ("staging: all",)},
        by_clock=True,
        until=60,
    )


@pytest.mark.parametrize("case", [*CASES, BY_CLOCK], ids=": ".join)
def test_a_case_holds(case: Title, results: Mapping[Title, Sequence[Difference]]) -> None:
    """Who is told, what is inhibited by what, and what is muted by which window, is what the case says."""
    assert results[case] == []


WRONG = """\
alerts:
  lock: {alertname: LockWaitLong, severity: ticket}
  flow: {alertname: FlowFailing, severity: page}
cases:
  it pages:
    happens: [{fires: [flow]}]
    told: {platform-pager: [flow]}
    until: 60
  it is silenced:
    happens: [{fires: [flow, lock]}]
    told: {platform-mail: [flow]}
    inhibited:
      lock: [flow]
    until: 60
"""


def test_the_command_says_which_case_does_not_hold_and_where(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It exits with 1, and names file, line, what was expected and what came instead."""
    file = tmp_path / "cases.yaml"
    file.write_text(WRONG)
    words = ["-f", str(CONFIGURATION), "--alertmanager", str(program), "--speed", str(PATIENT)]
    assert main(["alertmanager", "test", str(file), *words]) == 1
    case = "cases.it is silenced"
    assert capsys.readouterr().out.splitlines() == [
        "ok      it pages",
        "failed  it is silenced",
        f"{file}:11: {case}.told.platform-mail: told of flow is expected, and it was told of nothing",
        f"{file}:11: {case}.told.platform-pager: told of nothing is expected, and it was told of flow",
        f"{file}:13: {case}.inhibited.lock: inhibited by flow is expected, and it is by nothing",
        "cases: 2, failed: 1",
    ]


def test_a_command_that_is_ended_leaves_no_alertmanager(program: Path, tmp_path: Path) -> None:
    """SIGTERM ends it as Ctrl-C does."""
    file = tmp_path / "cases.yaml"
    file.write_text(WRONG)
    argv = ("alertmanager", "test", str(file), "-f", str(CONFIGURATION), "--alertmanager", str(program), "--speed", "1")
    command = f"import sys; from quaywatch.cli import main; sys.exit(main({argv!r}))"
    running = psutil.Popen([sys.executable, "-c", command])
    try:
        assert until(lambda: len(running.children()) == 2, within=60)
        children = running.children()
    finally:
        running.terminate()
        ended = running.wait(30)
    assert ended == 130
    assert [child for child in children if child.is_running()] == []


def test_a_configuration_that_alertmanager_refuses_is_told_in_its_own_words(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No case is to blame for it."""
    cases, broken = tmp_path / "cases.yaml", tmp_path / "alertmanager.yml"
    cases.write_text(WRONG)
    broken.write_text(CONFIGURATION.read_text().replace("receiver: logistics-chat", "receiver: nobody"))
    assert main(["alertmanager", "test", str(cases), "-f", str(broken), "--alertmanager", str(program)]) == 2
    assert capsys.readouterr().err.startswith(f"{broken}: Alertmanager does not start: ")


LONG = "printf '%0200000d\\n' 0 >&2"
"""Says a line of 200,000 digits, as a refused batch of alerts may make one."""


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'msg=\"Listening on\" address=127.0.0.1:1' >&2", "Alertmanager does not answer: "),
        ("echo it is too old >&2", "Alertmanager does not start: it is too old"),
        (f"{LONG}; echo it is too old >&2", "Alertmanager does not start: it is too old"),
        (f"echo 'msg=\"Listening on\" address=127.0.0.1:1' >&2; {LONG}; {LONG}", "Alertmanager does not answer: "),
        ("", "Alertmanager does not start: it says nothing"),
        (None, "alertmanager cannot be started: Permission denied"),
    ],
)
def test_a_program_that_does_not_serve_is_told(
    script: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no defect of ours, and nothing waits for it."""
    program = tmp_path / "alertmanager"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o644 if script is None else 0o755)
    (line,) = said(WRONG, tmp_path, capsys, "-f", str(CONFIGURATION), "--alertmanager", str(program))
    assert told in line


def test_alerts_that_cannot_be_told_apart_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Alertmanager knows alerts by their labels alone."""
    text = WRONG.replace("alertname: FlowFailing, severity: page", "severity: ticket, alertname: LockWaitLong")
    assert said(text, tmp_path, capsys) == ["cases.yaml:3: alerts.flow: it has the labels of lock; others are expected"]


UNKNOWN = """\
alerts:
  lock: {alertname: LockWaitLong}
cases:
  one:
    happens:
      - {fires: [nothing]}
      - {after: 10}
  two:
    happens: [{fires: [lock], after: 60}]
    told:
      nobody: [lock]
    muted: {lock: [sunday]}
    until: 10
"""


def said(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[str]:
    """What is said of cases that are refused, line by line."""
    file = tmp_path / "cases.yaml"
    file.write_text(text)
    assert main(["alertmanager", "test", str(file), *(more or ("-f", str(CONFIGURATION)))]) == 2
    return capsys.readouterr().err.replace(f"{tmp_path}/", "").splitlines()


def test_faulty_cases_are_told_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], program: Path
) -> None:
    """First what a case cannot mean, then what it names and is not there."""
    known = ("-f", str(CONFIGURATION), "--alertmanager", str(program))
    assert said(UNKNOWN, tmp_path, capsys, *known) == [
        "cases.yaml:7: cases.one.happens.1: nothing happens; fires or resolves is expected",
        "cases.yaml:13: cases.two.until: 10 is out of range; at least 60 is expected",
    ]
    text = UNKNOWN.replace("{after: 10}", "{resolves: [lock]}").replace("until: 10", "until: 70")
    receivers = "logistics-pager, logistics-chat, platform-pager, platform-mail, outside"
    assert said(text, tmp_path, capsys, *known) == [
        "cases.yaml:6: cases.one.happens.0: there is no alert nothing; one of lock is expected",
        f"cases.yaml:11: cases.two.told.nobody: there is no receiver nobody; one of {receivers} is expected",
        "cases.yaml:12: cases.two.muted.lock: there is no time interval sunday; none is expected",
    ]


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ("route: [", "other.yml:1: this is not YAML: "),
        ("route: {}\n", "other.yml: this is no configuration of Alertmanager"),
        ("- 1\n", "other.yml: this is no configuration of Alertmanager"),
        ("route: {group_wait: soon}\nreceivers: []\n", "other.yml: 'soon' is no duration; one such as 5m is expected"),
        (None, "other.yml: cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_configuration_is_refused(
    configuration: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], program: Path
) -> None:
    """Before anything is started."""
    other = tmp_path / "other.yml"
    if configuration is not None:
        other.write_text(configuration)
    lines = said(WRONG, tmp_path, capsys, "-f", str(other), "--alertmanager", str(program))
    assert lines[0].startswith(told)


def test_without_alertmanager_it_is_said_how_to_name_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for under its own name and Debian's."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert said(WRONG, tmp_path, capsys) == [
        "there is no alertmanager or prometheus-alertmanager on PATH (name the program with --alertmanager)"
    ]
