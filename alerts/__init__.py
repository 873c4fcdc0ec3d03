"""Alerts as code: symptoms that page or make tickets, causes that make tickets, budgets, and a runbook for each alert.

The metric catalogue and the translation to the store's names are passed in; a rule that names a metric or a label that
does not exist is an error at rendering, not an alert that never fires.
"""

from __future__ import annotations

from .budget import ObjectiveError
from .builder import render
from .objectives import Objectives
from .promises import Flow
from .rule import Places

__all__ = ["Flow", "ObjectiveError", "Objectives", "Places", "render"]
