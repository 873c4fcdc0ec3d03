"""Flows that a user writes: what they say, their texts with variables, and the ways into answers.

Standard library only. The configuration makes these records and checks them, the probes carry them out.
"""

from __future__ import annotations

from .paths import AnswerPath
from .records import Act, Call, Check, Flow, Marked, Operator, Request, Step
from .texts import (
    NO_ENTRIES,
    NO_ITEMS,
    Entries,
    Items,
    Node,
    Plain,
    Text,
    UnknownValueError,
    Variable,
    rendered,
    shortened,
    variables,
)

__all__ = [
    "NO_ENTRIES",
    "NO_ITEMS",
    "Act",
    "AnswerPath",
    "Call",
    "Check",
    "Entries",
    "Flow",
    "Items",
    "Marked",
    "Node",
    "Operator",
    "Plain",
    "Request",
    "Step",
    "Text",
    "UnknownValueError",
    "Variable",
    "rendered",
    "shortened",
    "variables",
]
