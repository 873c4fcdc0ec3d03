"""The dashboards are what the code renders, name only what exists, and follow the rules of good dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import alerts
import dashboards
from dashboards.builder import Names
from otel_config.names import prometheus_name
from quaywatch.cli.levels import levels
from quaywatch.cli.registry import all_metrics
from quaywatch.config import load_record
from quaywatch.contract import Kind, Metric

FOLDER = Path(dashboards.__file__).parent / "json"
CONFIG_MAP_LIMIT = 1 << 20
LEVELS = levels(load_record(Path(alerts.__file__).parent / "slo.yaml", alerts.Objectives))

Json = dict[str, Any]


def rendered() -> dict[str, Json]:
    """Every dashboard by its file name."""
    return {name: json.loads(text) for name, text in dashboards.render(all_metrics(), prometheus_name, LEVELS)}


def panels(dashboard: Json) -> Iterator[Json]:
    """The panels of a dashboard, rows left out."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def test_what_is_checked_in_is_what_the_code_renders() -> None:
    """The JSON in the tree is the code's, to the letter, and nothing else lies there."""
    texts = dict(dashboards.render(all_metrics(), prometheus_name, LEVELS))
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == texts
    assert all(len(text.encode()) < CONFIG_MAP_LIMIT for text in texts.values())


def test_rendering_is_deterministic() -> None:
    """The same catalogue gives the same text."""
    assert dict(dashboards.render(all_metrics(), prometheus_name, LEVELS)) == dict(
        dashboards.render(all_metrics(), prometheus_name, LEVELS)
    )


def test_a_metric_that_does_not_exist_is_an_error() -> None:
    """A panel cannot name a metric that nobody emits."""
    with pytest.raises(KeyError, match=r"no such metric in the catalogue"):
        dict(dashboards.render([Metric("a.b", Kind.GAUGE, "s", "An age.")], prometheus_name, LEVELS))


def test_a_reference_is_expanded_with_its_suffix() -> None:
    """``<name>_bucket`` becomes the store's name of the buckets."""
    metric = Metric("a.wait", Kind.HISTOGRAM, "s", "Waits.", bounds=(1.0,))
    assert Names([metric], prometheus_name).expand("rate(<a.wait>_bucket[5m])") == "rate(a_wait_seconds_bucket[5m])"


@pytest.mark.parametrize("dashboard", rendered().values(), ids=lambda dashboard: dashboard["uid"])
class TestRules:
    """What holds for every dashboard."""

    def test_it_is_classic_and_read_only(self, dashboard: Json) -> None:
        """File provisioning and the sidecar take it, and nobody edits it in place."""
        assert dashboard["schemaVersion"] == 42
        assert dashboard["editable"] is False
        assert dashboard["uid"].startswith("quaywatch-")
        assert "id" not in dashboard

    def test_the_data_source_is_a_variable(self, dashboard: Json) -> None:
        """No data source is wired in; each panel and query asks the variable."""
        first = dashboard["templating"]["list"][0]
        assert (first["name"], first["type"], first["label"]) == ("datasource", "datasource", "Data source")
        sources = [part["datasource"]["uid"] for panel in panels(dashboard) for part in (panel, *panel["targets"])]
        assert set(sources) == {"${datasource}"}

    def test_variables_refresh_with_the_time_range(self, dashboard: Json) -> None:
        """A choice shows what is there in the range that is looked at."""
        queries = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
        assert queries
        assert {variable["refresh"] for variable in queries} == {2}

    def test_panels_ask_and_explain(self, dashboard: Json) -> None:
        """Every panel's title is a question; it has a description, a unit and words for having no data."""
        for panel in panels(dashboard):
            assert panel["title"].endswith("?"), panel["title"]
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]

    def test_ids_are_unique_and_panels_do_not_overlap(self, dashboard: Json) -> None:
        """The grid is a grid."""
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
        cells = [cell for panel in dashboard["panels"] for cell in covered(panel["gridPos"])]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24


def expressions(panel: Json) -> Iterator[str]:
    """The PromQL of a panel."""
    return (target["expr"] for target in panel["targets"])


def covered(place: Json) -> Iterator[tuple[int, int]]:
    """The cells of the grid that a panel covers."""
    return ((place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"]))
