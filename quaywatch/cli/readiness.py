"""Whether the agent had a first look at everything it acts on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from quaywatch.contract import Per, Reach, Series, Watched
from quaywatch.runtime.catalogue import SCRAPE_SUCCESS, TARGET_UP, TENANT_COUNT
from quaywatch.runtime.leases import Leases

_Look = tuple[str, str, str]
"""Metric, target, exporter (or nothing)."""


def ready(watched: Sequence[Watched], leases: Leases, series: Iterable[Series]) -> bool:
    """Whether every target that this agent acts on was pinged and read once, well or not."""
    seen = {_look(one) for one in series}
    acted_on = (one for one in watched if one.target.reach is Reach.LOCAL or leases.held(one.target.name))
    return all(any(look in seen for look in looks) for one in acted_on for looks in _wanted(one))


def _look(series: Series) -> _Look:
    attributes = dict(series.attributes)
    return (series.metric.name, attributes.get("target", ""), attributes.get("exporter", ""))


def _wanted(watched: Watched) -> Iterator[tuple[_Look, ...]]:
    """What has to be there, as alternatives; a tour through no databases leaves nothing but their number."""
    name = watched.target.name
    yield ((TARGET_UP.name, name, ""),)
    for task in watched.exporters:
        success = (SCRAPE_SUCCESS.name, name, task.exporter.name)
        found = (TENANT_COUNT.name, name, "")
        yield (success, found) if task.exporter.per is Per.DATABASE else (success,)
