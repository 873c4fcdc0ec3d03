"""Configuration: one YAML file, validated against what exporters and probes declare, every fault with its line.

Exporters and probes are passed in: this room knows none of them.
"""

from __future__ import annotations

from .load import load, load_text
from .settings import Exporters, Probes, Settings

__all__ = ["Exporters", "Probes", "Settings", "load", "load_text"]
