"""What the agent serves to people and takes from programs: its page, its health, notices of what was done."""

from __future__ import annotations

from .history import History
from .notices import Notices
from .server import Sources, StatusServer

__all__ = ["History", "Notices", "Sources", "StatusServer"]
