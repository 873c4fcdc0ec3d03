"""The dashboards are of one mind with the alerts: they show what alerts speak of, and turn red where alerts fire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import alerts
from tests.contract.test_dashboards import LEVELS, expressions, panels, rendered

Json = dict[str, Any]

GROUPS = yaml.safe_load((Path(alerts.__file__).parent / "rules" / "quaywatch.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
BOARDS = {dashboard["uid"]: dashboard for dashboard in rendered().values()}
QUALIFIERS = {
    "quaywatch_maintenance_active": "it stands in every graph as an annotation",
    "quaywatch_scrape_success": "it says which databases are read, and is shown with the agents",
    "quaywatch_probe_interval_seconds": "it says how far an alert looks back, and is shown with the agents",
}
"""What alerts read to tell whether they apply, and which their own dashboard therefore need not show; and why."""
OF_THE_OBJECTIVES = {
    1 - LEVELS.edge_budget,
    *(1 - one.budget for one in LEVELS.flows),
    *(one.share for one in LEVELS.flows),
}
"""What is promised over a whole period, of which alerts take the rate at which it is spent."""
_RECORDING = re.compile(r"\bquaywatch:[a-zA-Z0-9_:]+")
_METRIC = re.compile(r"\b(?:quaywatch|postgresql|redis|odoo|traefik|tls)_[a-z0-9_]+")


def red_from(panel: Json, series: str) -> float:
    """The level at which a series of a panel changes its colour: that of the last override that fits its name."""
    fitting = [
        override["properties"][0]["value"]["steps"][-1]["value"]
        for override in panel["fieldConfig"]["overrides"]
        if re.search(override["matcher"]["options"].strip("/"), series)
    ]
    return float(fitting[-1])


def whole(expression: str) -> str:
    """An expression, and after it those of all that is recorded for it; a recording may look back at itself."""
    texts = [expression]
    for text in texts:  # grows while it is walked through
        texts += [recorded for name in _RECORDING.findall(text) if (recorded := RECORDED[name]) not in texts]
    return "\n".join(texts)


def metrics(expression: str) -> set[str]:
    """The metrics that an expression is about, by itself and through what is recorded."""
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in _METRIC.findall(whole(expression))}


def numbers(expression: str) -> set[float]:
    """The numbers of an expression, those of what is recorded included; a regular expression's dot is one."""
    plain = whole(expression).replace("[.]", ".")
    return {float(text) for text in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]\d+)?", plain)}


def shown(dashboard: Json) -> set[str]:
    """The metrics of a dashboard."""
    return set().union(*(metrics(text) for panel in panels(dashboard) for text in expressions(panel)))


def board_of(alert: Json) -> Json:
    """The dashboard that an alert leads to."""
    link = alert["annotations"]["dashboard_url"]
    return BOARDS[link.split("/d/")[1].partition("?")[0]]


@pytest.mark.parametrize("name", sorted({alert["alert"] for alert in ALERTS}))
def test_an_alert_leads_to_what_it_is_about(name: str) -> None:
    """Whoever follows the link sees every metric of the alert there."""
    unseen = [metrics(alert["expr"]) - shown(board_of(alert)) for alert in ALERTS if alert["alert"] == name]
    assert set().union(*unseen) - set(QUALIFIERS) == set()


def test_what_an_alert_needs_not_show_is_shown_elsewhere() -> None:
    """As an annotation, or on the agents' own dashboard."""
    agents = BOARDS["quaywatch-agent"]
    annotated = str(agents["annotations"]["list"])
    assert [name for name in QUALIFIERS if name not in annotated and name not in shown(agents)] == []


def test_what_is_recorded_is_asked_for_by_its_name() -> None:
    """Every recording that a panel names is one of the rules, and the objectives' dashboard is made of them."""
    asked = {
        uid: {name for panel in panels(board) for text in expressions(panel) for name in _RECORDING.findall(text)}
        for uid, board in BOARDS.items()
    }
    assert set().union(*asked.values()) <= set(RECORDED)
    assert len(asked["quaywatch-slo"]) >= 8


def test_an_empty_panel_of_what_is_recorded_says_why() -> None:
    """Without the rules, and for a job that is chosen: what is recorded has none."""
    empty = {
        panel["fieldConfig"]["defaults"]["noValue"]
        for board in BOARDS.values()
        for panel in panels(board)
        if any(_RECORDING.search(text) for text in expressions(panel))
    }
    assert empty
    assert [text for text in empty if "quaywatch rules" not in text or "Job" not in text] == []


def thresholds() -> Iterator[tuple[str, Json, float]]:
    """Every level from which on a panel changes its colour, yes and no left out."""
    for uid, board in BOARDS.items():
        for panel in panels(board):
            for step in steps(panel):
                if step["value"] not in {None, 0, 1}:
                    yield uid, panel, step["value"]


def steps(panel: Json) -> Iterator[Json]:
    """The steps of a panel's thresholds, and of those for some of its series."""
    yield from panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    for override in panel["fieldConfig"]["overrides"]:
        yield from override["properties"][0]["value"]["steps"]


@pytest.mark.parametrize(
    ("panel", "level"),
    [pytest.param(panel, level, id=f"{uid}: {panel['title']}") for uid, panel, level in thresholds()],
)
def test_a_panel_turns_red_where_an_alert_fires(panel: Json, level: float) -> None:
    """The level stands in an alert that reads or tells the same metric, or is what the objectives promise."""
    about = set().union(*map(metrics, expressions(panel)))
    levels = [numbers(alert["expr"]) for alert in ALERTS if metrics(f"{alert['expr']} {alert['annotations']}") & about]
    told = set().union(*levels, OF_THE_OBJECTIVES)
    assert any(level == pytest.approx(one) for one in told)


@pytest.mark.parametrize(
    ("board", "title", "levels"),
    [
        ("quaywatch-slo", "How many runs did what users want?", (0.9, 0.99, 0.99)),
        ("quaywatch-slo", "How many runs are fast enough?", (0.9, 0.95, 0.95)),
        ("quaywatch-flow", "How many runs worked?", (0.9, 0.99, 0.99)),
        ("quaywatch-flow", "How slow is a run for the unlucky?", (30, 5, 10)),
    ],
)
def test_each_flow_is_held_to_its_own_promise(board: str, title: str, levels: tuple[float, ...]) -> None:
    """What is promised 90 % is fine at 95 %, beside what is promised 99 %; the first promise that fits decides."""
    (panel,) = [one for one in panels(BOARDS[board]) if one["title"] == title]
    flows = ("browser_shipment_confirm odoo19", "portal_lookup odoo19", "order_create odoo19")
    assert [red_from(panel, flow) for flow in flows] == [pytest.approx(level) for level in levels]
