"""The demo: the agent on the whole sandbox, an outage and a lock to watch, and what the stores then hold.

With a length in seconds it ends by itself and says whether everything was seen; without one it goes on until Ctrl-C.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import agent, faults
from sandbox.agent import Agent
from sandbox.cache import SandboxError
from sandbox.parts import api, prometheus, victoriametrics
from sandbox.parts.odoo import Odoo
from sandbox.parts.records import Span, read_logs, read_spans
from sandbox.parts.webhook import read_notifications
from sandbox.process import until
from sandbox.progress import Progress
from sandbox.world import World, down, up

RUNS_WANTED = 5
FLOW = "probe order_create"
_SETTLE = 15.0
_WARM = 90.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the flow, as its trace tells it. ``green`` when every step went well."""

    target: str
    outcome: str
    green: bool
    start: float


def runs_of(spans: Sequence[Span]) -> list[Run]:
    """The runs of the flow among spans, oldest first."""
    steps: dict[str, list[Span]] = {}
    for span in spans:
        if span.name.startswith("step "):
            steps.setdefault(span.trace_id, []).append(span)
    roots = sorted((span for span in spans if span.name == FLOW), key=lambda span: span.start)
    return [_run(root, steps.get(root.trace_id, [])) for root in roots]


def _run(root: Span, steps: Sequence[Span]) -> Run:
    outcome = str(root.attributes.get("quaywatch.outcome", ""))
    green = outcome == "success" and bool(steps) and all(step.status != "error" for step in steps)
    return Run(target=str(root.attributes["quaywatch.target"]), outcome=outcome, green=green, start=root.start)


@dataclass
class Findings:
    """What the demo saw, line by line, and whether it is what it should have seen."""

    good: bool = True
    lines: list[str] = field(default_factory=list)

    def note(self, as_it_should_be: bool, line: str) -> None:  # noqa: FBT001 - the finding itself
        """Add one finding."""
        self.good = self.good and as_it_should_be
        self.lines.append(f"  {'ok ' if as_it_should_be else 'NO '} {line}")


def demo(state: Path, seconds: float | None) -> int:
    """Show the agent on the sandbox in `state`, for so many seconds or until Ctrl-C; the exit code."""
    world = up(state=state, progress=Progress())
    try:
        watching = agent.start(world.services, world, edge=True)
        _connect(world, watching)
        _warm_up(watching)
        print(_welcome(world, watching), flush=True)
        began = time.time()
        _play(world, seconds)
        return _judge(world, began, played=seconds is not None)
    finally:
        down(state=state)


def _connect(world: World, watching: Agent) -> None:
    """Let Prometheus scrape the agent and evaluate the rules made for its configuration."""
    agent.quaywatch("rules", "--config", str(watching.config), "--out", str(world.prometheus.rules))
    api.reload(world.prometheus.url)
    prometheus.set_targets(world.prometheus, [watching.address])


def _warm_up(watching: Agent) -> None:
    """Wait until each flow has passed once: a server's very first order takes many times as long as the next."""
    if not until(lambda: all(map(_passed, watching.status()["flows"])), within=_WARM):
        raise SandboxError(f"the flows did not pass within {_WARM:.0f} s; see {watching.url}")


def _passed(flow: Any) -> bool:
    return any(run["outcome"] == "success" for run in flow["runs"])


def _welcome(world: World, watching: Agent) -> str:
    return f"""
The agent watches PostgreSQL with a standby, Redis, Odoo 14 and Odoo 19, and orders from both Odoos every 5 s.
  status page      {watching.url}
  metrics          {watching.url}/metrics  and  {world.victoriametrics.url}/vmui
  alerts           {world.prometheus.url}/alerts  and  {world.alertmanager.url}
  Odoo             {world.odoo14.url}  and  {world.odoo19.url}  (admin, admin)
  break something  .venv/bin/python -m sandbox fault lock odoo19 --for 60
"""


def _play(world: World, seconds: float | None) -> None:
    """Go through the story in so many seconds; without a length nothing happens until Ctrl-C."""
    if seconds is None:
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    else:
        _story(world, seconds)


