"""The status page: one HTML document that a person on call reads on a phone. No script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template
from typing import Final

from quaywatch.contract import Outcome
from quaywatch.runtime.probing import PASSED, RunRecord, StepRecord

from .history import RUNS_KEPT, FlowStatus, SourceStatus, Status, TargetStatus

_TEMPLATE: Final = Template(files(__package__).joinpath("status.html").read_text(encoding="utf-8"))
_STYLE: Final = files(__package__).joinpath("status.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser may do with the page: show it with its own style, and nothing else."""

_OVERDUE_AFTER: Final = 3
"""Intervals without a run after which a flow is overdue."""
_READINGS_SHOWN: Final = 100
"""Readings of a target on the page at most: those that fail first, then the oldest. A server may have thousands."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TONES: Final = {
    Outcome.SUCCESS: "good",
    Outcome.FLAKY: "good",
    Outcome.FAILURE: "bad",
    Outcome.INVALID: "odd",
    Outcome.CLEANUP_FAILED: "odd",
    Outcome.SKIPPED: "none",
}
_WORDS: Final = {
    Outcome.SUCCESS: "✓ passes",
    Outcome.FLAKY: "✓ passes, repeated",
    Outcome.FAILURE: "✕ fails",
    Outcome.INVALID: "◇ cannot be tested",
    Outcome.CLEANUP_FAILED: "◇ passes, not undone",
    Outcome.SKIPPED: "maintenance",
}
_TROUBLE: Final = {
    Outcome.SUCCESS: "Was slow",
    Outcome.FLAKY: "Failed at first",
    Outcome.FAILURE: "Failed",
    Outcome.INVALID: "Could not be tested",
    Outcome.CLEANUP_FAILED: "Could not be undone",
}


def render(status: Status) -> str:
    """The whole document; every text in it is escaped."""
    tone, headline = _headline(status)
    return _TEMPLATE.substitute(
        title=escape(headline),
        style=_STYLE,
        state=tone,
        headline=escape(headline),
        asof=f"as of {_clock(status.now)} UTC",
        notices=_notices(status),
        flows=_flows(status),
        targets=_targets(status),
        sources=_sources(status),
        version=escape(status.version),
    )


# --- the top ----------------------------------------------------------------------------------------------------------


def _headline(status: Status) -> tuple[str, str]:
    """The tone, and the one sentence for somebody who reads no further."""
    tones = Counter(tone for tone, _ in _badges(status))
    down = [target for target in status.targets if target.up is False]
    if tones["bad"]:
        return "bad", _some(tones["bad"], "flow fails", "flows fail") + _and_down(down)
    if down:
        return "bad", _some(len(down), "target is down", "targets are down")
    if tones["odd"]:
        return "odd", _some(tones["odd"], "flow cannot be tested", "flows cannot be tested")
    unread = [source for source in status.sources if not source.ok]
    if unread:
        return "odd", _some(len(unread), "reading fails", "readings fail")
    return _well(status.targets)


def _well(targets: Sequence[TargetStatus]) -> tuple[str, str]:
    """Nothing known here is wrong, which says nothing of what another agent watches."""
    elsewhere = sum(target.elsewhere for target in targets)
    if not targets:
        return "odd", "No target yet"
    if elsewhere == len(targets):
        return "odd", "Another agent watches; nothing is known here"
    if elsewhere:
        watched = _some(elsewhere, "target is watched", "targets are watched")
        return "good", f"All is well here, {watched} by another agent"
    return "good", "All is well"


def _and_down(down: Sequence[TargetStatus]) -> str:
    return ", " + _some(len(down), "target is down", "targets are down") if down else ""


def _notices(status: Status) -> str:
    """What is wrong with the agent itself."""
    notices = []
    if not status.config_ok:
        notices.append("The configuration on disk was refused; the agent goes on with the one before. See its log.")
    if not status.leases_reachable:
        notices.append("The leases cannot be reached: shared targets may be read by several agents.")
    return "".join(f'<p class="card why odd">{escape(notice)}</p>' for notice in notices)


# --- flows ------------------------------------------------------------------------------------------------------------


def _flows(status: Status) -> str:
    if not status.flows:
        return _nothing("No probe is configured.", "no flow is known here.", status)
    badges = zip(status.flows, _badges(status), strict=True)
    return _LEGEND + "".join(_flow(flow, badge, status.now) for flow, badge in badges)


def _nothing(here: str, elsewhere: str, status: Status) -> str:
    """Why a list is empty."""
    return f'<p class="muted">{f"Another agent watches; {elsewhere}" if status.elsewhere() else here}</p>'


def _key(word: str, meaning: str) -> str:
    return f'<li><span class="strip" aria-hidden="true"><b class="{word}"></b></span>{meaning}</li>'


_LEGEND: Final = (
    '<ul class="legend muted">'
    + _key("success", "passed")
    + _key("failure", "failed")
    + _key("invalid", "could not be tested: our fault")
    + _key("flaky", "passed when repeated")
    + _key("cleanup_failed", "passed, could not be undone")
    + _key("skipped", "maintenance")
    + "</ul>"
)


def _badges(status: Status) -> list[tuple[str, str]]:
    elsewhere = status.elsewhere()
    return [
        ("none", "run by another agent") if flow.target in elsewhere else _badge(flow, status.now)
        for flow in status.flows
    ]


def _flow(flow: FlowStatus, badge: tuple[str, str], now: float) -> str:
    tone, word = badge
    return (
        f'<article class="card" data-flow="{escape(flow.probe)}">'
        f'<div class="head"><h3>{escape(flow.probe)}</h3><span class="muted">on {escape(flow.target)}</span>'
        f'<span class="badge {tone}">{word}</span></div>'
        f"{_strip(flow.runs)}{_ends(flow, now)}{_trouble(flow, now)}{_residue(flow)}{_steps(flow.runs)}"
        "</article>"
    )


def _badge(flow: FlowStatus, now: float) -> tuple[str, str]:
    """Tone and word for how the flow is now."""
    if not flow.runs:
        return "none", "not run yet"
    last = flow.runs[-1]
    if flow.every is not None and now - last.started > _OVERDUE_AFTER * flow.every + last.duration:
        return "odd", "◇ overdue"
    return _TONES[last.outcome], _WORDS[last.outcome]


def _strip(runs: Sequence[RunRecord]) -> str:
    empty = '<li class="empty"></li>' * (RUNS_KEPT - len(runs))
    return f'<ol class="strip" aria-label="last runs, oldest first">{empty}{"".join(_cell(run) for run in runs)}</ol>'


def _cell(run: RunRecord) -> str:
    what = f"{_clock(run.tick)} {run.outcome.value}, {_duration(run.duration)}"
    if run.reason is not None:
        what += f", {run.failed_step or 'before the first step'}: {run.reason.value}"
    return f'<li class="{run.outcome.value}" title="{escape(what)}"><span class="sr">{escape(what)}</span></li>'


def _ends(flow: FlowStatus, now: float) -> str:
    if not flow.runs:
        return ""
    passed = sum(run.outcome in PASSED for run in flow.runs)
    every = f"every {_span(flow.every)}, " if flow.every is not None else ""
    ran = sum(run.outcome is not Outcome.SKIPPED for run in flow.runs)
    return (
        f'<p class="ends muted"><span>{passed} of {ran} passed</span>'
        f"<span>{every}last {_span(now - flow.runs[-1].started)} ago</span></p>"
    )


def _trouble(flow: FlowStatus, now: float) -> str:
    """The last run in which something went wrong or slowly, while it is still on the strip."""
    bad = [run for run in flow.runs if run.reason is not None or run.findings]
    if not bad:
        return ""
    run = bad[-1]
    tone, word = _TONES[run.outcome], _TROUBLE[run.outcome]
    step = f", in step {escape(run.failed_step)}" if run.failed_step else ""
    reason = f" ({run.reason.value})" if run.reason else ""
    trace = f'<br><span class="muted">trace {escape(run.trace_id)}</span>' if run.trace_id else ""
    message = f": {escape(run.message)}" if run.message else ""
    what = f"{word} {_span(now - run.started)} ago{step}{reason}{message}"
    return f'<p class="why {tone}">{what}{_cause(run)}{trace}</p>'


def _cause(run: RunRecord) -> str:
    """What was found when the step was slow or failed."""
    if run.evidence is None:
        return ""
    cause, sure = run.evidence.cause.value.replace("_", " "), f"{run.evidence.confidence:.0%}"
    said = "; ".join(run.evidence.sentences)
    return f"<br>Likely cause: <b>{escape(cause)}</b> ({sure}). {escape(said)}"


def _residue(flow: FlowStatus) -> str:
    parts = []
    if flow.residue:
        parts.append(_some(flow.residue, "record", "records") + " of past runs could be erased and still stand")
    if flow.permanent:
        parts.append(_some(flow.permanent, "record", "records") + " cannot be erased")
    return f'<p class="why odd">{"; ".join(parts)}.</p>' if parts else ""


def _steps(runs: Sequence[RunRecord]) -> str:
    """The last run's steps one after the other, as long as they took."""
    if not runs or not runs[-1].steps:
        return ""
    steps, rows, before = runs[-1].steps, "", 0.0
    whole = sum(step.duration for step in steps) or 1.0
    for step in steps:
        rows += _step(step, before / whole, step.duration / whole)
        before += step.duration
    return f'<table class="steps"><caption class="sr">steps of the last run</caption>{rows}</table>'


