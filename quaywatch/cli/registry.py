"""All exporters and probes: the built-in tables, then what other packages bring by entry points.

A package brings an exporter by an entry point of the group ``quaywatch.exporters`` that names an `Exporter`, a probe by
one of ``quaywatch.probes`` that names a `Probe`; the entry point is called as the record is.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Protocol, TypeVar

from exporters import EXPORTERS
from otel_config import catalogue as export_catalogue
from probes import PROBES
from quaywatch.contract import Exporter, Metric, Probe
from quaywatch.errors import ConfigError
from quaywatch.runtime import catalogue as runtime_catalogue

EXPORTER_GROUP: Final = "quaywatch.exporters"
PROBE_GROUP: Final = "quaywatch.probes"


class Named(Protocol):
    """A record of either table."""

    @property
    def name(self) -> str:
        """Its name in configurations."""
        ...


R = TypeVar("R", bound=Named)


def all_exporters() -> dict[str, Exporter[Any, Any, Any]]:
    """Every exporter by its name.

    Raises:
        ConfigError: when an outsider's cannot be loaded, is none, or has a name that is taken.
    """
    return collected(EXPORTERS, EXPORTER_GROUP, Exporter, entry_points(group=EXPORTER_GROUP))


def all_probes() -> dict[str, Probe[Any, Any]]:
    """Every probe by its name.

    Raises:
        ConfigError: when an outsider's cannot be loaded, is none, or has a name that is taken.
    """
    return collected(PROBES, PROBE_GROUP, Probe, entry_points(group=PROBE_GROUP))


def all_metrics() -> tuple[Metric, ...]:
    """The catalogue: what the agent says of itself, then what each exporter reads; once, if two read it."""
    read = (metric for exporter in all_exporters().values() for metric in exporter.metrics)
    return tuple(dict.fromkeys((*runtime_catalogue.METRICS, *export_catalogue.METRICS, *read)))


def collected(builtin: Iterable[R], group: str, record_type: type[R], found: Iterable[EntryPoint]) -> dict[str, R]:
    """The built-in records and those of the entry points, by name.

    Raises:
        ConfigError: naming group, entry point and what to do about it.
    """
    records = {record.name: record for record in builtin}
    for point in found:
        record = _loaded(point, group, record_type)
        if record.name in records:
            advice = "uninstall one of the two, or rename it"
            raise ConfigError(f"{group}: {point.name} ({point.value}): the name is taken", remedy=advice)
        records[record.name] = record
    return records


def _loaded(point: EntryPoint, group: str, record_type: type[R]) -> R:
    place = f"{group}: {point.name} ({point.value})"
    try:
        record = point.load()
    except Exception as error:
        remedy = "repair or uninstall the package that brings it"
        raise ConfigError(f"{place}: cannot be loaded: {type(error).__name__}: {error}", remedy=remedy) from error
    if not isinstance(record, record_type):
        remedy = f"it has to name a quaywatch.contract.{record_type.__name__}"
        raise ConfigError(f"{place}: is a {type(record).__name__}", remedy=remedy)
    if record.name != point.name:
        remedy = "entry point and record have to have the same name"
        raise ConfigError(f"{place}: calls itself {record.name}", remedy=remedy)
    return record
