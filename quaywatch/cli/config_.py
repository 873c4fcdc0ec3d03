"""``quaywatch config``: check, schema, example."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from otel_config.environment import otlp_settings
from quaywatch.config import Settings, example, json_schema

from .plan import plan_otlp
from .registry import all_exporters, all_probes
from .session import settings_of
from .terminal import Console


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Print what is asked for.

    Raises:
        ConfigError: when the checked configuration is wrong, or a variable of OTLP.
    """
    if arguments.action == "schema":
        console.json(json_schema(all_exporters(), all_probes()))
    elif arguments.action == "example":
        console.say(example(all_exporters(), all_probes()).rstrip())
    else:
        console.say(f"{arguments.config}: {_summary(_checked(arguments.config, environ))}")
    return 0


def _checked(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings, once everything that `quaywatch run` would refuse is looked at, variables of OTLP included."""
    settings = settings_of(path, environ)
    otlp_settings(plan_otlp(settings), environ)
    return settings


def _summary(settings: Settings) -> str:
    exporters = sum(len(tasks) for tasks in settings.exporters.values())
    probes = sum(len(tasks) for tasks in settings.probes.values())
    return f"fine; targets: {len(settings.targets)}, exporters on them: {exporters}, probes on them: {probes}"
