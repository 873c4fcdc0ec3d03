"""The page on telemetry is about what is there."""

from __future__ import annotations

import re
from collections import UserDict
from pathlib import Path
from typing import Any

from otel_config.catalogue import METRICS
from otel_config.environment import OtlpFile, otlp_settings
from otel_config.outcome import DOUBTFUL_TRIES

PAGE = (Path(__file__).parents[2] / "docs/telemetry.md").read_text()
OF_A_SIGNAL = re.compile(r"OTEL_EXPORTER_OTLP_(?:METRICS_|TRACES_|LOGS_)?([A-Z_]+)")
"""Variables that are there for each signal stand on the page by their last part."""


class Asked(UserDict[str, str]):
    """An environment without variables, which remembers those that were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        """Nothing is set."""
        self.names.add(key)
        return default


def told(name: str) -> bool:
    """Whether the page says what becomes of a variable."""
    found = OF_A_SIGNAL.fullmatch(name)
    return f"`{name}`" in PAGE or (found is not None and f"`{found[1]}`" in PAGE)


def test_every_variable_that_is_looked_at_is_on_the_page() -> None:
    """Respected or refused: whoever sets one finds what becomes of it."""
    environment = Asked()
    otlp_settings(OtlpFile(metrics=True, traces=True, logs=True), environment)
    assert len(environment.names) > 40
    assert sorted(name for name in environment.names if not told(name)) == []


def test_what_the_export_says_of_itself_is_on_the_page() -> None:
    """Every metric but the time of the last success, which needs no explanation."""
    assert {metric.name for metric in METRICS if metric.name not in PAGE} == {"quaywatch.export.last_success.time"}
    assert {10: "tried ten times"}[DOUBTFUL_TRIES] in PAGE
