"""``quaywatch rules`` and ``quaywatch dashboards``: alerts and dashboards for a configuration."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import alerts
import dashboards
from otel_config.names import prometheus_name
from quaywatch.config import Settings, faulty_record, load_record
from quaywatch.errors import ConfigError

from .levels import levels
from .registry import all_metrics
from .session import settings_of
from .terminal import Console

DEFAULTS: Final = Path(alerts.__file__).parent / "slo.yaml"


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Print them, or write them as files.

    Raises:
        ConfigError: when the configuration is wrong, or a file cannot be written.
    """
    deliver({"rules": _rules, "dashboards": _dashboards}[arguments.render](arguments, environ), arguments.out, console)
    return 0


def deliver(files: Iterable[tuple[str, str]], out: Path | None, console: Console) -> None:
    """Print the texts, or write them into a directory by their names.

    Raises:
        ConfigError: when a file cannot be written.
    """
    for name, text in files:
        if out is None:
            console.say(text.rstrip())
        else:
            console.say(str(_write(out / name, text)))


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        remedy = "name a directory with --out that can be written"
        raise ConfigError(f"{path}: cannot be written: {error.strerror}", remedy=remedy) from error
    return path


def _rules(arguments: Namespace, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    settings = settings_of(arguments.config, environ) if arguments.config else None
    flows = list(flows_of(settings)) if settings else []
    links = {name: value for name in ("runbooks", "dashboards") if (value := getattr(arguments, name))}
    try:
        yield (
            "quaywatch.yml",
            alerts.render(
                all_metrics(),
                prometheus_name,
                objectives=load_record(arguments.slo or DEFAULTS, alerts.Objectives),
                flows_run=flows,
                environment=settings.environment if settings else "",
                targets={name: str(table.kind) for name, table in settings.targets.items()} if settings else {},
                places=alerts.Places(**links),
                resource="quaywatch" if arguments.format == "prometheusrule" else "",
            ),
        )
    except alerts.ObjectiveError as error:
        raise faulty_record(arguments.slo or DEFAULTS, error.wrong) from error


def flows_of(settings: Settings) -> Iterator[alerts.Flow]:
    """The flows that a configuration runs."""
    for target, tasks in settings.probes.items():
        for task in tasks:
            yield alerts.Flow(settings.environment, target, task.probe.name, task.every)


def _dashboards(arguments: Namespace, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    settings = settings_of(arguments.config, environ) if arguments.config else None
    flows = list(flows_of(settings)) if settings else []
    objectives = load_record(arguments.slo or DEFAULTS, alerts.Objectives)
    addresses = {name: value.rstrip("/") for name in ("runbooks", "agent") if (value := getattr(arguments, name))}
    fit = _fit(settings, addresses) if settings else dashboards.Fit(addresses=addresses)
    return dashboards.render(all_metrics(), prometheus_name, levels(objectives, flows), fit)


def _fit(settings: Settings, addresses: Mapping[str, str]) -> dashboards.Fit:
    about = {table.kind for table in settings.targets.values()} | ({"flow"} if any(settings.probes.values()) else set())
    listens = {"agent": f"http://{settings.telemetry.http.listen}"} if settings.telemetry.http.listen.loopback else {}
    return dashboards.Fit(environment=settings.environment, about=frozenset(about), addresses={**listens, **addresses})
