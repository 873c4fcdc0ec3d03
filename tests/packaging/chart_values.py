"""Values of a chart: read, laid over each other, named with dots."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Values = dict[str, Any]


def values_of(path: Path) -> Values:
    """A file with values."""
    loaded: Values = yaml.safe_load(path.read_text())
    return loaded


def merged(*layers: Mapping[str, Any]) -> Values:
    """Values as Helm lays them over each other."""
    result: Values = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def set_at(key: str, value: Any) -> Values:
    """Values with one key, given with dots."""
    for part in reversed(key.split(".")):
        value = {part: value}
    result: Values = value
    return result


def keys(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each key of values that holds no others, with dots, and its value."""
    for key, value in values.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from keys(value, f"{path}.")
        else:
            yield path, value
