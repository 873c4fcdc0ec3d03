"""The agent's own check of a configuration that manifests carry."""

from __future__ import annotations

import re
from pathlib import Path

from quaywatch.cli.registry import all_exporters, all_probes
from quaywatch.config import Settings, load_text

_MOUNTED = "/run/secrets/quaywatch/"


def accepted(text: str, secrets: Path) -> Settings:
    """The settings of a configuration, with something behind each of its references.

    Raises:
        ConfigError: when the agent would refuse it.
    """
    for key in re.findall(rf"{_MOUNTED}([^}}]+)", text):
        (secrets / key).write_text(key)
    environ = {name: f"https://{name}.example.com" for name in re.findall(r"\$\{env:([A-Z_]+)\}", text)}
    return load_text(text.replace(_MOUNTED, f"{secrets}/"), "quaywatch.yaml", environ, all_exporters(), all_probes())
