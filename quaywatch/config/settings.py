"""The settings: what a configuration means, validated and immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaywatch.contract import Exporter, ExporterTask, Probe, ProbeTask, TargetKind

from .tables import AnyTarget, LeaseTable, TelemetryTable

Exporters = Mapping[str, Exporter[Any, Any, Any]]
Probes = Mapping[str, Probe[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A validated configuration.

    ``files`` are the secret files it refers to. Equal settings mean the same.
    """

    environment: str
    installation: str
    targets: Mapping[str, AnyTarget]
    exporters: Mapping[str, tuple[ExporterTask, ...]]
    """What each target's exporters are, by the target's name."""
    probes: Mapping[str, tuple[ProbeTask, ...]]
    """What each target's probes are, by the target's name."""
    telemetry: TelemetryTable
    lease: LeaseTable | None
    """None when there is nobody to share with."""
    files: frozenset[Path]

    def of_kind(self, kind: TargetKind) -> tuple[str, ...]:
        """Names of the targets of a kind, in the order of the file."""
        return tuple(name for name, target in self.targets.items() if target.kind is kind)
