"""Where a flow's dashboard leads: to the trace of a run, to what was kept of it, and to what is to be done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

import alerts
import dashboards
from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics
from quaywatch.contract import Outcome
from tests.contract.test_dashboards import panels, rendered

Json = dict[str, Any]

FLOW = rendered()["quaywatch-flow.json"]
PROVISIONING = Path(dashboards.__file__).parent / "provisioning"
CHOICES = {one["name"]: one for one in FLOW["templating"]["list"]}


def links(title: str) -> list[Json]:
    """The links of all panels that bear this title."""
    found = [link for panel in panels(FLOW) for link in panel["fieldConfig"]["defaults"]["links"]]
    return [link for link in found if link["title"].startswith(title)]


def filled(url: str) -> str:
    """An address as Grafana opens it."""
    values = {"__field.labels.probe": "login", "__field.labels.target": "erp", "__from": "1", "__to": "2"}
    for name, value in {**values, "tempo_datasource": "uid-of-tempo"}.items():
        url = url.replace(f"${{{name}}}", value)
    return url


def test_traces_are_looked_for_where_the_reader_chooses() -> None:
    """Grafana's own page is asked for the traces of the flow on its target, in the time shown."""
    (url,) = {link["url"] for link in links("Traces")}
    asked = json.loads(parse_qs(urlsplit(filled(url)).query)["panes"][0])["traces"]
    assert (asked["datasource"], asked["range"]) == ("uid-of-tempo", {"from": "1", "to": "2"})
    (query,) = asked["queries"]
    assert query["datasource"] == {"type": "tempo", "uid": "uid-of-tempo"}
    assert query["query"] == '{span.quaywatch.probe="login"&&span.quaywatch.target="erp"}'
    assert CHOICES["tempo_datasource"]["query"] == "tempo"


def test_what_was_kept_and_what_is_to_be_done_are_a_click_away() -> None:
    """The agent's page has the runs; a runbook that a panel leads to exists."""
    assert {link["url"] for link in links("Its runs")} == {"${agent}/"}
    runbooks = {link["url"] for link in links("What to do")}
    assert runbooks
    for url in runbooks:
        assert url.startswith("${runbooks}/")
        assert (Path(alerts.__file__).parent / "runbooks" / url.rpartition("/")[2]).exists()
    assert {name for name, one in CHOICES.items() if one["type"] == "textbox"} == {"agent", "runbooks"}


def test_a_ranked_tenant_is_a_click_away() -> None:
    """Each row of a ranking leads to the same dashboard for that tenant of that server, in the time shown."""
    tables = [panel for panel in panels(rendered()["quaywatch-tenants.json"]) if panel["type"] == "table"]
    by_tenant = [panel for panel in tables if "(target, database)" in panel["targets"][0]["expr"]]
    assert len(by_tenant) >= 5
    for panel in by_tenant:
        (link,) = panel["fieldConfig"]["defaults"]["links"]
        address = urlsplit(link["url"])
        assert address.path == "/d/quaywatch-tenants"
        assert {"${__url_time_range}", "var-database=${__data.fields.database}"} <= set(address.query.split("&"))


def test_every_outcome_has_its_colour() -> None:
    """The timeline names each way in which a run can end."""
    (timeline,) = [panel for panel in panels(FLOW) if panel["type"] == "state-timeline"]
    (mapping,) = timeline["fieldConfig"]["defaults"]["mappings"]
    named = {one["text"].replace(" ", "_") for one in mapping["options"].values()}
    assert named == {str(outcome) for outcome in Outcome}


def test_durations_show_the_runs_they_are_made_of() -> None:
    """Panels of a histogram over time ask for exemplars, in that dashboard; nothing else does."""
    asked = {
        panel["title"]: target["expr"]
        for dashboard in rendered().values()
        for panel in panels(dashboard)
        for target in panel["targets"]
        if target["exemplar"]
    }
    assert set(asked) == {"How long does each step take?", "How slow are steps for the unlucky?"}
    histograms = {prometheus_name(metric) for metric in all_metrics() if metric.bounds}
    assert all(any(name in text for name in histograms) for text in asked.values())


def test_an_exemplar_leads_to_the_store_of_traces() -> None:
    """The data sources of the example know each other, by the label that exemplars bear."""
    example = yaml.safe_load((PROVISIONING / "datasources" / "quaywatch.yaml").read_text())["datasources"]
    metrics, traces = example
    assert (metrics["type"], traces["type"]) == ("prometheus", "tempo")
    assert metrics["jsonData"]["exemplarTraceIdDestinations"] == [{"name": "trace_id", "datasourceUid": traces["uid"]}]


def test_nobody_changes_in_place_what_is_provisioned() -> None:
    """Grafana takes the files of a directory, keeps them, and lets nobody save over them."""
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "quaywatch.yaml").read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"], provider["disableDeletion"]) == ("file", False, True)
