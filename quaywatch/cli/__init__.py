"""The command line: the composition root, the only room that knows all others."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
