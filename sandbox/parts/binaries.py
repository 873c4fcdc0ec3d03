"""The command-line tools that come with the sandbox's servers, for those who check rules and configurations."""

from dataclasses import dataclass
from pathlib import Path

from . import alertmanager, prometheus, victoriametrics


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """Where each tool lies in the cache."""

    promtool: Path
    amtool: Path
    vmalert: Path
    vmalert_tool: Path


def binaries() -> Binaries:
    """The tools, fetched when not yet there."""
    metrics = victoriametrics.programs()
    return Binaries(
        promtool=prometheus.programs() / "promtool",
        amtool=alertmanager.programs() / "amtool",
        vmalert=metrics / "vmalert",
        vmalert_tool=metrics / "vmalert-tool",
    )
