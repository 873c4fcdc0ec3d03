"""Dashboards as code: builders over the metric catalogue, rendered to classic Grafana JSON.

A panel names metrics as the catalogue does; one that does not exist is an error at rendering, not an empty panel at
night. The catalogue and the translation to the store's names are passed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from quaywatch.contract import Metric

from .builder import Dashboard, Names
from .can_we_ship import can_we_ship

DASHBOARDS: tuple[Callable[[Names], Dashboard], ...] = (can_we_ship,)


def render(metrics: Iterable[Metric], translate: Callable[[Metric], str]) -> Iterator[tuple[str, str]]:
    """File name and JSON text of every dashboard, the same for the same catalogue.

    Args:
        metrics: the catalogue.
        translate: a metric's name in the store.

    Raises:
        KeyError: when a panel names a metric that the catalogue lacks.
    """
    names = Names(metrics, translate)
    for build in DASHBOARDS:
        dashboard = build(names)
        yield f"{dashboard.uid}.json", json.dumps(dashboard.to_json(), indent=2, sort_keys=True) + "\n"


__all__ = ["DASHBOARDS", "Dashboard", "Names", "render"]
