"""The ticks of one probe on one target: which are run here, which are skipped, and which were missed by everybody."""

from __future__ import annotations

import math
from typing import Any, Final

import structlog

from quaywatch.contract import Outcome, ProbeTask, Reach, Target

from .catalogue import PROBE_RUNS
from .maintenance import Mode
from .probing import run_probe, skip_probe
from .tools import Tools

_log: Any = structlog.get_logger(__name__)

_EARLY: Final = 1e-3
"""The share of an interval by which two ticks may differ from the grid: floats are no integers."""


class Ticks:
    """Takes the ticks of a probe while this agent is to act on its target.

    Args:
        task: the probe with its options and times.
        driver: the target's driver.
        target: what is probed.
        tools: what all targets share.
        before: the Unix time until which another agent took the ticks; None when nothing is known of that.
    """

    def __init__(self, task: ProbeTask, driver: Any, target: Target, tools: Tools, before: float | None) -> None:
        self._task = task
        self._driver = driver
        self._target = target
        self._tools = tools
        self._known = before

    async def take(self, tick: float) -> None:
        """Take one tick, unless it is another agent's by now, or over: then the next one counts it as missed."""
        if not await self._is_ours() or self._tools.clock.time() - tick >= self._task.every:
            return
        self._count_missed(tick)
        tools, task, target = self._tools, self._task, self._target
        mode = tools.maintenance.tell(target.name, task.probe.name, tools.clock.time(), tools.meter)
        common: dict[str, Any] = {
            "target": target,
            "tick": tick,
            "installation": tools.installation,
            "meter": tools.meter,
        }
        if mode is Mode.SKIP:
            tools.on_run(skip_probe(task, self._driver, clock=tools.clock, **common))
            return
        record = await run_probe(
            task,
            self._driver,
            tracer=tools.tracer,
            clock=tools.clock,
            on_suspicion=tools.on_suspicion,
            muted=mode is Mode.MUTE,
            **common,
        )
        tools.on_run(record)

    async def _is_ours(self) -> bool:
        """Whether the lease is still held, as its keeper says now; where that says nothing, as of its last word."""
        if self._target.reach is Reach.LOCAL:
            return True
        leases, name = self._tools.leases, self._target.name
        return await leases.confirm(name) or leases.held(name)

    def _count_missed(self, tick: float) -> None:
        """Count the ticks since the last one that is known to have been somebody's."""
        known, self._known = self._known, tick
        missed = 0 if known is None else math.ceil((tick - known) / self._task.every - _EARLY) - 1
        if missed > 0:
            names = (self._target.name, self._task.probe.name)
            self._tools.meter.add(PROBE_RUNS, missed, *names, Outcome.MISSED)
            _log.warning("ticks were missed", target=names[0], probe=names[1], missed=missed, after=known, before=tick)
