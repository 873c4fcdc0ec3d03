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
Steps = tuple[tuple[float | None, str], ...]

SCHEMA_VERSION = 42
WIDTH = 24
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_GAP = 3_600_000
"""Milliseconds without a value that a state lasts on: there are flows that run once an hour."""
EMPTY_WHEN_FINE = "Empty while all is well."
NAMED, NAME = "value_and_name", "name"
"""What a stat shows of a series. Left to itself, Grafana shows no name while there is one series."""
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
    """One PromQL query of a panel. ``legend`` is Grafana's legend format.

    ``exemplar`` shows the traced values of a histogram as points, each of which leads to its trace. ``every`` is the
    least time between two values, in Grafana's notation, of which the window of rates is at least four; without it the
    data source has its own.
    """

    expression: str
    legend: str = ""
    instant: bool = False
    exemplar: bool = False
    every: str = ""


@dataclass(frozen=True, slots=True)
class Lead:
    """Where a panel's values lead: the title of the link, and its address, in which Grafana fills in variables."""

    title: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel: its title says what it answers, its description how to read it.

    ``unit`` is Grafana's; when it is empty it follows from the first metric. ``steps`` are the thresholds as
    (from value, colour), beginning with the colour of everything below; ``steps_of`` has others for the series whose
    names a regular expression fits, of which the last decides. ``empty`` is shown instead of data when there
    is none; ``when_fine`` says that this is so while all is well, which the description then tells. A stat shows
    ``said`` of each series: `NAMED`, or `NAME` where that is the answer.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    unit: str = ""
    width: int = 8
    height: int = 7
    steps: Steps = ((None, "green"),)
    steps_of: tuple[tuple[str, Steps], ...] = ()
    mappings: tuple[Json, ...] = ()
    empty: str = "no data: is the agent running?"
    stacked: bool = False
    when_fine: bool = False
    leads: tuple[Lead, ...] = ()
    said: str = NAMED

    def to_json(self, names: Names, number: int, x: int, y: int) -> Json:
        """Grafana's form of the panel at a place of the grid."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description + (f" {EMPTY_WHEN_FINE}" if self.when_fine else ""),
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [
                self._target(names, query, letter) for query, letter in zip(self.queries, "ABCDEFGH", strict=False)
            ],
            "fieldConfig": {"defaults": self._field(names), "overrides": [_override(*one) for one in self.steps_of]},
            "options": self._options(),
            **({"transformations": [_WITHOUT_TIME]} if self.kind == "table" else {}),
        }

    def _target(self, names: Names, query: Query, letter: str) -> Json:
        return {
            "refId": letter,
            "datasource": SOURCE,
            "expr": names.expand(query.expression),
            "legendFormat": query.legend,
            "instant": query.instant,
            "range": not query.instant,
            "exemplar": query.exemplar,
            **({"interval": query.every} if query.every else {}),
            "format": "table" if self.kind == "table" else "time_series",
        }

    def _field(self, names: Names) -> Json:
        return {
            "unit": self.unit or self._natural_unit(names),
            "noValue": self.empty,
            "color": {"mode": "palette-classic" if self.kind == "timeseries" else "thresholds"},
            "thresholds": _thresholds(self.steps),
            "mappings": list(self.mappings),
            "links": [{"title": lead.title, "url": lead.url, "targetBlank": True} for lead in self.leads],
            **self._custom(),
        }

    def _custom(self) -> Json:
        if self.kind == "state-timeline":
            return {"custom": {"spanNulls": _GAP}}
        if self.kind != "timeseries":
            return {}
        shown = "dashed" if len(self.steps) > 1 else "off"
        return {
            "custom": {
                "fillOpacity": 20,
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "showPoints": "auto",
                "thresholdsStyle": {"mode": shown},
            }
        }

    def _natural_unit(self, names: Names) -> str:
        metric = next(names.mentioned(self.queries[0].expression))
        counted = metric.unit.startswith("{") or metric.kind is Kind.COUNTER
        return "short" if counted else UNITS[metric.unit]

    def _options(self) -> Json:
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        match self.kind:
            case "stat":
                return {"reduceOptions": {"calcs": ["lastNotNull"], "values": False}, "colorMode": "background",
                        "textMode": self.said, "graphMode": "none"}  # fmt: skip
            case "table":
                return {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": "Value", "desc": True}]}
            case "state-timeline":
                return {"mergeValues": True, "showValue": "never", "rowHeight": 0.8, "legend": legend}
            case _:
                return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _override(names: str, steps: Steps) -> Json:
    return {
        "matcher": {"id": "byRegexp", "options": f"/{names}/"},
        "properties": [{"id": "thresholds", "value": _thresholds(steps)}],
    }


def _thresholds(steps: Steps) -> Json:
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}


_WITHOUT_TIME: Json = {"id": "organize", "options": {"excludeByName": {"Time": True}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice at the top of the dashboard, of the values of a label of a metric.

    It is of any of them, all at first; or, if ``single``, of one, which is ``chosen``, else the first that there is.
    """

    name: str
    label: str
    metric: str
    within_environment: bool = True
    single: bool = False
    chosen: str = ""

    def to_json(self, names: Names) -> Json:
        """Grafana's form of the variable; it is read again when the time range changes."""
        within = '{environment="$environment"}' if self.within_environment else ""
        query = names.expand(f"label_values(<{self.metric}>{within}, {self.name})")
        return {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": self.name},
            "definition": query,
            "refresh": 2,
            "sort": 1,
            **(self._one() if self.single else _ANY),
        }

    def _one(self) -> Json:
        current = {"text": self.chosen, "value": self.chosen} if self.chosen else {}
        return {"multi": False, "includeAll": False, "current": current}


