"""A real outage at the default interval: from the fault to the rule that fires, and to the webhook."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

import alerts
from alerts import Flow
from otel_config.names import prometheus_name
from probes.order_create import PROBE
from quaywatch.cli.registry import all_metrics
from sandbox import agent, faults
from sandbox.agent import Agent
from sandbox.faults import Fault
from sandbox.parts import alertmanager, api, prometheus
from sandbox.parts.webhook import read_notifications
from sandbox.process import until
from sandbox.world import World, down, up

PARTS: Final = ("odoo14", "prometheus")
FAULTS: Final[dict[str, Fault]] = {
    "nobody listens: Odoo is stopped": faults.stop_odoo,
    "nobody answers: Odoo is frozen": faults.freeze,
}
EVERY: Final = PROBE.every
DEADLINE: Final = 10.0
READ_EVERY: Final = 15.0
_ROUTING: Final = Path(alerts.__file__).parent / "alertmanager" / "alertmanager.yml"
_WITHIN: Final = 1200.0


@dataclass(frozen=True, kw_only=True)
class Told:
    """One outage: seconds from the fault to the rule that fires, and from there to the webhook."""

    fault: str
    fired: float
    paged: float


def outages(state: Path, say: Callable[[str], None]) -> Iterator[Told]:
    """Every fault in a sandbox of its own, each right after a run that passed, which is when it takes longest."""
    try:
        with _watched(up(PARTS, state=state)) as trial:
            for name, fault in FAULTS.items():
                told = _outage(trial, name, fault)
                say(f"{name}: fired after {told.fired:.1f} s, told {told.paged:.1f} s later")
                yield told
    finally:
        down(state=state)


@dataclass(frozen=True)
class _Trial:
    """The sandbox and the agent on it."""

    world: World
    agent: Agent

    @property
    def prometheus(self) -> str:
        """Its address."""
        return self.world.prometheus.url


@contextmanager
def _watched(world: World) -> Iterator[_Trial]:
    """The agent at the default interval, Prometheus as shipped, and Alertmanager with the example's waits."""
    running = agent.start(world.services, world, every=READ_EVERY, probe_every=EVERY, change=_hurry_no_step)
    try:
        flow = Flow("sandbox", "erp14", PROBE.name, EVERY)
        text = alerts.render(all_metrics(), prometheus_name, flows_run=[flow])
        (world.prometheus.rules / "quaywatch.yml").write_text(text)
        api.reload(world.prometheus.url)
        prometheus.set_targets(world.prometheus, [running.address], every=f"{READ_EVERY:.0f}s")
        alertmanager.configure(world.alertmanager, _to_webhook(world.webhook.url))
        yield _Trial(world, running)
    finally:
        world.services.stop(agent.NAME)


def _hurry_no_step(settings: dict[str, Any]) -> None:
    settings["probes"][PROBE.name]["deadline"] = DEADLINE


def _to_webhook(url: str) -> str:
    """The example's configuration, every receiver of which is the webhook."""
    settings = yaml.safe_load(_ROUTING.read_text())
    settings.pop("global", None)
    to = [{"url": url, "send_resolved": True}]
    settings["receivers"] = [{"name": one["name"], "webhook_configs": to} for one in settings["receivers"]]
    return yaml.safe_dump(settings)


def _outage(trial: _Trial, name: str, fault: Fault) -> Told:
    _await(lambda: _passes(trial) and not _fires(trial))
    before = _last_run(trial)
    _await(lambda: _last_run(trial) != before)
    known = len(read_notifications(trial.world.webhook.file))
    began = time.monotonic()
    with fault(trial.world, "odoo14"):
        _await(lambda: _fires(trial))
        fired = time.monotonic()
        _await(lambda: _paged(trial, known))
        paged = time.monotonic()
    return Told(fault=name, fired=fired - began, paged=paged - fired)


def _passes(trial: _Trial) -> bool:
    return bool(api.query(trial.prometheus, 'quaywatch_probe_success{target="erp14"} == 1'))


def _last_run(trial: _Trial) -> object:
    """When the last run of the flow ended, as the agent says it now."""
    page = api.get(f"{trial.agent.url}/metrics")
    return [line for line in page.splitlines() if line.startswith("quaywatch_probe_last_run_time")]


def _fires(trial: _Trial) -> bool:
    found = json.loads(api.get(f"{trial.prometheus}/api/v1/alerts"))["data"]["alerts"]
    return any(alert["labels"]["alertname"] == "FlowFailing" and alert["state"] == "firing" for alert in found)


def _paged(trial: _Trial, known: int) -> bool:
    notified = read_notifications(trial.world.webhook.file)[known:]
    return any(alert.name == "FlowFailing" and alert.status == "firing" for one in notified for alert in one.alerts)


def _await(condition: Callable[[], bool]) -> None:
    if not until(condition, within=_WITHIN):
        raise TimeoutError("the trial does not get on")
