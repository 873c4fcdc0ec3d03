"""What a flow says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from quaywatch.contract import TargetKind

from .paths import AnswerPath
from .texts import NO_ENTRIES, NO_ITEMS, Entries, Items, Node

READING_METHODS: Final = frozenset(
    {
        *("check_access_rights", "context_get", "default_get", "fields_get", "has_access", "name_get", "name_search"),
        *("read", "read_group", "search", "search_count", "search_fetch", "search_read"),
        *("web_read", "web_read_group", "web_search_read"),
    }
)
"""Methods of Odoo's models that change nothing."""
READING_REQUESTS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Operator(StrEnum):
    """What is expected of an answer."""

    STATUS = "status"
    EQUALS = "equals"
    CONTAINS = "contains"
    MATCHES = "matches"
    EXISTS = "exists"
    COUNT = "count"
    LESS_THAN = "less_than"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A method of a model of Odoo's; ``janitor`` is whether the user who may delete calls it."""

    model: str
    method: str
    args: Items = NO_ITEMS
    kwargs: Entries = NO_ENTRIES
    janitor: bool = False

    @property
    def writes(self) -> bool:
        """Whether it may change something, as far as its name tells."""
        return self.method not in READING_METHODS


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request; ``json`` or ``form`` is its content, if it has one."""

    method: str
    path: Node
    headers: Entries = NO_ENTRIES
    json: Node | None = None
    form: Entries | None = None

    @property
    def writes(self) -> bool:
        """Whether it may change something, as far as its method tells."""
        return self.method not in READING_REQUESTS


Act = Call | Request


@dataclass(frozen=True, slots=True)
class Check:
    """An expectation: what is at ``path`` of the answer, or the body as a text where there is no path."""

    operator: Operator
    wanted: Node
    path: AnswerPath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: an act, what is kept of its answer, what is expected of it, and how it is undone.

    ``within`` is for how many seconds it is done again until the answer is as expected; 0 for once.
    """

    name: str
    act: Act
    writes: bool
    saves: tuple[tuple[str, AnswerPath], ...] = ()
    checks: tuple[Check, ...] = ()
    undo: Act | None = None
    within: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Records of Odoo's that bear a run's mark in a field, and the methods that undo them, called in this order."""

    model: str
    field: str
    methods: tuple[str, ...] = ("unlink",)
    janitor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A flow on targets of one kind. ``sweep`` is what its runs may leave, in the order in which it is undone."""

    name: str
    kind: TargetKind
    steps: tuple[Step, ...]
    sweep: tuple[Marked, ...] = ()
