"""The rules of Grafana's dashboard linter in their strict form, in which a warning is a failure.

The names of the rules are the linter's; `target-environment-rule` is our own. What is left out stands in `EXCLUDED`,
with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.test_dashboards import rendered

Json = dict[str, Any]
Rule = Callable[[Json], Iterator[str]]

EXCLUDED = {
    "template-job-rule": "it wants `.+` for all jobs, and what is pushed has no job: every panel would be empty. The"
    " variable is there in all else",
    "template-instance-rule": "any of several agents may read a shared target: a choice of one shows part of a line",
    "target-instance-rule": "without that choice there is nothing to match",
}
"""The rules that are left out, and why."""

UNITS = {"none", "short", "percentunit", "bytes", "Bps", "s", "cps", "cpm", "ops", "reqps", "suffix:intervals"}
"""Those of Grafana's units that are used here."""
WITH_UNITS = {"stat", "table", "timeseries", "gauge"}


def panels(dashboard: Json) -> Iterator[Json]:
    """The panels that show something."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def targets(dashboard: Json) -> Iterator[tuple[Json, Json]]:
    """Every query with its panel."""
    return ((panel, target) for panel in panels(dashboard) for target in panel["targets"])


def queried(dashboard: Json) -> Iterator[Json]:
    """The variables that ask the store."""
    return (variable for variable in dashboard["templating"]["list"] if variable["type"] == "query")


def template_datasource(dashboard: Json) -> Iterator[str]:
    """Variables choose the data sources, that of metrics first, and have the names and labels that are usual."""
    found = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"]
    if [one["query"] for one in found[:1]] != ["prometheus"]:
        yield f"data sources: {found}"
    for one in found:
        kind = one["query"]
        usual = {"datasource": "Data source", f"{kind}_datasource": f"{kind.title()} data source"}
        if usual.get(one["name"]) != one["label"]:
            yield f"{one['name']}: {one['label']}"


def template_label_promql(dashboard: Json) -> Iterator[str]:
    """Variables list the values of a label of a selector."""
    shape = re.compile(r"label_values\([a-z_]+(\{[a-z_]+=\"\$[a-z]+\"\})?, [a-z_]+\)")
    return (one["name"] for one in queried(dashboard) if not shape.fullmatch(one["query"]["query"]))


def template_on_time_change_reload(dashboard: Json) -> Iterator[str]:
    """Variables are read again when the time range changes."""
    return (one["name"] for one in queried(dashboard) if one["refresh"] != 2)


def panel_datasource(dashboard: Json) -> Iterator[str]:
    """No panel has a data source wired in."""
    return (panel["title"] for panel in panels(dashboard) if panel["datasource"]["uid"] != "${datasource}")


def panel_title_description(dashboard: Json) -> Iterator[str]:
    """Every panel has both."""
    return (str(panel["id"]) for panel in panels(dashboard) if not (panel["title"] and panel["description"]))


def panel_units(dashboard: Json) -> Iterator[str]:
    """Every panel that shows numbers says in what."""
    for panel in panels(dashboard):
        if panel["type"] in WITH_UNITS and panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
            yield panel["title"]


def panel_no_targets(dashboard: Json) -> Iterator[str]:
    """Every panel asks something."""
    return (panel["title"] for panel in panels(dashboard) if not panel["targets"])


def target_promql(dashboard: Json) -> Iterator[str]:
    """Every query is balanced and names no catalogue reference that was not resolved; the stores parse it elsewhere."""
    for panel, target in targets(dashboard):
        text = target["expr"]
        if any(text.count(opening) != text.count(closing) for opening, closing in ("()", "{}", "[]")) or "<" in text:
            yield f"{panel['title']}: {text}"


def target_rate_interval(dashboard: Json) -> Iterator[str]:
    """A rate is over Grafana's own window, so that it fits whatever interval is configured."""
    for panel, target in targets(dashboard):
        windows = re.findall(r"\bi?rate\([^\[]*\[([^\]]+)\]", target["expr"])
        if any(window != "$__rate_interval" for window in windows):
            yield f"{panel['title']}: {target['expr']}"


def target_job(dashboard: Json) -> Iterator[str]:
    """Every selector matches the job that is chosen."""
    return unmatched(dashboard, 'job=~"$job"')


def target_environment(dashboard: Json) -> Iterator[str]:
    """Every selector matches the one environment that is chosen: production's fault is not hidden by staging."""
    return unmatched(dashboard, 'environment="$environment"')


