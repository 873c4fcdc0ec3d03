"""The status page's document: its one sentence, its strips, and that nothing in it is taken for markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from quaywatch.contract import Outcome, Reason
from quaywatch.runtime import catalogue
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import Cause, Evidence, Trigger
from quaywatch.runtime.probing.suspicion import Finding
from quaywatch.runtime.web import History
from quaywatch.runtime.web.history import RUNS_KEPT, Status
from quaywatch.runtime.web.status_page import CONTENT_POLICY, render
from tests.unit.runtime.status_fakes import NOW, FrozenClock, numbers, quiet, record, troubled

EVIL = "<script>alert(1)</script>\"'&$version"
VOID = {"meta", "link", "br"}


class Reader(HTMLParser):
    """Reads the document; it must be well nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that holds nothing."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Check that it closes the innermost tag."""
        assert self.open.pop() == tag

    def count(self, tag: str, **attributes: str) -> int:
        """How many tags have these attributes."""
        return sum(name == tag and attributes.items() <= have.items() for name, have in self.tags)


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that is set by hand."""
    return FrozenClock()


def headline(status: Status) -> str:
    """The page's one sentence."""
    found = re.search(r"<h1[^>]*>(.*?)</h1>", render(status))
    assert found
    return found[1]


def alone(status: Status) -> Status:
    """The status without the targets of another agent."""
    return replace(status, targets=tuple(target for target in status.targets if not target.elsewhere))


def test_every_run_is_a_cell_with_a_shape_of_its_own(clock: FrozenClock) -> None:
    """Outcomes differ by class, text and title, and places without a run are filled."""
    page = Reader(render(troubled(clock).status(numbers(clock))))
    assert page.count("li", **{"class": "failure"}) == 5
    assert page.count("li", **{"class": "invalid"}) == 7
    assert page.count("li", **{"class": "empty"}) == RUNS_KEPT - 9
    assert page.count("li", title="11:59:00 failure, 172 ms, confirm: timeout") == 1


@pytest.mark.parametrize(
    ("outcome", "badge", "trouble"),
    [
        (Outcome.FLAKY, "✓ passes, repeated", "Failed at first"),
        (Outcome.CLEANUP_FAILED, "◇ passes, not undone", "Could not be undone"),
    ],
)
def test_what_passed_and_was_not_well_is_said(outcome: Outcome, badge: str, trouble: str, clock: FrozenClock) -> None:
    """It counts as passed, has a look of its own, and the reason stands below."""
    history = History(clock, version="1")
    history.note_run(record(NOW, outcome, Reason.FAULT, message="it broke"))
    page = render(history.status(numbers(clock)))
    assert badge in page
    assert f"{trouble} 0 s ago, in step confirm (fault): it broke" in page
    assert Reader(page).count("li", **{"class": outcome.value}) == 1
    assert "1 of 1 passed" in page


def test_maintenance_is_neither_passed_nor_overdue(clock: FrozenClock) -> None:
    """A tick that was skipped is on the strip and is not counted among the runs."""
    history = History(clock, version="1")
    history.note_run(record(NOW - 60))
    history.note_run(replace(record(NOW), outcome=Outcome.SKIPPED, steps=()))
    page = render(history.status(numbers(clock)))
    assert '<span class="badge none">maintenance</span>' in page
    assert "1 of 1 passed" in page


def test_the_cause_of_trouble_is_said(clock: FrozenClock) -> None:
    """With how sure it is and what was seen; nothing in it is taken for markup. A slow run that passed has one too."""
    history = quiet(clock)
    evidence = Evidence(Cause.LOCK_WAIT, 0.9, ("process <4312> holds it",))
    history.note_run(replace(record(NOW), findings=(Finding("confirm", Trigger.SLOW, evidence),)))
    page = render(history.status(numbers(clock)))
    assert "Was slow 0 s ago<br>Likely cause: <b>lock wait</b> (90%). process &lt;4312&gt; holds it" in page


def test_steps_are_bars_one_after_the_other(clock: FrozenClock) -> None:
    """The last run's steps and undo steps stand in order, and their bars do not leave the track."""
    page = Reader(render(quiet(clock).status(numbers(clock))))
    bars = [have for tag, have in page.tags if tag == "rect" and have.get("class") != "track"]
    edges = [(float(bar["x"] or 0), float(bar["x"] or 0) + float(bar["width"] or 0)) for bar in bars[:5]]
    assert edges[0][0] == 0
    assert edges[-1][1] == pytest.approx(100, abs=0.7)
    assert all(edges[i][1] == pytest.approx(edges[i + 1][0], abs=0.7) for i in range(4))


