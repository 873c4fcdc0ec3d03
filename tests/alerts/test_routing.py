"""The example of an Alertmanager configuration: sound, and sending each alert where it belongs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

import alerts
from sandbox.parts.binaries import binaries

ROOM = Path(alerts.__file__).parent
EXAMPLE = ROOM / "alertmanager" / "alertmanager.yml"
RULES = [
    rule
    for group in yaml.safe_load((ROOM / "rules" / "quaywatch.yml").read_text())["groups"]
    for rule in group["rules"]
    if rule.get("labels", {}).get("severity") in {"page", "ticket"}
]
RECEIVERS = {"page": "pager", "ticket": "tickets"}


@pytest.fixture(scope="module")
def amtool() -> Path:
    """Alertmanager's own judge of configurations."""
    return binaries().amtool


def test_alertmanager_takes_the_example(amtool: Path) -> None:
    """It starts with it as it is."""
    subprocess.run([amtool, "check-config", EXAMPLE], check=True, capture_output=True)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_reaches_its_receiver(rule: dict[str, dict[str, str]], amtool: Path) -> None:
    """Pages go to the pager, tickets to the tickets, and nothing anywhere else."""
    labels = [f"{name}={value}" for name, value in rule["labels"].items()]
    receiver = RECEIVERS[rule["labels"]["severity"]]
    words = ["config", "routes", "test", f"--config.file={EXAMPLE}", f"--verify.receivers={receiver}", *labels]
    subprocess.run([amtool, *words], check=True, capture_output=True)
