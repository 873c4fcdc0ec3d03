"""``quaywatch list``: exporters, probes and metrics."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from otel_config.names import prometheus_name
from quaywatch.contract import Exporter, Metric, Probe

from .registry import all_exporters, all_metrics, all_probes
from .session import settings_of
from .terminal import Console

Record = dict[str, Any]


def execute(arguments: Namespace, console: Console, environ: Mapping[str, str]) -> int:
    """Print the lists that are asked for, in the form that is asked for; exporters and probes when none is named.

    Raises:
        ConfigError: when the configuration that is named is wrong.
    """
    flows = settings_of(arguments.config, environ).flows if arguments.config else {}
    lists = {"exporters": _exporters, "probes": lambda: _probes(flows), "metrics": _metrics}
    records = {what: lists[what]() for what in ([arguments.what] if arguments.what else ["exporters", "probes"])}
    if arguments.json:
        console.json(records[arguments.what] if arguments.what else records)
    elif arguments.markdown:
        console.say("\n".join(markdown(what, some) for what, some in records.items()).rstrip())
    else:
        _print(records, console)
    return 0


def _print(records: Mapping[str, Sequence[Record]], console: Console) -> None:
    for number, some in enumerate(records.values()):
        if number:
            console.say("")
        console.table(list(some[0]), [[_word(value) for value in record.values()] for record in some])


def markdown(what: str, records: Sequence[Record]) -> str:
    """A page of documentation with one table."""
    lines = [f"# {what.capitalize()}", "", f"Made by `quaywatch list {what} --markdown`.", ""]
    headings = list(records[0])
    lines += [_row(headings), _row("---" for _ in headings)]
    lines += [_row(_word(value).replace("|", "\\|") for value in record.values()) for record in records]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """The reference of all metrics, as ``docs/metrics.md`` holds it."""
    return markdown("metrics", _metrics())


def _row(words: Iterable[str]) -> str:
    return f"| {' | '.join(words)} |"


def _word(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _exporters() -> list[Record]:
    return [_exporter(exporter) for exporter in all_exporters().values()]


def _exporter(exporter: Exporter[Any, Any, Any]) -> Record:
    return {
        "name": exporter.name,
        "reads": str(exporter.reads),
        "per": str(exporter.per),
        "every": f"{exporter.every:g} s",
        "metrics": len(exporter.metrics),
        "options": _options(exporter.options),
    }


def _probes(flows: Mapping[str, Probe[Any, Any]]) -> list[Record]:
    return [_probe(probe) for probe in (*all_probes().values(), *flows.values())]


def _probe(probe: Probe[Any, Any]) -> Record:
    return {
        "name": probe.name,
        "drives": str(probe.drives),
        "transport": str(probe.transport),
        "every": f"{probe.every:g} s",
        "steps": list(probe.steps),
        "options": _options(probe.options),
    }


def _options(options: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(options)]


def _metrics() -> list[Record]:
    return [_metric(metric) for metric in all_metrics()]


def _former(metric: Metric) -> str:
    former = metric.former
    return "" if former is None else f" Before version {former.until} also emitted as {former.name}."


def _metric(metric: Metric) -> Record:
    return {
        "name": metric.name,
        "prometheus": prometheus_name(metric),
        "kind": str(metric.kind),
        "unit": metric.unit,
        "attributes": list(metric.attributes),
        "help": metric.help + _former(metric),
    }
