"""The names that a store sees, judged by Prometheus' own linter."""

from __future__ import annotations

import subprocess

from otel_config.prometheus import exposition
from quaywatch.cli.registry import all_metrics
from quaywatch.contract import Distribution, Kind, Metric, Series
from sandbox.parts.binaries import binaries
from tests.unit.otel_config.fakes import FakeMeter, Held


def one_of(metric: Metric) -> Series:
    """A series of a metric, with every attribute filled."""
    distribution = Distribution((0,) * (len(metric.bounds) + 1), 0.0)
    value = distribution if metric.kind is Kind.HISTOGRAM else 1
    attributes = tuple(sorted((name, "x") for name in ("environment", "target", *metric.attributes)))
    return Series(metric, tuple(dict(attributes).items()), value, 1.0 if metric.kind is Kind.COUNTER else None)


def test_a_page_with_every_metric_passes_the_linter() -> None:
    """No suffix claims a type that the metric is not, and every family has its help."""
    page, _ = exposition(
        Held([one_of(metric) for metric in all_metrics()]), {"service.name": "quaywatch"}, FakeMeter()
    )()
    assert page.count(b"# TYPE") == len(all_metrics()) + 1
    words = (binaries().promtool, "check", "metrics")
    judged = subprocess.run(words, input=page, capture_output=True, check=False)
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, b"")
