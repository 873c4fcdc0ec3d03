"""When work is done: on a grid, spread, never twice at a time, so many at once, until a deadline."""

from __future__ import annotations

from .scheduler import Job, Scheduler

__all__ = ["Job", "Scheduler"]