def unmatched(dashboard: Json, matcher: str) -> Iterator[str]:
    """The queries with a selector that lacks a matcher."""
    for panel, target in targets(dashboard):
        selectors = re.findall(r"\b(?:[a-z]+_|quaywatch:)[a-z0-9_:]+(\{[^}]*\})?", without_words(target["expr"]))
        if any(matcher not in selector for selector in selectors):
            yield f"{panel['title']}: {target['expr']}"


def without_words(expression: str) -> str:
    """The expression with the names of functions and of grouped labels taken out, so that metrics' names are left."""
    grouped = re.sub(r"\b(by|on|group_left|ignoring) ?\([^)]*\)", "", expression)
    return re.sub(r"\b[a-z_]+ ?\(", "(", re.sub(r'"[^"]*"', lambda text: text[0].replace("_", ""), grouped))


def target_counter_agg(dashboard: Json) -> Iterator[str]:
    """No counter is shown as it stands: a rate or an increase is taken of it."""
    counted = re.compile(r"(\w+)\(\s*[a-z0-9_]+_total\b(?:\{[^}]*\})?\[")
    for panel, target in targets(dashboard):
        named = len(re.findall(r"\b[a-z0-9_]+_total\b", target["expr"]))
        taken = [function for function in counted.findall(target["expr"]) if function in {"rate", "irate", "increase"}]
        if named != len(taken):
            yield f"{panel['title']}: {target['expr']}"


def uneditable_dashboard(dashboard: Json) -> Iterator[str]:
    """Nobody changes in place what is made from code."""
    if dashboard["editable"]:
        yield "editable"


RULES: tuple[Rule, ...] = (
    template_datasource,
    template_label_promql,
    template_on_time_change_reload,
    panel_datasource,
    panel_title_description,
    panel_units,
    panel_no_targets,
    target_promql,
    target_rate_interval,
    target_job,
    target_environment,
    target_counter_agg,
    uneditable_dashboard,
)


def name_of(rule: Rule) -> str:
    """The linter's name of a rule."""
    return rule.__name__.replace("_", "-") + "-rule"


@pytest.mark.parametrize("rule", RULES, ids=name_of)
@pytest.mark.parametrize("dashboard", rendered().values(), ids=lambda dashboard: dashboard["uid"])
def test_the_rule_holds(dashboard: Json, rule: Rule) -> None:
    """Nothing in the dashboard breaks the rule."""
    assert list(rule(dashboard)) == []


@pytest.mark.parametrize("dashboard", rendered().values(), ids=lambda dashboard: dashboard["uid"])
def test_a_stat_says_whose_its_value_is(dashboard: Json) -> None:
    """Also while there is one series: Grafana's own choice would then show the value alone."""
    for panel in panels(dashboard):
        if panel["type"] == "stat":
            assert panel["options"]["textMode"] in {"value_and_name", "name"}, panel["title"]
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


@pytest.mark.parametrize(
    ("rule", "spoilt"),
    [
        (target_rate_interval, "sum(rate(a_total[5m]))"),
        (target_job, "sum(a_b)"),
        (target_job, 'sum(quaywatch:a:b{job=~"$job"}) / sum(a_b{environment="$environment"})'),
        (target_environment, 'max by (target) (a_b{job=~"$job"})'),
        (target_counter_agg, "sum(a_total)"),
        (target_counter_agg, "avg_over_time(a_total[$__rate_interval])"),
        (target_promql, "sum(rate(a_total[$__rate_interval])"),
        (target_promql, "sum(<a.b>)"),
    ],
)
def test_a_bad_query_is_found(rule: Rule, spoilt: str) -> None:
    """The rules that read PromQL can fail."""
    panel = {"type": "stat", "title": "What?", "targets": [{"expr": spoilt}]}
    assert len(list(rule({"panels": [panel]}))) == 1


def test_few_rules_are_left_out() -> None:
    """What is left out is little and is given a reason, and no rule is both held and left out."""
    assert len(EXCLUDED) <= 3
    assert all(EXCLUDED.values())
    assert not set(EXCLUDED) & {name_of(rule) for rule in RULES}


def test_all_jobs_are_all_that_is_there() -> None:
    """Of the rule that is left out for what `All` stands for, the rest holds."""
    for dashboard in rendered().values():
        (job,) = [one for one in queried(dashboard) if one["name"] == "job"]
        assert (job["label"], job["multi"], job["includeAll"], job["allValue"]) == ("Job", True, True, ".*")


def test_one_environment_is_looked_at() -> None:
    """Neither several nor all can be chosen, and what is checked in opens at the first that there is."""
    for dashboard in rendered().values():
        (environment,) = [one for one in queried(dashboard) if one["name"] == "environment"]
        assert (environment["multi"], environment["includeAll"], environment["current"]) == (False, False, {})
