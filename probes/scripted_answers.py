"""Answers in flows that a user writes: what is taken out of them, and whether they are as expected.

What an answer holds is somebody's datum and is never repeated in a message: only what was expected, and of what kind
and size the other thing is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from quaywatch.contract import Answer
from quaywatch.drivers.json_answers import read_json
from quaywatch.errors import WrongResultError
from quaywatch.script import AnswerPath, Check, Operator, rendered, shortened

_MISSING: Final = object()
_SHORTER: Final = "ask the server for less, or look at the whole text without a way into it"


@dataclass(frozen=True)
class Reply:
    """What Odoo returned, or a server's whole answer."""

    returned: Any = None
    answer: Answer | None = None

    @cached_property
    def content(self) -> Any:
        """What a way leads into.

        Raises:
            ParseError: when a server's answer is not JSON, or too long for it.
        """
        if self.answer is None:
            return self.returned
        return read_json(self.answer.body, "the answer, into which there are ways,", _SHORTER)

    @property
    def whole(self) -> Any:
        """What is looked at without a way: what Odoo returned, or the text of the body."""
        return self.returned if self.answer is None else self.answer.body.decode("utf-8", "replace")


def value_at(reply: Reply, path: AnswerPath) -> Any:
    """What is at the end of a way.

    Raises:
        WrongResultError: when nothing is.
    """
    try:
        return path.find(reply.content)
    except LookupError as error:
        raise WrongResultError(f"there is nothing at {path.text} of the answer") from error


def refuse(check: Check, reply: Reply, values: Mapping[str, Any]) -> None:
    """Nothing, when an answer is as expected; the status is looked at elsewhere.

    Raises:
        WrongResultError: saying what is expected.
    """
    if check.operator is Operator.STATUS:
        return
    where = check.path.text if check.path else "the answer"
    found = _found(check, reply)
    wanted = rendered(check.wanted, values)
    if check.operator is Operator.EXISTS:
        if (found is not _MISSING) != wanted:
            raise WrongResultError(f"{where} is {'missing' if wanted else 'there'}")
        return
    if found is _MISSING:
        raise WrongResultError(f"there is nothing at {where} of the answer")
    if not _TESTS[check.operator](found, wanted):
        words = _WORDS[check.operator].format(shortened(check.wanted))
        raise WrongResultError(f"{where} is {_sketch(found)}; {words} is expected")


def _found(check: Check, reply: Reply) -> Any:
    if check.path is None:
        return reply.whole
    try:
        return check.path.find(reply.content)
    except LookupError:
        return _MISSING


def same(found: Any, wanted: Any) -> bool:
    """Whether two values of JSON are equal: true is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[name], wanted[name]) for name in found)
    return bool(found == wanted)


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    return isinstance(found, list) and any(same(item, wanted) for item in found)


def _matches(found: Any, wanted: Any) -> bool:
    return isinstance(found, str) and re.search(wanted, found) is not None


def _counts(found: Any, wanted: Any) -> bool:
    return isinstance(found, list | dict) and len(found) == wanted


def _is_less(found: Any, wanted: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and found < wanted


def _sketch(value: Any) -> str:
    """Of what kind and size a value is."""
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"a table of {len(value)}" if isinstance(value, dict) else "a number"


_TESTS: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.EQUALS: same,
    Operator.CONTAINS: _contains,
    Operator.MATCHES: _matches,
    Operator.COUNT: _counts,
    Operator.LESS_THAN: _is_less,
}
_WORDS: Final[Mapping[Operator, str]] = {
    Operator.EQUALS: "{}",
    Operator.CONTAINS: "something with {} in it",
    Operator.MATCHES: "a text that matches {}",
    Operator.COUNT: "a list or table of {}",
    Operator.LESS_THAN: "a number less than {}",
}
