"""Values with variables in their texts, such as ``{name: "Probe ${mark}"}``.

Frozen and equal by what they say, so that a reload sees whether a flow has changed. No expressions: a variable is
replaced by its value and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from quaywatch.errors import ConfigError, WrongResultError
from quaywatch.secret import Secret

_LONGEST: Final = 60


class UnknownValueError(LookupError):
    """A variable has no value: the step that would have saved it did not come so far."""


@dataclass(frozen=True, slots=True)
class Variable:
    """``${name}``."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text with variables, or with what a reference stands for."""

    parts: tuple[str | Variable | Secret, ...]


@dataclass(frozen=True, slots=True)
class Plain:
    """Any value without variables, as JSON: equal values of different types stay apart so."""

    json: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Entries:
    """A table."""

    entries: tuple[tuple[str, Node], ...] = ()


NO_ITEMS: Final = Items()
NO_ENTRIES: Final = Entries()
Node = Plain | Text | Items | Entries
Values = Mapping[str, Any]
"""What the variables stand for."""


def variables(node: Node) -> Iterator[str]:
    """The names of all variables in a value."""
    match node:
        case Text(parts):
            yield from (part.name for part in parts if isinstance(part, Variable))
        case Items(items):
            for item in items:
                yield from variables(item)
        case Entries(entries):
            for _, entry in entries:
                yield from variables(entry)


def rendered(node: Node, values: Values, written: Callable[[str], str] = str) -> Any:
    """The value with its variables replaced; a text that is one variable and nothing else keeps its type.

    ``written`` is applied to what replaces a variable within a text, such as quoting.

    Raises:
        UnknownValueError: when a variable has no value yet.
        WrongResultError: when what is saved is no text or number, and stands within a text.
        ConfigError: when the file of a secret cannot be read.
    """
    match node:
        case Plain(text):
            return json.loads(text)
        case Items(items):
            return [rendered(item, values, written) for item in items]
        case Entries(entries):
            return {name: rendered(entry, values, written) for name, entry in entries}
        case Text((Variable(name),)) if written is str:
            return _value(name, values)
        case Text(parts):
            return "".join(_part(part, values, written) for part in parts)


def shortened(node: Node) -> str:
    """How a value is named in a message: as it was written, cut short, with no secret and no variable's value."""
    text = node.json if isinstance(node, Plain) else _sketch(node)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _sketch(node: Node) -> str:
    if isinstance(node, Text):
        return "".join(f"${{{part.name}}}" if isinstance(part, Variable) else str(part) for part in node.parts)
    return "a list" if isinstance(node, Items) else "a table"


def _value(name: str, values: Values) -> Any:
    if name not in values:
        raise UnknownValueError(name)
    return values[name]


def _part(part: str | Variable | Secret, values: Values, written: Callable[[str], str]) -> str:
    if isinstance(part, Variable):
        return written(_inserted(part.name, values))
    return part if isinstance(part, str) else _revealed(part)


def _inserted(name: str, values: Values) -> str:
    value = _value(name, values)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongResultError(f"${{{name}}} is neither text nor number, and stands within a text")
    return str(value)


def _revealed(secret: Secret) -> str:
    try:
        return secret.reveal()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file of a secret cannot be read", remedy="look at the references of the flow") from error
