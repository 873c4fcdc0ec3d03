"""The manifests in `deploy/` that are made of others: the PrometheusRule, and the chart's examples as they render.

`make manifests` writes them; the tests of packaging hold them against what they are made of.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import alerts
from otel_config.names import prometheus_name
from quaywatch.cli.registry import all_metrics
from sandbox.cache import run
from sandbox.parts.kubernetes_tools import kubernetes_tools

DEPLOY = Path(__file__).parents[1] / "deploy"
CHART = DEPLOY / "helm/quaywatch"
EXAMPLES = sorted(path.name for path in (CHART / "examples").iterdir())


def rendered(chart: Path, *options: str | Path) -> str:
    """A chart's manifests as Helm renders them, for a release `quaywatch` in the namespace `monitoring`.

    Blank lines between manifests are left out, of which versions of Helm put different numbers.
    """
    text = run(kubernetes_tools().helm, "template", "quaywatch", chart, "--namespace", "monitoring", *options)
    return re.sub(r"\n+---\n", "\n---\n", text)


def kustomized(folder: Path) -> str:
    """The manifests of a kustomization as kubectl renders them."""
    return run(kubernetes_tools().kubectl, "kustomize", folder)


def example(name: str) -> str:
    """One of the chart's examples, rendered."""
    return rendered(CHART, "--values", CHART / "examples" / name / "values.yaml")


def prometheus_rule() -> str:
    """The alerting rules as an object of the Prometheus operator, as `quaywatch rules` prints them."""
    return alerts.render(all_metrics(), prometheus_name, resource="quaywatch")


def generated() -> Iterator[tuple[Path, str]]:
    """Every file that is made of others, with what should stand in it."""
    yield DEPLOY / "kustomize/components/rules/prometheusrule.yaml", prometheus_rule()
    for name in EXAMPLES:
        yield CHART / "examples" / name / "rendered.yaml", example(name)


def main() -> None:
    """Write them all."""
    for path, text in generated():
        path.write_text(text)
        print(path.relative_to(DEPLOY))


if __name__ == "__main__":
    main()
