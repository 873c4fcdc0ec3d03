"""The page of what is covered: complete, and each of its tests exists and names its row."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from exporters import EXPORTERS
from probes import PROBES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coverage.md"
LINE = re.compile(r"\| (\d+) \| (.+) \| yes \|(.*)\|(.*)\|")
QUOTED = re.compile(r"`([^`]+)`")
NAMES = re.compile(r"(Rows?|Wanted) (\d+(?:(?:, | and )\d+)*): ")
"""How a docstring names its rows: `Row 3: `, `Rows 7, 8 and 9: `, `Wanted 7: `."""
FEATURES, MOST_WANTED = 38, 15


@dataclass(frozen=True)
class Entry:
    """A line of one of the page's two tables."""

    number: int
    by: tuple[str, ...]
    rows: tuple[int, ...]
    tests: tuple[str, ...]


def entries(heading: str) -> list[Entry]:
    """The lines of the table below a heading."""
    table = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if re.match(r"\| \d", line)]
    return [entry(line) for line in lines]


def entry(line: str) -> Entry:
    """One line."""
    match = LINE.fullmatch(line)
    assert match, f"not a line of the table: {line}"
    number, _what, third, tests = match.groups()
    rows = tuple(int(word) for word in third.split()) if "`" not in third else ()
    return Entry(int(number), tuple(QUOTED.findall(third)), rows, tuple(QUOTED.findall(tests)))


@cache
def docstrings(file: str) -> dict[str, str]:
    """The tests of a file, and how each begins."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse((ROOT / file).read_text())
    return {node.name: ast.get_docstring(node) or "" for node in tree.body if isinstance(node, functions)}


def named(test: str) -> set[tuple[str, int]]:
    """The rows that a test's docstring begins with, of which table."""
    file, _, name = test.partition("::")
    assert name in docstrings(file), f"there is no {test}"
    match = NAMES.match(docstrings(file)[name])
    table = "wanted" if match and match[1] == "Wanted" else "row"
    return {(table, int(number)) for number in re.findall(r"\d+", match[2])} if match else set()


ROWS = entries("What a complete agent has")
WANTED = entries("What is asked for most")


def test_the_tables_are_complete() -> None:
    """Every row is there once and in order, and is covered."""
    assert [row.number for row in ROWS] == list(range(1, FEATURES + 1))
    assert [wish.number for wish in WANTED] == list(range(1, MOST_WANTED + 1))
    assert [row.number for row in ROWS if not row.tests or not row.by] == []
    assert [wish.number for wish in WANTED if not wish.tests and not wish.rows] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_row_is_named_by_its_tests(row: Entry) -> None:
    """Each test exists, and its docstring begins with the row; what covers it exists too."""
    assert [test for test in row.tests if ("row", row.number) not in named(test)] == []
    parts = {*(exporter.name for exporter in EXPORTERS), *(probe.name for probe in PROBES)}
    assert [part for part in row.by if part not in parts and not (ROOT / part).is_file()] == []


@pytest.mark.parametrize("wish", WANTED, ids=lambda wish: str(wish.number))
def test_a_wish_is_covered_by_rows_or_named_by_its_tests(wish: Entry) -> None:
    """Its rows exist, and each test of its own begins with its number."""
    assert {*wish.rows} <= {row.number for row in ROWS}
    assert [test for test in wish.tests if ("wanted", wish.number) not in named(test)] == []
