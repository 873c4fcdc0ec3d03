"""Alerts as code: symptom rules that page, cause rules that make tickets, a runbook for each.

The metric catalogue and the translation to the store's names are passed in; a rule that names a metric or a label that
does not exist is an error at rendering, not an alert that never fires.
"""

from __future__ import annotations

from .builder import render
from .flows import Flow

__all__ = ["Flow", "render"]