_ANY: Json = {
    "multi": True,
    "includeAll": True,
    "allValue": ".*",
    "current": {"text": ["All"], "value": ["$__all"]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address that panels lead to, told at the top of the dashboard so that a reader may put in another."""

    name: str
    label: str
    default: str

    def to_json(self) -> Json:
        """Grafana's form of it."""
        return {
            "name": self.name,
            "label": self.label,
            "type": "textbox",
            "query": self.default,
            "current": {"text": self.default, "value": self.default},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A dashboard: rows of panels; the first row answers its question without scrolling.

    Args:
        uid: its address.
        title: its name.
        description: the question that it answers.
        rows: titles and panels.
        variables: the choices at its top.
        about: what it is about, one of which an installation must have; nothing for what is about all.
        traces: the type of the data source of traces that its panels lead to.
        addresses: where else its panels lead.
    """

    uid: str
    title: str
    description: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    variables: tuple[Variable, ...] = field(default=())
    about: frozenset[str] = frozenset()
    traces: str = ""
    addresses: tuple[Address, ...] = ()

    def panels(self) -> Iterator[Panel]:
        """All panels, from the first row on."""
        return (panel for _, panels in self.rows for panel in panels)

    def to_json(self, names: Names, set_of: Iterable[Dashboard]) -> Json:
        """Grafana's classic JSON, with links to the others of the set."""
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
            "annotations": {"list": list(_annotations(names))},
            "links": [self._link(other) for other in set_of if other.uid != self.uid],
            "templating": {"list": list(self._choices(names))},
            "panels": list(self._grid(names)),
        }

    def _choices(self, names: Names) -> Iterator[Json]:
        yield _data_source("datasource", "Data source", "prometheus")
        if self.traces:
            yield _data_source(f"{self.traces}_datasource", f"{self.traces.title()} data source", self.traces)
        for variable in self.variables:
            yield variable.to_json(names)
        for address in self.addresses:
            yield address.to_json()

    def _link(self, other: Dashboard) -> Json:
        """A target is kept only where it can be one of the other's: an Odoo is no PostgreSQL."""
        shared = ["datasource", *(one.name for one in self.variables if one in other.variables)]
        return {
            "type": "link",
            "title": other.title,
            "tooltip": other.description,
            "url": f"/d/{other.uid}?" + "&".join(f"${{{name}:queryparam}}" for name in shared),
            "keepTime": True,
            "includeVars": False,
            "asDropdown": False,
            "targetBlank": False,
            "icon": "dashboard",
            "tags": [],
        }

    def _grid(self, names: Names) -> Iterator[Json]:
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
                yield panel.to_json(names, number, x, y)
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest


def _data_source(name: str, label: str, kind: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "datasource",
        "query": kind,
        "current": {},
        "refresh": 1,
    }


def _annotations(names: Names) -> Iterator[Json]:
    """What happened meanwhile: deployments, at the moment they were told of, maintenance and alerts.

    Of the alerts our own: those of this environment, and that no agent is heard, which is of none. The sign of life
    that always fires is none.
    """
    place = 'environment="$environment"'
    told = f"max by (app, result) (<quaywatch.deployment.last.time>{{{place}}}) * 1000"
    maintained = f"max by (target, probe, mode) (<quaywatch.maintenance.active>{{{place}}}) == 1"
    ours = 'ALERTS{alertstate="firing", alert_role=~"symptom|cause", severity!="none"'
    firing = f'max by (alertname, severity, target) ({ours}, {place}}} or {ours}, environment=""}})'
    yield {**_annotation("Deployments", "blue", names.expand(told), "{{app}}: {{result}}"), "useValueForTime": True}
    yield _annotation("Maintenance", "purple", names.expand(maintained), "{{mode}} {{probe}} on {{target}}")
    yield _annotation("Alerts", "red", names.expand(firing), "{{alertname}} {{target}}")


def _annotation(name: str, colour: str, expression: str, title: str) -> Json:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "expr": expression,
        "step": "15s",
        "titleFormat": title,
    }
