"""Marks: what the records of a probe's run bear, so that every agent finds them again, and touches no others."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("4c9b7a52-3d0e-5f0c-9a6b-1f2f6f3f8d21")


def run_id(*, installation: str, target: str, database: str, probe: str, tick: float) -> str:
    """The id of a run: the same on every agent and in every attempt for the same tick (Unix seconds)."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join((installation, target, database, probe, f"{tick:.3f}"))))


def mark_prefix(installation: str, probe: str) -> str:
    """What all marks of a probe of one installation begin with."""
    return f"quaywatch/{installation}/{probe}/"
