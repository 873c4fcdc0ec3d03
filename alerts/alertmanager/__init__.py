"""Alertmanager's configuration, rendered from who is to be told, the objectives and the maintenance windows; and cases.

`alerts.alertmanager.trial` plays cases to a real Alertmanager.
"""

from __future__ import annotations

from .cases import Case, Cases, Event
from .faults import FaultyKeysError
from .render import render
from .routing import Destination, Route, Routing
from .windows import OverlapError, Weekly, Window

__all__ = [
    "Case",
    "Cases",
    "Destination",
    "Event",
    "FaultyKeysError",
    "OverlapError",
    "Route",
    "Routing",
    "Weekly",
    "Window",
    "render",
]
