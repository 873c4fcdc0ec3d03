"""A YAML file as a frozen dataclass that another room declares, with faults told as those of the configuration are.

The dataclass needs nothing but the standard library. Its fields are numbers, texts, literals, other such dataclasses,
mappings of names to any of these, and tuples of them; what concerns several fields is refused in ``__post_init__`` by a
ValueError that begins with the key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from pydantic import Field, ValidationError, create_model, model_validator
from pydantic_core import ErrorDetails

from quaywatch.errors import ConfigError

from .document import Document, read_document
from .faults import Fault, FaultyFileError, Key
from .places import allowed_keys, key_in_file
from .sentences import sentence
from .tables import OrDefault, Table
from .values import Number, Text, Whole

R = TypeVar("R")
_EXACT: Mapping[Any, Any] = {int: Whole, float: Number, str: Text}


class RecordTable(Table):
    """The table of a record: what the file says, and the record made of it."""

    record_type: ClassVar[type[Any]]

    @model_validator(mode="after")
    def _is_meant(self) -> RecordTable:
        self.record()
        return self

    def record(self) -> Any:
        """The record.

        Raises:
            ValueError: when it refuses its values.
        """
        return self.record_type(**{name: _built(getattr(self, name)) for name in self.model_fields_set})


def load_record(path: Path, kind: type[R]) -> R:
    """The record in a file; what the file leaves out has its default.

    Raises:
        ConfigError: when the file cannot be read, or with one line ``file:line: key: what is wrong`` for each fault.
    """
    try:
        document = read_document(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {why}", remedy="name a file that can be read") from error
    record = None if document.faults else _validated(document, kind)
    if record is None:
        raise FaultyFileError(str(path), document.faults)
    return record


def faulty_record(path: Path, wrong: Iterable[tuple[Key, str]]) -> ConfigError:
    """The error for what only turned out when a record was used: each key, and what is wrong there and would be right.

    Raises:
        OSError: when the file has gone meanwhile.
    """
    document = read_document(path.read_text(encoding="utf-8"))
    return FaultyFileError(str(path), [Fault(document.line(key), key, what, "record") for key, what in wrong])


def _validated(document: Document, kind: type[R]) -> R | None:
    table = _table_of(kind)
    try:
        made: R = table.model_validate({} if document.values is None else document.values).record()
    except ValidationError as error:
        document.faults += [_fault(details, document, table) for details in error.errors(include_url=False)]
        return None
    return made


def _table_of(kind: type[Any]) -> type[RecordTable]:
    hints = get_type_hints(kind)
    fields: dict[str, Any] = {field.name: (_type(hints[field.name]), _default(field)) for field in _fields(kind)}
    table = create_model(kind.__name__, __base__=RecordTable, **fields)
    table.record_type = kind
    return table


def _fields(kind: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(kind)


def _default(field: dataclasses.Field[Any]) -> Any:
    given = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return Field(default=None if given else ...)


def _type(hint: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        or_default: Any = OrDefault  # of a model that is made at run time
        return or_default[_table_of(hint)]
    if get_origin(hint) is Mapping:
        name, value = get_args(hint)
        mapping: Any = Mapping  # of a model that is made at run time
        return mapping[name, _type(value)]
    if get_origin(hint) is tuple:
        entries: Any = tuple  # as above
        return entries[_type(get_args(hint)[0]), ...]
    return _EXACT.get(hint, hint)


def _built(value: Any) -> Any:
    if isinstance(value, RecordTable):
        return value.record()
    if isinstance(value, tuple):
        return tuple(map(_built, value))
    return {name: _built(entry) for name, entry in value.items()} if isinstance(value, Mapping) else value


def _fault(details: ErrorDetails, document: Document, table: type[Table]) -> Fault:
    rule = details["type"]
    facts = {**details.get("ctx", {}), "given": details["input"]}
    key: Key = key_in_file(details["loc"], document.values, missing=rule == "missing")
    if rule == "extra_forbidden":
        facts |= {"name": str(key[-1]), "allowed": allowed_keys(details["loc"][:-1], table)}
    what = sentence(rule, facts, details["msg"])
    if rule == "value_error":
        key, what = _of_its_keys(key, what, document)
    return Fault(document.line(key), key, what, rule)


def _of_its_keys(key: Key, what: str, document: Document) -> tuple[Key, str]:
    """A record's own refusal belongs to the keys that it begins with."""
    name, colon, rest = what.partition(": ")
    inner = (*key, name)
    return _of_its_keys(inner, rest, document) if colon and inner in document.keys else (key, what)
