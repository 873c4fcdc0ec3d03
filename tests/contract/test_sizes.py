"""Code stays in pieces that a reader can hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("quaywatch", "exporters", "probes", "otel_config", "dashboards", "alerts", "sandbox", "bench", "tests")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file with the number of its lines, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield f"{path.relative_to(ROOT)}:{node.name}", node.end_lineno - node.lineno + 1 - docstring(node)  # type: ignore[operator]


def docstring(node: Function) -> int:
    """How many lines the docstring of a function takes."""
    first = node.body[0]
    return first.end_lineno - first.lineno + 1 if ast.get_docstring(node) and first.end_lineno else 0


def test_functions_are_small() -> None:
    """No function is above 60 lines; the median is 9 at most, and nine of ten have no more than 30."""
    sizes = dict(function for path in FILES for function in functions(path))
    ordered = sorted(sizes.values())
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert median(ordered) <= 9
    assert ordered[len(ordered) * 9 // 10] <= 30


@pytest.mark.parametrize("room", ROOMS)
def test_files_are_small(room: str) -> None:
    """No file has 500 lines or more."""
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: count for name, count in lines.items() if name.startswith(f"{room}/") and count >= 500} == {}
