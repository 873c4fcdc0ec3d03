"""What every command that looks at a configuration does first."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from probes.scripted import probe_of
from quaywatch.config import Settings, load
from quaywatch.contract import Watched
from quaywatch.drivers.browser import WarmBrowser
from quaywatch.errors import ConfigError

from .plan import plan
from .registry import all_exporters, all_probes


def settings_of(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of a file, with every exporter and probe there is.

    Raises:
        ConfigError: with one line for each fault.
    """
    return load(path, environ, all_exporters(), all_probes(), probe_of)


def chosen(settings: Settings, arguments: Namespace, browser: WarmBrowser | None = None) -> tuple[Watched, ...]:
    """The planned targets that ``--target`` names; all of them when it names none. ``browser`` is for who will use it.

    Raises:
        ConfigError: when it names one that there is not.
    """
    names: list[str] = arguments.target
    unknown = [name for name in names if name not in settings.targets]
    if unknown:
        raise ConfigError(
            f"there is no target {', '.join(unknown)}", remedy=f"configured are {', '.join(settings.targets)}"
        )
    return tuple(watched for watched in plan(settings, browser) if not names or watched.target.name in names)
