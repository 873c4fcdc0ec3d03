"""What the project says that it needs is what it uses, and what is tested."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WRITTEN = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
DECLARED: dict[str, Requirement] = {str(canonicalize_name(wanted.name)): wanted for wanted in map(Requirement, WRITTEN)}
LOCKED = dict(re.findall(r"^([\w.-]+)==([^ ]+)", (ROOT / "locks/browser.txt").read_text(), re.MULTILINE))
ROOMS = ("quaywatch", "exporters", "probes", "otel_config", "dashboards", "alerts")
NOT_IMPORTED = {"tzdata"}
"""The standard library reads it, where the system has none."""


@pytest.mark.parametrize("name", DECLARED)
def test_a_bound_is_what_is_tested(name: str) -> None:
    """The lock is within the bounds, and the lower one is of its release: nobody tries an older one."""
    wanted, tested = DECLARED[name], Version(LOCKED[name])
    assert wanted.specifier.contains(tested)
    (least,) = [Version(one.version) for one in wanted.specifier if one.operator == ">="]
    assert least.release == tested.release[: len(least.release)]


def imported() -> Iterator[str]:
    """The top of everything that the packaged rooms import."""
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                yield node.module.partition(".")[0]


def test_what_is_imported_is_declared() -> None:
    """Nothing is there only since something else needs it, and nothing is asked for in vain."""
    strange = set(imported()) - sys.stdlib_module_names - set(ROOMS)
    owners = {top: {canonicalize_name(owner) for owner in packages_distributions()[top]} for top in strange}
    assert {top: found for top, found in owners.items() if not found & DECLARED.keys()} == {}
    assert DECLARED.keys() - set().union(*owners.values()) == NOT_IMPORTED
