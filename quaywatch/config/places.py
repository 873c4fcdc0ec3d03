"""From pydantic's way through the models to the way in the file, and to what may stand there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic.fields import FieldInfo

from quaywatch.contract import TargetKind

from .faults import Key
from .tables import TARGET_TABLES, Table, TargetTable

_VARIANT_AT: Final = 2
"""Where pydantic puts the chosen kind of a target: ``targets.NAME.KIND.key``."""
_KINDS: Final = dict(zip(TargetKind, TARGET_TABLES, strict=True))


def key_in_file(place: Key, values: Any, *, missing: bool = False) -> Key:
    """The way in the file; steps that only the models have are left out: kinds, members of unions.

    ``missing`` says that the last step is one that the file lacks.
    """
    if _through_a_kind(place):
        place = (*place[:_VARIANT_AT], *place[_VARIANT_AT + 1 :])
    key: list[str | int] = []
    for step in place[:-1] if missing else place:
        if _has(values, step):
            values = values[step]
            key.append(step)
    return (*key, place[-1]) if missing else tuple(key)


def allowed_keys(place: Key, model: type[Table]) -> tuple[str, ...]:
    """The keys of the table at a place of pydantic's, below the model of the whole file."""
    table = model
    if _through_a_kind(place):
        table, place = _KINDS[TargetKind(str(place[_VARIANT_AT]))], place[_VARIANT_AT + 1 :]
    for step in place:
        if step in table.model_fields:
            table = next(tables_in(table.model_fields[str(step)].annotation), table)
    return tuple(name for name, _ in fields_of(table))


def fields_of(table: type[Table]) -> list[tuple[str, FieldInfo]]:
    """The keys of a table in the order for a reader: a target's kind first, what all targets have last."""
    fields = [(field.alias or name, field) for name, field in table.model_fields.items()]
    if issubclass(table, TargetTable):
        fields.sort(key=lambda item: (item[0] != "kind", item[0] in TargetTable.model_fields))
    return fields


def tables_in(annotation: Any) -> Iterator[type[Table]]:
    """The tables that a field of this type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        yield annotation
    for argument in get_args(annotation):
        yield from tables_in(argument)


def _through_a_kind(place: Key) -> bool:
    return place[:1] == ("targets",) and len(place) > _VARIANT_AT and place[_VARIANT_AT] in set(TargetKind)


def _has(values: Any, step: str | int) -> bool:
    if isinstance(values, dict):
        return step in values
    return isinstance(values, list) and isinstance(step, int) and step < len(values)
