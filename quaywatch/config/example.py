"""The example configuration: every key with what it does, made from the models.

Keys that must be given, and those that most users want, stand there as they are; the others are comments with their
defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from quaywatch.contract import TargetKind

from .assignments import FileTable, ProbeTable, file_table
from .flow_tables import FlowTable
from .places import fields_of, tables_in
from .settings import Exporters, Probes
from .tables import TARGET_TABLES, Table

_HEADER: Final = """\
# A configuration of Quaywatch. What is commented out shows its default.
#
# Any value may be ${env:NAME}, ${env:NAME:-default} or ${file:PATH}; a $ is written $$. A secret that comes from a
# file is read anew when the file changes, and so are certificates. `quaywatch config check` says what is wrong, with
# file and line.
"""
_NAMES: Final[Mapping[TargetKind, str]] = {
    TargetKind.POSTGRES: "erp-db",
    TargetKind.REDIS: "cache",
    TargetKind.ODOO: "erp",
    TargetKind.HTTP: "edge",
    TargetKind.BACKUP: "backups",
}
_COMMENT_AT: Final = 50
_Line = tuple[str, str]
"""A line without its comment, and the comment."""
_FILLERS: Final[Mapping[Any, Any]] = {int: 1, float: 1.0, str: "...", bool: True}
"""Values for options that must be given and bring no example."""


def example(exporters: Exporters, probes: Probes) -> str:
    """The text of the example; it loads once the environment variables it refers to are set."""
    return _HEADER + "".join(f"{_aligned(line)}\n" for line in _file(file_table(exporters, probes)))


def _aligned(line: _Line) -> str:
    text, comment = line
    return f"{text:<{_COMMENT_AT}}  # {comment}" if comment else text


def _file(model: type[FileTable]) -> Iterator[_Line]:
    blocks = {"targets": _targets, "flows": _flows}
    for name, field in model.model_fields.items():
        yield "", ""
        entry = list(blocks[name]() if name in blocks else _entry(name, field))
        if len(entry) > 1:
            told = str(field.description)
            yield f"# {told[0].upper()}{told[1:]}.", ""
            entry[0] = (entry[0][0], "")
        yield from entry


def _targets() -> Iterator[_Line]:
    yield "targets:", ""
    for kind, table in zip(TargetKind, TARGET_TABLES, strict=True):
        yield f"  {_NAMES[kind]}:", (table.__doc__ or "").rstrip(".")
        yield from _indented(_rows(table), 4)


def _flows() -> Iterator[_Line]:
    yield "# flows:", ""
    yield "#   my_flow:", ""
    yield from ((f"#     {text}", comment) for text, comment in _rows(FlowTable))


def _rows(table: type[Table]) -> Iterator[_Line]:
    for name, field in fields_of(table):
        if name == "targets" and issubclass(table, ProbeTable):
            yield f"targets: [{_NAMES[table.needs]}]", field.description or ""
        else:
            yield from _entry(name, field)


def _entry(name: str, field: FieldInfo) -> Iterator[_Line]:
    table = next(tables_in(field.annotation), None)
    if table is None or get_origin(field.annotation) is Mapping:  # its names are the user's
        yield _scalar(name, field)
        return
    if get_origin(field.annotation) is tuple:
        yield from _list_of_one(name, field, table)
        return
    switched_off = field.default is None and not issubclass(table, ProbeTable)
    block = [(f"{name}:", field.description or ""), *_indented(_rows(table), 2)]
    yield from ((f"# {text}" if switched_off else text, comment) for text, comment in block)


def _list_of_one(name: str, field: FieldInfo, table: type[Table]) -> Iterator[_Line]:
    yield f"# {name}:", field.description or ""
    for number, (text, comment) in enumerate(_rows(table)):
        yield f"#   {'-' if number == 0 else ' '} {text}", comment


def _scalar(name: str, field: FieldInfo) -> _Line:
    text = f"{name}: {_written(_value(field))}".rstrip()
    given = field.is_required() or bool(field.examples)
    return text if given else f"# {text}", field.description or ""


def _value(field: FieldInfo) -> Any:
    if field.examples:
        return field.examples[0]
    if not field.is_required():
        return field.get_default(call_default_factory=True)
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)[0]
    return _FILLERS.get(field.annotation, "...")


def _written(value: Any) -> str:
    """The value on one line of YAML; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f'"{value}"' if "$" in value else _flow(str(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _flow(list(value) if isinstance(value, tuple) else value)


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _indented(lines: Iterable[_Line], by: int) -> Iterator[_Line]:
    return ((" " * by + text, comment) for text, comment in lines)