def _step(step: StepRecord, begins: float, share: float) -> str:
    kind = ("undo" if step.is_undo else "") + ("" if step.ok else " bad")
    title = f"{'undo ' if step.is_undo else ''}{step.name}{'' if step.ok else ' ✕'}"
    width = max(share * 100, 0.6)
    return (
        f'<tr class="{kind.strip()}"><th scope="row">{escape(title)}</th>'
        '<td><svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="6"/>'
        f'<rect x="{min(begins * 100, 100 - width):.2f}" width="{width:.2f}" height="6"/></svg></td>'
        f"<td>{_duration(step.duration)}</td></tr>"
    )


# --- targets and readings ---------------------------------------------------------------------------------------------


def _targets(status: Status) -> str:
    if not status.targets:
        return '<p class="muted">No target is configured.</p>'
    return f'<ul class="card targets">{"".join(_target(target, status.now) for target in status.targets)}</ul>'


def _target(target: TargetStatus, now: float) -> str:
    unknown = "watched by another agent" if target.elsewhere else "not asked yet"
    tone, word = {True: ("good", "✓ up"), False: ("bad", "✕ down"), None: ("none", unknown)}[target.up]
    since = f" for {_span(now - target.since)}" if target.since is not None else ""
    lease = "lease held here" if target.held else ""
    why = f'<p class="why bad">{target.reason.value}: {escape(target.message)}</p>' if target.reason else ""
    return (
        f'<li data-target="{escape(target.name)}"><div class="head"><h3>{escape(target.name)}</h3>'
        f'<span class="muted">{escape(target.kind)}</span>'
        f'<span class="badge {tone}">{word}{since}</span><span class="muted">{lease}</span></div>{why}</li>'
    )


