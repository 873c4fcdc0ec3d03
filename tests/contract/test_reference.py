"""The pages that are made from the code are current."""

from __future__ import annotations

from pathlib import Path

from quaywatch.cli.list_ import metrics_page

METRICS = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_reference_of_metrics_is_current() -> None:
    """``quaywatch list metrics --markdown > docs/metrics.md`` would change nothing."""
    assert METRICS.read_text(encoding="utf-8") == metrics_page()
