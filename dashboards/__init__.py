"""Dashboards as code: builders over the metric catalogue, rendered to classic Grafana JSON.

A panel names metrics as the catalogue does; one that does not exist is an error at rendering, not an empty panel at
night. The catalogue, the translation to the store's names and the levels that alerts go by are passed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from quaywatch.contract import Metric

from .agent import agent
from .builder import Dashboard, Names
from .can_we_ship import can_we_ship
from .edge import edge
from .fit import Fit
from .flow import flow
from .levels import Levels, Promise
from .postgresql import postgresql
from .queues import queues
from .redis import redis
from .replication import replication
from .slo import slo
from .tenants import tenants

DASHBOARDS: tuple[Callable[[Levels], Dashboard], ...] = (
    can_we_ship,
    flow,
    queues,
    postgresql,
    replication,
    redis,
    edge,
    tenants,
    slo,
    agent,
)


EVERYBODY = Fit()


def render(
    metrics: Iterable[Metric], translate: Callable[[Metric], str], levels: Levels, fit: Fit = EVERYBODY
) -> Iterator[tuple[str, str]]:
    """File name and JSON text of every dashboard, the same for the same arguments.

    Args:
        metrics: the catalogue.
        translate: a metric's name in the store.
        levels: from where on something is bad, as the alerts have it.
        fit: what is known of the installation.

    Raises:
        KeyError: when a panel names a metric that the catalogue lacks.
    """
    names = Names(metrics, translate)
    whole = list(fit.of(build(levels) for build in DASHBOARDS))
    for dashboard in whole:
        text = json.dumps(dashboard.to_json(names, whole), indent=2, sort_keys=True)
        yield f"{dashboard.uid}.json", f"{text}\n"


__all__ = ["DASHBOARDS", "Dashboard", "Fit", "Levels", "Names", "Promise", "render"]