def _sources(status: Status) -> str:
    """How old each reading is, folded by target; open where something is wrong."""
    if not status.sources:
        return _nothing("Nothing was read yet.", "no reading is known here.", status)
    groups = [(target, list(group)) for target, group in groupby(status.sources, key=lambda source: source.target)]
    return f'<div class="card">{"".join(_readings(target, group) for target, group in groups)}</div>'


def _readings(target: str, sources: Sequence[SourceStatus]) -> str:
    failing = sum(not source.ok for source in sources)
    ages = [source.age for source in sources if source.age is not None]
    oldest = f", oldest {_span(max(ages))}" if ages else ""
    state = f'<span class="badge bad">✕ {failing} of {len(sources)} fail</span>' if failing else ""
    urgent = sorted(sources, key=lambda source: (source.ok, source.age is not None, -(source.age or 0)))
    rows = "".join(map(_reading, urgent[:_READINGS_SHOWN])) + _more(len(sources) - _READINGS_SHOWN)
    return (
        f"<details{' open' if failing else ''}><summary>{escape(target)} "
        f'<span class="muted">{_some(len(sources), "reading", "readings")}{oldest}</span> {state}</summary>'
        f'<table class="readings">{rows}</table></details>'
    )


def _more(count: int) -> str:
    return f'<tr><td colspan="2" class="muted">and {count} more</td></tr>' if count > 0 else ""


def _reading(source: SourceStatus) -> str:
    database = f' <span class="muted">{escape(source.database)}</span>' if source.database else ""
    age = f"{_span(source.age)} old" if source.age is not None else "no reading"
    shown = age if source.ok else f'<span class="badge bad">✕ fails</span> {age}'
    return f'<tr><th scope="row">{escape(source.exporter)}{database}</th><td>{shown}</td></tr>'


# --- words ------------------------------------------------------------------------------------------------------------


def _some(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S")


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _span(seconds: float) -> str:
    """A time span in its two largest units."""
    whole = max(round(seconds), 0)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"
