"""Marks: what the records of a probe's run bear, so that every agent finds them again, and touches no others."""

from __future__ import annotations

import secrets
import uuid
from typing import Final

PROCESS: Final = secrets.token_hex(4)
"""What tells the marks of this process from those of another agent that runs the same tick."""
_NAMESPACE = uuid.UUID("4c9b7a52-3d0e-5f0c-9a6b-1f2f6f3f8d21")


def run_id(*, installation: str, target: str, database: str, probe: str, tick: float) -> str:
    """The id of a run: the same on every agent and in every attempt for the same tick (Unix seconds)."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join((installation, target, database, probe, f"{tick:.3f}"))))


def mark_prefix(installation: str, probe: str) -> str:
    """What all marks of a probe of one installation begin with."""
    return f"quaywatch/{installation}/{probe}/"


def mark(installation: str, probe: str, run: str, process: str = PROCESS) -> str:
    """What the records of a run bear.

    It ends in the process: while leases overlap two agents run one tick, and neither may undo what the other is at. An
    attempt of the same process finds what one before it left; what a dead process left is swept.
    """
    return f"{mark_prefix(installation, probe)}{run}/{process}"


def run_of(mark: str) -> str:
    """A mark without its process: the same for all agents that ran the tick."""
    return mark.rpartition("/")[0]
