"""Shared targets spread over all agents of an installation, instead of one agent that acts on all of them.

Both kinds implement `quaywatch.runtime.leases.Leases`: a target is held by one agent at a time, by its weight among
those that live. While the keeper cannot be reached each goes on with its share and takes nothing more: many agents that
all fill in for the others would make an overload worse that kept them from the keeper. ``docs/scale.md`` says how each
of them fails.
"""

from __future__ import annotations

from .kubernetes import KubernetesShards
from .postgres import PostgresShards

__all__ = ["KubernetesShards", "PostgresShards"]