def _story(world: World, seconds: float) -> None:
    """All is well; somebody keeps an order locked; Odoo 14 is down; all is well again."""
    began = time.monotonic()
    _wait(began + 0.15 * seconds)
    with faults.lock(world, "odoo19") as sentence:
        _say(began, sentence)
        _wait(began + 0.35 * seconds)
    _say(began, "the lock is gone")
    with faults.stop_odoo(world, "odoo14") as sentence:
        _say(began, sentence)
        _wait(began + 0.6 * seconds)
    _say(began, "odoo14 is back")
    _wait(began + seconds)


def _wait(moment: float) -> None:
    threading.Event().wait(max(0.0, moment - time.monotonic()))


def _say(began: float, sentence: str) -> None:
    print(f"  {time.monotonic() - began:5.1f} s  {sentence}", flush=True)


def _judge(world: World, began: float, *, played: bool) -> int:
    """Stop the agent, look into the stores, and print what is there; what the story did only if it was played."""
    findings = Findings()
    _judge_stores(findings, world, began, played=played)
    took = _stop(world)
    findings.note(took < agent.STOP_WITHIN, f"the agent stopped within {took:.1f} s of being asked to")
    until(lambda: bool(_runs(world, began)), within=_SETTLE)
    runs = _runs(world, began)
    _judge_flow(findings, "Odoo 19", [run for run in runs if run.target == "erp19"])
    _judge_flow(findings, "Odoo 14", [run for run in runs if run.target == "erp14"])
    if played:
        _judge_outage(findings, [run for run in runs if run.target == "erp14"])
    for title, odoo in (("Odoo 14", world.odoo14), ("Odoo 19", world.odoo19)):
        left = _left_in(odoo)
        findings.note(left == 0, f"{left} orders of the probe are left in {title}")
    print("\n".join(["", "What was seen", *findings.lines, *_alerts(world), ""]), flush=True)
    return 0 if findings.good else 1


def _judge_stores(findings: Findings, world: World, began: float, *, played: bool) -> None:
    stored = _ask(world, 'count({environment="sandbox"})')
    findings.note(stored > 0, f"VictoriaMetrics holds {stored:.0f} series, by OTLP through the Collector")
    spans = [span for span in read_spans(world.recorder.file) if span.start >= began]
    logs = [log for log in read_logs(world.recorder.file) if log.time >= began]
    findings.note(bool(spans), f"the recorder holds {len(spans)} spans and {len(logs)} log records")
    if played:
        longest = _ask(world, "max(max_over_time(postgresql_lock_wait_longest_seconds[10m]))")
        findings.note(longest > 0, f"a session waited for a lock for up to {longest:.0f} s, as the store has it")


def _ask(world: World, promql: str) -> float:
    found = victoriametrics.query(world.victoriametrics, promql)
    return found[0][1] if found else 0.0


def _judge_flow(findings: Findings, title: str, runs: Sequence[Run]) -> None:
    green = sum(run.green for run in runs)
    line = f"order-create on {title}: {len(runs)} runs, {green} with every step green"
    findings.note(green >= RUNS_WANTED, line)


def _judge_outage(findings: Findings, runs: Sequence[Run]) -> None:
    """Odoo 14 was down for a while: that is its failure, not our invalidity, and the flow passes again by itself."""
    failed = [run for run in runs if run.outcome == "failure"]
    others = [run.outcome for run in runs if run.outcome not in {"failure", "success"}]
    recovered = bool(failed) and any(run.green and run.start > failed[-1].start for run in runs)
    line = f"while Odoo 14 was down {len(failed)} runs ended as failure, {len(others)} as anything else"
    findings.note(bool(failed) and not others, line)
    findings.note(recovered, "afterwards the flow on Odoo 14 passed again by itself")


def _runs(world: World, began: float) -> list[Run]:
    return [run for run in runs_of(read_spans(world.recorder.file)) if run.start >= began]


def _stop(world: World) -> float:
    began = time.monotonic()
    world.services.stop(agent.NAME)
    return time.monotonic() - began


def _left_in(odoo: Odoo) -> int:
    count: int = odoo.admin().call("sale.order", "search_count", [("client_order_ref", "=like", "quaywatch/%")])
    return count


def _alerts(world: World) -> list[str]:
    """The notifications that reached the webhook, in words: for information, since a short demo may end before them."""
    notices = read_notifications(world.webhook.file) if world.webhook.file.exists() else []
    seen = {
        f"{alert.status} {alert.name} {alert.labels.get('target', '')}".strip()
        for one in notices
        for alert in one.alerts
    }
    return [f"      Alertmanager notified: {line}" for line in sorted(seen)]
