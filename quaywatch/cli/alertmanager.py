"""``quaywatch alertmanager render``: Alertmanager's configuration, with the maintenance windows of the probes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from alerts import Objectives, alertmanager
from quaywatch.config import Settings, WindowTable, faulty_record, load_record
from quaywatch.errors import ConfigError

from .render import DEFAULTS, deliver, flows_of
from .session import settings_of
from .terminal import Console

_ROUTING: Final = Path(alertmanager.__file__).parent / "routing.yaml"


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Print it, or write it as a file.

    Raises:
        ConfigError: when one of the files is wrong, or the result cannot be written.
    """
    configured = [settings_of(path, environ) for path in arguments.config]
    routing = arguments.routing or _ROUTING
    try:
        text = alertmanager.render(
            load_record(routing, alertmanager.Routing),
            load_record(arguments.slo or DEFAULTS, Objectives),
            flows_run=[flow for settings in configured for flow in flows_of(settings)],
            windows=[window for settings in configured for window in _windows(settings)],
        )
    except alertmanager.FaultyKeysError as error:
        raise faulty_record(routing, error.wrong) from error
    except alertmanager.OverlapError as error:
        raise ConfigError(str(error), remedy="give windows the same targets and probes where that will do") from error
    deliver([("alertmanager.yml", text)], arguments.out, console)
    return 0


def _windows(settings: Settings) -> Iterator[alertmanager.Window]:
    for table in settings.maintenance:
        yield alertmanager.Window(
            name=table.name,
            environment=settings.environment,
            targets=table.targets,
            probes=table.probes,
            begins=table.begins,
            ends=table.ends,
            weekly=_weekly(table),
        )


def _weekly(table: WindowTable) -> alertmanager.Weekly | None:
    hours = table.weekly
    return alertmanager.Weekly(hours.days, hours.begins, hours.ends, hours.timezone) if hours else None
