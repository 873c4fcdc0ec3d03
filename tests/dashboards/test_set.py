"""The dashboards as a set: complete, linked to each other, and of one mind with the alerts."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import dashboards
from alerts.rule import Board
from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics
from tests.contract.test_dashboards import LEVELS, expressions, panels, rendered

Json = dict[str, Any]

SET = {dashboard["uid"]: dashboard for dashboard in rendered().values()}
DOCS = Path(__file__).parents[2] / "docs"
FOLD = 12
"""Rows of Grafana's grid that a screen shows without scrolling, at least."""


def names_of(dashboard: Json) -> set[str]:
    """The variables of a dashboard."""
    return {variable["name"] for variable in dashboard["templating"]["list"]}


def test_there_is_one_for_each_that_an_alert_leads_to() -> None:
    """Alerts lead to dashboards by their address; all of these exist, and there are no others."""
    assert set(SET) == {str(board) for board in Board}


@pytest.mark.parametrize("dashboard", SET.values(), ids=lambda dashboard: dashboard["uid"])
class TestEach:
    """What holds for every dashboard."""

    def test_it_is_linked_with_all_others(self, dashboard: Json) -> None:
        """By address, with the time range, the data source and all variables that mean the same there."""
        urls = {link["url"].partition("?")[0]: link for link in dashboard["links"]}
        assert set(urls) == {f"/d/{uid}" for uid in SET if uid != dashboard["uid"]}
        assert all(link["keepTime"] for link in urls.values())
        for url, link in urls.items():
            other = SET[url.removeprefix("/d/")]
            kept = set(re.findall(r"\$\{(\w+):queryparam\}", link["url"]))
            shared = [one["name"] for one in dashboard["templating"]["list"] if one in other["templating"]["list"]]
            assert kept == {"datasource", "job", "environment", *shared}

    def test_every_variable_is_used(self, dashboard: Json) -> None:
        """A choice that changes nothing is none."""
        text = str([[panel["targets"], panel["fieldConfig"]["defaults"]["links"]] for panel in panels(dashboard)])
        assert not [name for name in names_of(dashboard) if f"${name}" not in text and f"${{{name}}}" not in text]

    def test_no_variable_is_used_that_is_not_there(self, dashboard: Json) -> None:
        """Grafana sends an unknown variable as it stands, and the panel stays empty."""
        text = str([target["expr"] for panel in panels(dashboard) for target in panel["targets"]])
        assert set(re.findall(r"\$([a-z]+)", text)) <= names_of(dashboard)

    def test_the_first_row_is_seen_without_scrolling(self, dashboard: Json) -> None:
        """The first row ends above the fold, and says in its title what it answers."""
        rows = [panel for panel in dashboard["panels"] if panel["type"] == "row"]
        assert rows[0]["title"].endswith("?")
        assert rows[1]["gridPos"]["y"] <= FOLD

    def test_deployments_maintenance_and_alerts_are_marked(self, dashboard: Json) -> None:
        """What happened meanwhile stands in every graph."""
        marked = {one["name"]: one["expr"] for one in dashboard["annotations"]["list"]}
        assert set(marked) == {"Deployments", "Maintenance", "Alerts"}
        assert "quaywatch_deployment_last_time_seconds" in marked["Deployments"]
        assert "quaywatch_maintenance_active" in marked["Maintenance"]
        assert "ALERTS{" in marked["Alerts"]


def test_whether_one_tenant_can_ship_is_asked_of_it_alone() -> None:
    """What tells databases apart shows the one that is chosen; what has none is of flows or of a whole server."""
    asked = [text for panel in panels(SET["quaywatch-can-we-ship"]) for text in expressions(panel)]
    by_database = [text for text in asked if re.search(r"by \([^)]*\bdatabase\b", text)]
    assert len(by_database) >= 7
    assert [text for text in by_database if 'database=~"$database"' not in text] == []


@pytest.mark.parametrize("uid", SET)
def test_the_docs_show_it(uid: str) -> None:
    """The page on dashboards has a picture of each, and none is large."""
    assert f"(pictures/{uid}.png)" in (DOCS / "dashboards.md").read_text()
    assert 10_000 < (DOCS / "pictures" / f"{uid}.png").stat().st_size < 150 * 1024


@pytest.mark.parametrize("name", [field.name for field in fields(LEVELS) if field.name != "flows"])
def test_a_level_of_the_alerts_moves_a_threshold(name: str) -> None:
    """Every level that is taken from the alerts' objectives turns a panel red, and moves with them."""
    other = replace(LEVELS, **{name: getattr(LEVELS, name) / 2})
    changed = dict(dashboards.render(all_metrics(), prometheus_name, other))
    assert changed != dict(dashboards.render(all_metrics(), prometheus_name, LEVELS))
