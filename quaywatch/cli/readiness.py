"""Whether the agent had a first look at everything it acts on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quaywatch.contract import Per, Reach, Series, Watched
from quaywatch.runtime.catalogue import SCRAPE_SUCCESS, TARGET_UP, TENANTS
from quaywatch.runtime.leases import Leases

_Look = tuple[str, str, str]
"""Metric, target, exporter (or nothing)."""


def acted_on(watched: Iterable[Watched], leases: Leases) -> list[Watched]:
    """The targets that this agent is to read now: its own, and those whose lease it holds."""
    return [one for one in watched if one.target.reach is Reach.LOCAL or leases.held(one.target.name)]


def looked_at(watched: Iterable[Watched], series: Iterable[Series]) -> bool:
    """Whether each of these targets was pinged and read once, well or not."""
    seen = {_look(one) for one in series}
    return all(any(look in seen for look in looks) for one in watched for looks in _wanted(one))


def _look(series: Series) -> _Look:
    attributes = dict(series.attributes)
    return (series.metric.name, attributes.get("target", ""), attributes.get("exporter", ""))


def _wanted(watched: Watched) -> Iterator[tuple[_Look, ...]]:
    """What has to be there, as alternatives; a tour through no databases leaves nothing but their number."""
    name = watched.target.name
    yield ((TARGET_UP.name, name, ""),)
    for task in watched.exporters:
        success = (SCRAPE_SUCCESS.name, name, task.exporter.name)
        found = (TENANTS.name, name, "")
        yield (success, found) if task.exporter.per is Per.DATABASE else (success,)
