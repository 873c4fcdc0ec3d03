"""The Collector configuration that users start from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import otel_config
from sandbox.parts import collector

# The Collector is compiled on a machine that has none yet.
pytestmark = pytest.mark.timeout(1200)
EXAMPLE = Path(otel_config.__file__).parent / "collector" / "agent.yaml"


def validated(config: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """What the Collector says to a configuration."""
    argv = [str(collector.program()), "validate", "--config", f"file:{config}"]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)


def test_the_example_is_valid() -> None:
    """With both stores named, as its comments ask for."""
    store = "http://localhost:8428/opentelemetry"
    done = validated(EXAMPLE, METRICS_ENDPOINT=store, TRACES_ENDPOINT=store)
    assert done.returncode == 0, done.stderr


def test_a_store_that_is_not_named_is_an_error() -> None:
    """It does not send into nowhere."""
    assert validated(EXAMPLE).returncode != 0
