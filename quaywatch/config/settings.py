"""The settings: what a configuration means, validated and immutable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaywatch.contract import Exporter, ExporterTask, Probe, ProbeTask
from quaywatch.script import Flow

from .browser_table import BrowserTable
from .discovery_table import DiscoveryTable
from .maintenance import WindowTable
from .tables import AnyTarget, LeaseTable, PostgresTable, TelemetryTable

Exporters = Mapping[str, Exporter[Any, Any, Any]]
Probes = Mapping[str, Probe[Any, Any]]
FlowProbe = Callable[[Flow], Probe[Any, Any]]
"""Makes the probe that carries out a flow."""


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
    of_pods: tuple[ExporterTask, ...]
    """The exporters that read discovered targets of their kind."""
    probes: Mapping[str, tuple[ProbeTask, ...]]
    """What each target's probes are, by the target's name."""
    flows: Probes
    """The probes made of the file's own flows, whether they run anywhere or not."""
    maintenance: tuple[WindowTable, ...]
    telemetry: TelemetryTable
    discovery: DiscoveryTable | None
    lease: LeaseTable | None
    """None when there is nobody to share with."""
    browser: BrowserTable
    files: frozenset[Path]

    @property
    def lease_target(self) -> str | None:
        """The target that holds the lease: the named one, else the first that can; None where no target does."""
        if self.lease is None or self.lease.kubernetes is not None:
            return None
        if self.lease.target is not None:
            return self.lease.target
        able = (name for name, table in self.targets.items() if isinstance(table, PostgresTable) and not table.pooled)
        return next(able, None)
