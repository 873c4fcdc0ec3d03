"""The configuration of Alertmanager: routes, inhibition and maintenance windows, made for these rules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from alerts.causes import LASTING
from alerts.objectives import Objectives
from alerts.promises import Flow, decides
from alerts.rule import Role, Service, Severity
from alerts.symptoms import STALLS

from .routing import Route, Routing, check
from .windows import Scope, Window, by_scope, intervals, matching, named, quoted, regions

HEADER: Final = "# Made by `quaywatch alertmanager render` from who is to be told. Make it again rather than edit it.\n"
NOBODY: Final = "nobody"
_MINUTE: Final = 60
_LEAST_WAIT: Final = 5
_MOST_WAIT: Final = 60
"""Minutes that a ticket waits for a symptom that explains it."""
_PAGE: Final = [f'severity="{Severity.PAGE}"']
# No rule that pages needs longer to gather: so many failed runs have settled it already. Services that call people ring
# once for a bundle, and not again while it is acknowledged: what somebody else mends must be one of its own.
_PAGES: Final = {
    "group_by": ["environment", "service", "alertname", "target", "database", "host"],
    "group_wait": "10s",
    "group_interval": "20s",
    "repeat_interval": "4h",
}
# Once a minute. Were the two times equal, every other one might come too early to be repeated.
_SIGN_OF_LIFE: Final = {
    "group_by": ["alertname"],
    "group_wait": "0s",
    "group_interval": "30s",
    "repeat_interval": "50s",
}
_ROUTES: Final = """\
# Pages at once, each symptom of each place by itself: who acknowledges one is called for the next. Tickets in bundles.
# A ticket waits longer than a symptom needs to show, so that the page that explains a cause is there before the cause
# is told, whichever of them fired first. An alert that comes to an open bundle goes with its next turn. Each route
# names its maintenance windows itself: Alertmanager does not hand them down.
"""
_INHIBITION: Final = """\
# A page about flows, the edge or a standby silences the causes of the same service, except those that last for days by
# themselves; what waits, as mail does over a weekend, silences none but that a queue's runner is dead. A page about a
# flow silences its own tickets, the absence of all agents that of flows and targets; a flow that fails everywhere pages
# once, unless tenants have routes of their own. A label that both sides lack counts as equal: without `!=""` one alert
# without `service` would silence all without.
"""
_INTERVALS: Final = """\
# The windows of `maintenance` in Quaywatch's configuration; one between two dates is days of the calendar here.
"""
_RECEIVERS: Final = """\
# As they stand in the file with the routing.
"""


class _Dumper(yaml.SafeDumper):
    """Writes everything out, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own name
        return True


def render(
    routing: Routing, objectives: Objectives, *, flows_run: Sequence[Flow] = (), windows: Sequence[Window] = ()
) -> str:
    """The configuration file, the same for the same arguments.

    Args:
        routing: who is told.
        objectives: what is promised.
        flows_run: what a configuration runs: tickets then wait as long as its flows need to page.
        windows: when whose alerts are muted.

    Raises:
        FaultyKeysError: when something that the routing names does not exist, or a secret stands in it.
        OverlapError: when the windows overlap in more ways than anybody would read.
    """
    check(routing, objectives)
    own = {key: value for key, value in routing.alertmanager.items() if key != "receivers"}
    nobody = [] if routing.deadman else [{"name": NOBODY}]
    parts = [
        _yaml(own, flow=False) if own else "",
        _ROUTES + _yaml({"route": _tree(routing, _patience(objectives, flows_run), named(windows))}),
        _INHIBITION + _yaml({"inhibit_rules": list(_inhibition(routing))}),
        _INTERVALS + _yaml({"time_intervals": _time_intervals(named(windows))}) if windows else "",
        _RECEIVERS + _yaml({"receivers": [*routing.receivers, *nobody]}, flow=False),
    ]
    return "\n".join([HEADER, *filter(None, parts)])


def _yaml(table: Mapping[str, Any], *, flow: bool | None = None) -> str:
    """The table in blocks; unless ``flow`` is false, its innermost lists and tables on a line of their own."""
    width = math.inf if flow is False else 120
    return yaml.dump(table, Dumper=_Dumper, sort_keys=False, width=width, allow_unicode=True, default_flow_style=flow)


