"""The Prometheus rule file, rendered from the catalogue of metrics and the objectives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import yaml

from quaywatch.contract import Metric

from . import budget, causes, flows, symptoms, watching
from .objectives import Objectives
from .promises import Flow
from .rule import Places, Recording, Rule, Vocabulary, alert_yaml, recording_yaml

HEADER: Final = "# Made by `quaywatch rules` from the metrics' own declarations. Make it again rather than edit it.\n"
AT_ONCE: Final = "5s"
"""Beside a scrape every 15 s: somebody is told of an outage 20 s after the run that settled it, at the latest."""
OFTEN: Final = "15s"
NOW_AND_THEN: Final = "1m"
SELDOM: Final = "5m"
_DURATION: Final = "quaywatch.probe.duration"


def render(
    metrics: Iterable[Metric],
    translate: Callable[[Metric], str],
    *,
    objectives: Objectives | None = None,
    flows_run: Sequence[Flow] = (),
    environment: str = "",
    targets: Mapping[str, str] = MappingProxyType({}),
    places: Places | None = None,
    resource: str = "",
) -> str:
    """The rule file, the same for the same arguments.

    Args:
        metrics: the catalogue.
        translate: a metric's name in the store.
        objectives: what is promised; the defaults if unset.
        flows_run: what a configuration runs: windows then fit its intervals, and a flow that never reports is missed.
        environment: that of a configuration, whose agents are then missed whoever else is heard.
        targets: what a configuration watches, with the kind of each: a target that nobody reads is then missed.
        places: where the links of alerts lead.
        resource: the name of a PrometheusRule to write, as the Prometheus operator takes it; a plain file if empty.

    Raises:
        ObjectiveError: when one failure of a flow would be told as a burning budget.
        ValueError: when a rule names a metric or a label that the catalogue lacks, or a latency no bucket is for.
    """
    objectives, places = objectives or Objectives(), places or Places()
    budget.check(objectives.flows, flows_run)
    words = Vocabulary(metrics, translate)
    _see_that_buckets_exist(objectives, words)
    groups = [
        {"name": name, "interval": interval, "rules": [_yaml(rule, words, objectives, places) for rule in rules]}
        for name, interval, rules in _groups(objectives, flows_run, watching.Watched(environment, targets))
    ]
    document = _resource(resource, groups) if resource else {"groups": groups}
    return HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def _groups(
    objectives: Objectives, flows_run: Sequence[Flow], watched: watching.Watched
) -> Iterable[tuple[str, str, Iterable[Rule | Recording]]]:
    yield "quaywatch-outages", AT_ONCE, flows.outages(objectives, flows_run)
    yield "quaywatch-flows", OFTEN, flows.rules(objectives, flows_run)
    yield "quaywatch-watching", OFTEN, watching.rules(objectives, watched)
    yield "quaywatch-causes", OFTEN, causes.rules(objectives)
    yield "quaywatch-objectives", NOW_AND_THEN, budget.recordings(objectives, flows_run)
    yield "quaywatch-symptoms", OFTEN, [*symptoms.recordings(objectives), *symptoms.rules(objectives)]
    yield "quaywatch-budgets", NOW_AND_THEN, budget.rules(objectives, flows_run)
    yield "quaywatch-reports", SELDOM, budget.reports(objectives, flows_run)


def _yaml(rule: Rule | Recording, words: Vocabulary, objectives: Objectives, places: Places) -> dict[str, Any]:
    if isinstance(rule, Recording):
        return recording_yaml(rule, words, objectives)
    return alert_yaml(rule, words, objectives, places)


def _see_that_buckets_exist(objectives: Objectives, words: Vocabulary) -> None:
    bounds = words.bounds(_DURATION)
    for pattern, flow in objectives.flows.items():
        if flow.latency.within not in bounds:
            allowed = ", ".join(f"{bound:g}" for bound in bounds)
            what = f"runs are not counted by {flow.latency.within:g} s; one of {allowed} is expected"
            raise budget.ObjectiveError([(("flows", pattern, "latency", "within"), what)])


def _resource(name: str, groups: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "quaywatch"}},
        "spec": {"groups": groups},
    }


class _Dumper(yaml.SafeDumper):
    """Writes long expressions as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
