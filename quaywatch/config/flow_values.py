"""The types of single values in flows: names, ways into answers, values with variables."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from quaywatch.script import AnswerPath, Entries, Items, Node, Plain

from .references import ScriptText
from .sentences import refusal

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def _script_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise refusal("flow_name", given=value)
    return value


ScriptName = Annotated[
    str, AfterValidator(_script_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
"""A name of a flow, a step or a saved value."""
ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$")]
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
MethodName = Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9_]*$")]


def node(value: Any) -> Node:
    """A value of the file with its variables; tables and lists that have none are one value."""
    if isinstance(value, Node):
        return value
    if isinstance(value, ScriptText):
        return value.text
    if isinstance(value, dict):
        entries = tuple((str(name), node(entry)) for name, entry in value.items())
        return Plain(_text(value)) if all(isinstance(entry, Plain) for _, entry in entries) else Entries(entries)
    if isinstance(value, list):
        items = tuple(map(node, value))
        return Plain(_text(value)) if all(isinstance(item, Plain) for item in items) else Items(items)
    return Plain(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise refusal("finite_number")
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        raise refusal("json_value", value=value) from None


def _items(value: Any) -> Items:
    if isinstance(value, Items):
        return value
    if not isinstance(value, list):
        raise refusal("tuple_type", given=value)
    return Items(tuple(map(node, value)))


def _entries(value: Any) -> Entries:
    if isinstance(value, Entries):
        return value
    if not isinstance(value, dict):
        raise refusal("dict_type", given=value)
    return Entries(tuple((str(name), node(entry)) for name, entry in value.items()))


def _answer_path(value: Any) -> AnswerPath:
    if isinstance(value, AnswerPath):
        return value
    if not isinstance(value, str):
        raise refusal("string_type", given=value)
    try:
        return AnswerPath.of(value)
    except ValueError as error:
        raise refusal("answer_path", text=repr(value), why=str(error)) from None


JsonValue = Annotated[Node, PlainValidator(node), WithJsonSchema({})]
"""Any value of JSON, its texts with variables."""
JsonItems = Annotated[Items, PlainValidator(_items), WithJsonSchema({"type": "array"})]
JsonTable = Annotated[Entries, PlainValidator(_entries), WithJsonSchema({"type": "object"})]
PathText = Annotated[AnswerPath, PlainValidator(_answer_path), WithJsonSchema({"type": "string", "pattern": r"^\$"})]
"""A way into an answer."""
