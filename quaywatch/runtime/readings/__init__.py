"""What exporters read: asked for in turn, tenant by tenant, and kept with its age until it is too old to be told."""

from __future__ import annotations

from .collection import PING, Collection
from .store import Source, Store
from .tours import Tour, sharing_visits

__all__ = ["PING", "Collection", "Source", "Store", "Tour", "sharing_visits"]
