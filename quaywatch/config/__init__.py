"""Configuration: one YAML file, validated against what exporters and probes declare, every fault with its line.

Exporters and probes are passed in: this room knows none of them.
"""

from __future__ import annotations

from .example import example
from .listening import listens
from .load import load, load_text
from .maintenance import WindowTable
from .records import faulty_record, load_record
from .reload import Reloader, follow
from .schema import json_schema
from .settings import Exporters, Probes, Settings

__all__ = [
    "Exporters",
    "Probes",
    "Reloader",
    "Settings",
    "WindowTable",
    "example",
    "faulty_record",
    "follow",
    "json_schema",
    "listens",
    "load",
    "load_record",
    "load_text",
]
