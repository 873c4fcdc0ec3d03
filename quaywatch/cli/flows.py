"""The configured probes that a command is to work with."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from typing import Any

from quaywatch.config import Settings
from quaywatch.contract import Probe, ProbeTask, Transport, Watched
from quaywatch.drivers.browser import WarmBrowser
from quaywatch.errors import ConfigError

from .registry import all_probes
from .session import chosen


@dataclass(frozen=True, slots=True)
class FlowOnTarget:
    """A probe on one of its targets."""

    watched: Watched
    task: ProbeTask


def flows_of(
    settings: Settings, arguments: Namespace, browser: WarmBrowser | None = None, *, in_browser: bool = False
) -> list[FlowOnTarget]:
    """The probe that ``flow`` names, or every one, on the targets that are asked for; at least one.

    Args:
        settings: the configuration.
        arguments: ``flow`` and ``target``.
        browser: for browser probes that will run.
        in_browser: whether the browser's probe of the same flow is meant.

    Raises:
        ConfigError: when there is no such probe, or it is not configured for these targets.
    """
    flow: str | None = arguments.flow
    known = {**all_probes(), **settings.flows}
    if flow is not None and flow not in known:
        raise ConfigError(f"there is no probe {flow}", remedy=f"there are {', '.join(known)}")
    if flow is not None and in_browser:
        flow = _browser_probe_of(known[flow])
    found = [
        FlowOnTarget(watched, task)
        for watched in chosen(settings, arguments, browser)
        for task in watched.probes
        if flow is None or task.probe.name == flow
    ]
    if not found:
        what = f"the probe {flow} runs" if flow else "no probe runs"
        raise ConfigError(f"{what} on none of these targets", remedy=f"configure it below probes in {arguments.config}")
    return found


def _browser_probe_of(same: Probe[Any, Any]) -> str:
    """The probe that goes through the same flow as this one in a browser."""
    flow = same.flow
    for probe in all_probes().values():
        if probe.flow == flow and probe.transport is Transport.BROWSER:
            return probe.name
    raise ConfigError(f"no probe goes through {flow} in a browser", remedy="leave out --browser and --headed")