def _patience(objectives: Objectives, flows: Sequence[Flow]) -> str:
    """How long a ticket waits: as the slowest flow needs to page, of those that page within an hour.

    That is so many runs, and a minute for the run itself, the rule and the line.
    """
    paging = [flow.every for flow in flows if _pages(flow, objectives)] or [_MINUTE]
    minutes = [math.ceil(objectives.pages.runs * every / _MINUTE) + 1 for every in paging]
    return f"{max([_LEAST_WAIT, *(wait for wait in minutes if wait <= _MOST_WAIT)])}m"


def _pages(flow: Flow, objectives: Objectives) -> bool:
    pattern = decides(objectives.flows, flow.probe)
    return pattern is not None and objectives.tiers[objectives.flows[pattern].tier].severity == "page"


# --- routes -----------------------------------------------------------------------------------------------------------


def _tree(routing: Routing, patience: str, windows: Mapping[str, Window]) -> dict[str, Any]:
    watchdog = {
        "matchers": ['alertname="Watchdog"', f'service="{Service.QUAYWATCH}"'],
        "receiver": routing.deadman or NOBODY,
        **_SIGN_OF_LIFE,
    }
    muted = [
        _region(routing, region, by_scope(windows, region))
        for region in regions(window.scope for window in windows.values())
    ]
    return {
        "receiver": routing.others.ticket,
        "group_by": ["environment", "service", "alertname", "target"],
        "group_wait": patience,
        "group_interval": "30m",
        "repeat_interval": "3d",
        "routes": [watchdog, *muted, *_branches(routing, {})],
    }


def _region(routing: Routing, region: Sequence[Scope], names: list[str]) -> dict[str, Any]:
    mute = {"mute_time_intervals": names}
    matchers = list(dict.fromkeys(matcher for scope in region for matcher in scope.matchers))
    branches = list(_branches(routing, mute))
    return {"matchers": matchers, "receiver": routing.others.ticket, **mute, "routes": branches}


def _branches(routing: Routing, mute: Mapping[str, list[str]]) -> Iterator[dict[str, Any]]:
    for route in routing.routes.values():
        for matchers in _alternatives(route):
            page = {"matchers": _PAGE, "receiver": route.page, **_PAGES, **mute}
            yield {"matchers": matchers, "receiver": route.ticket, **mute, "routes": [page]}
    yield {"matchers": _PAGE, "receiver": routing.others.page, **_PAGES, **mute}


def _alternatives(route: Route) -> list[list[str]]:
    """The matchers of a route: one list for each label that tells the tenant, since any of them is enough."""
    always = [f"{label}={quoted(value)}" for label, value in (("tier", route.tier), ("team", route.team)) if value]
    tenants = [matching(label, patterns) for label, patterns in route.of_tenant.items()]
    return [[*always, tenant] for tenant in tenants] or [always]


# --- inhibition and windows -------------------------------------------------------------------------------------------


def _inhibition(routing: Routing) -> Iterator[dict[str, Any]]:
    symptom = [f'alert_role="{Role.SYMPTOM}"', 'alertname=~"Flow.*|Edge.*|ReplicaStale|NoStandbyStreams"', *_PAGE]
    cause = [f'alert_role="{Role.CAUSE}"', f'alertname!~"{"|".join(LASTING)}"']
    yield _inhibit(symptom, cause, ["environment", "service"])
    yield _inhibit(
        ['alertname="QueueStalled"', *_PAGE], ['alertname="QueueRunnerDead"'], ["environment", "target", "database"]
    )
    yield _inhibit(
        ['alertname="FlowFailing"', *_PAGE],
        ['alertname=~"FlowUnsteady|FlowFlaky"'],
        ["environment", "target", "probe"],
    )
    yield _inhibit(['alertname="AgentAbsent"', *_PAGE], ['alertname=~"FlowAbsent|TargetAbsent"'], ["environment"])
    if not any(route.of_tenant for route in routing.routes.values()):
        yield _inhibit(
            ['alertname="FlowFailingEverywhere"', *_PAGE], ['alertname="FlowFailing"'], ["environment", "probe"]
        )
        for stall in STALLS:
            everywhere = ['alertname="StalledEverywhere"', f'symptom="{stall}"', *_PAGE]
            yield _inhibit(everywhere, [f'alertname="{stall}"'], ["environment", "target"])


def _inhibit(source: list[str], target: list[str], equal: list[str]) -> dict[str, Any]:
    there = [f'{label}!=""' for label in equal]
    return {"source_matchers": [*source, *there], "target_matchers": [*target, *there], "equal": equal}


def _time_intervals(windows: Mapping[str, Window]) -> list[dict[str, Any]]:
    return [{"name": name, "time_intervals": intervals(window)} for name, window in windows.items()]