@pytest.mark.parametrize(
    ("sentence", "status"),
    [
        ("All is well", lambda clock: alone(quiet(clock).status(numbers(clock)))),
        (
            "All is well here, 1 target is watched by another agent",
            lambda clock: quiet(clock).status(numbers(clock)),
        ),
        ("1 flow fails, 1 target is down", lambda clock: troubled(clock).status(numbers(clock))),
        ("1 reading fails", lambda clock: quiet(clock).status(numbers(clock, lost=True))),
        ("No target yet", lambda clock: History(clock, version="1").status([])),
    ],
)
def test_the_sentence_names_the_worst(sentence: str, status: object, clock: FrozenClock) -> None:
    """Whoever reads no further still knows."""
    assert callable(status)
    assert headline(status(clock)) == sentence


def test_a_flow_that_could_not_be_tested_is_not_called_broken(clock: FrozenClock) -> None:
    """A wrong password is said as such, not as a failing flow."""
    history = quiet(clock)
    history.note_run(record(NOW, Outcome.INVALID, Reason.AUTH, message="refused"))
    assert headline(history.status(numbers(clock))) == "1 flow cannot be tested"


def test_a_flow_that_no_longer_runs_is_overdue(clock: FrozenClock) -> None:
    """Three intervals without a run are no good news, although the last run passed."""
    history = quiet(clock)
    clock.now += 181
    assert "◇ overdue" in render(history.status(numbers(clock)))


def test_what_another_agent_does_is_not_missed_here(clock: FrozenClock) -> None:
    """A target whose lease is elsewhere is neither down nor overdue."""
    status = quiet(clock).status(numbers(clock))
    elsewhere = replace(status, targets=tuple(replace(target, held=False, up=None) for target in status.targets))
    page = render(elsewhere)
    assert "watched by another agent" in page
    assert "run by another agent" in page
    assert headline(elsewhere) == "Another agent watches; nothing is known here"


def test_a_standby_claims_nothing(clock: FrozenClock) -> None:
    """An agent that holds no lease has neither probes nor readings, and says whose they are."""
    meter = Instruments("", clock)
    for target in ("erp", "erp-db"):
        meter.set(catalogue.LEASE_HELD, 0, target)
    page = render(History(clock, version="1").status(meter.series()))
    assert "Another agent watches; no flow is known here." in page
    assert "Another agent watches; no reading is known here." in page
    assert not re.search("All is well|No probe is configured|Nothing was read yet", page)


def test_an_agent_that_acts_without_its_lease_shows_its_own_runs(clock: FrozenClock) -> None:
    """While the leases are away an agent goes on acting: what it sees is its own."""
    status = quiet(clock).status(numbers(clock))
    page = render(replace(status, targets=tuple(replace(target, held=False) for target in alone(status).targets)))
    assert "another agent" not in page
    assert "✓ passes" in page


def test_every_text_is_escaped(clock: FrozenClock) -> None:
    """Names and messages from outside are text, whatever they hold."""
    history = History(clock, version=EVIL)
    history.note_state(EVIL, up=False, reason=Reason.FAULT, message=EVIL)
    history.note_run(record(NOW, Outcome.FAILURE, Reason.FAULT, target=EVIL, probe=EVIL, message=EVIL))
    page = render(history.status(numbers(clock)))
    assert page.count("<script") == 0
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;$version" in page
    assert Reader(page).count("article", **{"data-flow": EVIL}) == 1


def test_the_page_brings_everything_itself(clock: FrozenClock) -> None:
    """No address of anything, no script, no inline style that the policy would refuse; the policy allows no more."""
    page = render(troubled(clock).status(numbers(clock)))
    reader = Reader(page)
    assert reader.count("script") == 0
    assert [have for _, have in reader.tags if "style" in have or "src" in have] == []
    assert [have["href"] for _, have in reader.tags if "href" in have] == ["data:,"]
    assert "default-src 'none'" in CONTENT_POLICY


def test_the_agents_own_troubles_are_said(clock: FrozenClock) -> None:
    """A refused configuration and unreachable leases stand at the top."""
    status = quiet(clock).status(numbers(clock))
    page = render(replace(status, config_ok=False, leases_reachable=False))
    assert "configuration on disk was refused" in page
    assert "leases cannot be reached: shared targets may be read by several agents" in page


def test_of_a_thousand_tenants_the_oldest_readings_are_shown(clock: FrozenClock) -> None:
    """Many tenants do not make the page long: what fails leads, then the oldest; the rest is a count."""
    meter = Instruments("", clock)
    for tenant in range(1000):
        meter.set(catalogue.SNAPSHOT_AGE, float(tenant), "erp-db", "odoo_queue", f"tenant_{tenant:03}")
    meter.set(catalogue.SCRAPE_SUCCESS, 0, "erp-db", "odoo_queue", "tenant_007")
    page = render(History(clock, version="1").status(meter.series()))
    shown = re.findall(r"tenant_\d{3}", page)
    assert shown == ["tenant_007", *(f"tenant_{tenant:03}" for tenant in range(999, 900, -1))]
    assert "1 of 1000 fail" in page
    assert "and 900 more<" in page
