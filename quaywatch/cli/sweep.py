"""``quaywatch sweep``: undo now what killed probe runs left behind."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from otel_config.structured import configure_logging
from quaywatch.clock import SystemClock
from quaywatch.config import Settings
from quaywatch.contract import Swept
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import sweep_probe

from .flows import FlowOnTarget, flows_of
from .loop import run
from .session import settings_of
from .terminal import Cell, Console

_COUNTS = ("undone", "erased", "residue", "permanent")


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Sweep after the probes that are asked for; 1 when a sweep failed.

    Raises:
        ConfigError: when the configuration is wrong, or no such probe is configured.
    """
    settings = settings_of(arguments.config, environ)
    configure_logging("warning", "console", console.err)
    flows = flows_of(settings, arguments)
    results = run(_sweep(flows, settings, dry_run=arguments.dry_run))
    if arguments.json:
        console.json([_record(flow, swept) for flow, swept in zip(flows, results, strict=True)])
    else:
        headings = ["target", "probe", *(["would undo", "would erase"] if arguments.dry_run else _COUNTS[:2])]
        rows = [_row(flow, swept) for flow, swept in zip(flows, results, strict=True)]
        console.table([*headings, *_COUNTS[2:]], rows)
    return 0 if all(results) else 1


async def _sweep(flows: Sequence[FlowOnTarget], settings: Settings, *, dry_run: bool) -> list[Swept | None]:
    return [await _swept(flow, settings, dry_run=dry_run) for flow in flows]


async def _swept(flow: FlowOnTarget, settings: Settings, *, dry_run: bool) -> Swept | None:
    driver = flow.watched.open()
    try:
        return await sweep_probe(
            flow.task,
            driver,
            target=flow.watched.target,
            installation=settings.installation,
            limit_time_real=flow.watched.limit_time_real,
            meter=Instruments(settings.environment, SystemClock()),
            dry_run=dry_run,
        )
    finally:
        await driver.close()


def _record(flow: FlowOnTarget, swept: Swept | None) -> dict[str, object]:
    who = {"target": flow.watched.target.name, "probe": flow.task.probe.name}
    return {**who, "swept": asdict(swept) if swept else None}


def _row(flow: FlowOnTarget, swept: Swept | None) -> list[str | Cell]:
    counts = [str(getattr(swept, name)) if swept else Cell("failed", "bad") for name in _COUNTS]
    return [flow.watched.target.name, flow.task.probe.name, *counts]
