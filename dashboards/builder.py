"""What a dashboard is made of, down to Grafana's classic JSON (schema version 42).

File provisioning and the ConfigMap sidecar of Grafana 12 and 13 take this format; the newer one they refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from quaywatch.contract import Kind, Metric

Json = dict[str, Any]

SCHEMA_VERSION = 42
WIDTH = 24
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"s": "s", "By": "bytes", "1": "percentunit", "": "none"}
_REFERENCE = re.compile(r"<([a-z0-9_.]+)>")


class Names:
    """The metric catalogue under the names of the store, for use in PromQL.

    In an expression ``<redis.memory.used>`` stands for a metric; ``_bucket`` and the like may follow it.
    """

    def __init__(self, metrics: Iterable[Metric], translate: Callable[[Metric], str]) -> None:
        self._metrics = {metric.name: metric for metric in metrics}
        self._translate = translate

    def expand(self, expression: str) -> str:
        """The expression with every reference replaced by the name in the store.

        Raises:
            KeyError: when a referenced metric does not exist.
        """
        return _REFERENCE.sub(lambda found: self._translate(self.metric(found[1])), expression)

    def metric(self, name: str) -> Metric:
        """The metric of that name.

        Raises:
            KeyError: when there is none.
        """
        if name not in self._metrics:
            raise KeyError(f"{name}: no such metric in the catalogue")
        return self._metrics[name]

    def mentioned(self, expression: str) -> Iterator[Metric]:
        """The metrics that an expression refers to."""
        return (self.metric(found[1]) for found in _REFERENCE.finditer(expression))


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query of a panel. ``legend`` is Grafana's legend format."""

    expression: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel: its title says what it answers, its description how to read it.

    ``unit`` is Grafana's; when it is empty it follows from the first metric. ``steps`` are the thresholds as
    (from value, colour), beginning with the colour of everything below.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    unit: str = ""
    width: int = 8
    height: int = 7
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    mappings: tuple[Json, ...] = ()
    empty: str = "no data: is the agent running?"
    stacked: bool = False

    def to_json(self, names: Names, number: int, x: int, y: int) -> Json:
        """Grafana's form of the panel at a place of the grid."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [
                self._target(names, query, letter) for query, letter in zip(self.queries, "ABCDEFGH", strict=False)
            ],
            "fieldConfig": {"defaults": self._field(names), "overrides": []},
            "options": self._options(),
        }

    @staticmethod
    def _target(names: Names, query: Query, letter: str) -> Json:
        return {
            "refId": letter,
            "datasource": SOURCE,
            "expr": names.expand(query.expression),
            "legendFormat": query.legend,
            "instant": query.instant,
            "range": not query.instant,
        }

    def _field(self, names: Names) -> Json:
        steps = [{"value": value, "color": colour} for value, colour in self.steps]
        custom = {"fillOpacity": 20, "stacking": {"mode": "normal" if self.stacked else "none"}, "showPoints": "never"}
        return {
            "unit": self.unit or self._natural_unit(names),
            "noValue": self.empty,
            "thresholds": {"mode": "absolute", "steps": steps},
            "mappings": list(self.mappings),
            **({"custom": custom} if self.kind == "timeseries" else {}),
        }

    def _natural_unit(self, names: Names) -> str:
        metric = next(names.mentioned(self.queries[0].expression))
        counted = metric.unit.startswith("{") or metric.kind is Kind.COUNTER
        return "short" if counted else UNITS[metric.unit]

    def _options(self) -> Json:
        if self.kind == "stat":
            return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "textMode": "auto"}
        return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice at the top of the dashboard: all values of a label of a metric."""

    name: str
    label: str
    metric: str

    def to_json(self, names: Names) -> Json:
        """Grafana's form of the variable; it is read again when the time range changes."""
        query = names.expand(f"label_values(<{self.metric}>, {self.name})")
        return {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": self.name},
            "definition": query,
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
            "sort": 1,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A dashboard: rows of panels; the first row answers its question without scrolling."""

    uid: str
    title: str
    description: str
    names: Names
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    variables: tuple[Variable, ...] = field(default=())

    def to_json(self) -> Json:
        """Grafana's classic JSON."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["quaywatch"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": [_data_source(), *(variable.to_json(self.names) for variable in self.variables)]},
            "panels": list(self._panels()),
        }

    def _panels(self) -> Iterator[Json]:
        number, y = 0, 0
        for title, panels in self.rows:
            number += 1
            yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                   "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}}  # fmt: skip
            y, x, tallest = y + 1, 0, 0
            for panel in panels:
                if x + panel.width > WIDTH:
                    x, y, tallest = 0, y + tallest, 0
                number += 1
                yield panel.to_json(self.names, number, x, y)
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest


def _data_source() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "refresh": 1,
    }
