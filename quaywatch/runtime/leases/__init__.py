"""Who acts on a shared target when several agents run: one at a time, and never nobody.

`PostgresLeases` and `KubernetesLeases` let one agent act on all targets, its followers on none. `PostgresShards` and
`KubernetesShards` spread the targets over all agents: each is held by one at a time, by its weight among those that
live. While the keeper cannot be reached each goes on with its share and takes nothing more: many agents that all fill
in for the others would make an overload worse that kept them from the keeper. ``docs/scale.md`` says how each fails.
"""

from __future__ import annotations

from .interface import AlwaysHeld, Leases
from .kubernetes import KubernetesLeases
from .kubernetes_shards import KubernetesShards
from .postgres import PostgresLeases
from .postgres_shards import PostgresShards

__all__ = ["AlwaysHeld", "KubernetesLeases", "KubernetesShards", "Leases", "PostgresLeases", "PostgresShards"]
