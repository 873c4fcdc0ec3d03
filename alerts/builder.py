"""The Prometheus rule file, rendered from the catalogue of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import yaml

from quaywatch.contract import Metric

from . import causes, flows
from .flows import Flow
from .rule import Vocabulary, to_yaml

HEADER = "# Made by `quaywatch rules` from the metrics' own declarations. Make it again rather than edit it.\n"
RUNBOOKS = "alerts/runbooks"
EVERY = "15s"


def render(
    metrics: Iterable[Metric],
    translate: Callable[[Metric], str],
    *,
    flows_run: Sequence[Flow] = (),
    runbooks: str = RUNBOOKS,
) -> str:
    """The rule file, the same for the same arguments.

    Args:
        metrics: the catalogue.
        translate: a metric's name in the store.
        flows_run: what a configuration runs: windows then fit its intervals, and a flow that never reports is missed.
        runbooks: address of the directory that holds the runbooks.

    Raises:
        ValueError: when a rule names a metric or a label that the catalogue lacks.
    """
    words = Vocabulary(metrics, translate)
    groups = {"quaywatch-flows": flows.rules(flows_run), "quaywatch-causes": causes.rules()}
    document = {
        "groups": [
            {"name": name, "interval": EVERY, "rules": [to_yaml(rule, words, runbooks) for rule in rules]}
            for name, rules in groups.items()
        ]
    }
    return HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes long expressions as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
