"""Which pods stand on this agent's node, from moment to moment."""

from __future__ import annotations

from .following import Following, PodSource, matters

__all__ = ["Following", "PodSource", "matters"]
