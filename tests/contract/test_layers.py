"""The floors of the house: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

GROUND = {
    "quaywatch",
    "quaywatch.clock",
    "quaywatch.contract",
    "quaywatch.errors",
    "quaywatch.script",
    "quaywatch.secret",
}
"""Floor 0. ``quaywatch`` itself holds nothing but the version."""

MAY_IMPORT = {
    "quaywatch.clock": set(),
    "quaywatch.contract": set(),
    "quaywatch.errors": {"quaywatch.contract"},
    "quaywatch.secret": set(),
    "quaywatch.script": {"quaywatch.contract", "quaywatch.errors", "quaywatch.secret"},
    "quaywatch.drivers": GROUND,
    "exporters": GROUND | {"quaywatch.drivers"},
    "probes": GROUND | {"quaywatch.drivers"},
    "otel_config": GROUND | {"quaywatch.drivers"},
    "quaywatch.runtime": GROUND | {"quaywatch.drivers"},
    "quaywatch.config": GROUND | {"quaywatch.drivers"},
    "dashboards": {"quaywatch.contract"},
    "alerts": {"quaywatch.contract"},
}
"""Each room below the composition root, and what of ours it may import besides itself."""

OURS = {"quaywatch", "exporters", "probes", "otel_config", "dashboards", "alerts", "sandbox", "tests", "bench"}
STANDARD_LIBRARY_ONLY = (
    "quaywatch.clock",
    "quaywatch.contract",
    "quaywatch.errors",
    "quaywatch.script",
    "quaywatch.secret",
)
FACES = (
    "quaywatch.drivers.browser",
    *(
        f"quaywatch.runtime.{name}"
        for name in ("discovery", "evidence", "leases", "probing", "readings", "schedule", "web")
    ),
)
"""Packages that others know by what their ``__init__`` names, and by nothing behind it."""


def module_name(path: Path) -> str:
    """The dotted name of a module file of the project."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_of(room: str) -> list[Path]:
    """All module files of a room; a room may be one file."""
    place = ROOT.joinpath(*room.split("."))
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def imported(path: Path) -> Iterator[str]:
    """The absolute names of all modules that a file of the project imports."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    return imports_in(path.read_text(), package)


def imports_in(source: str, package: str) -> Iterator[str]:
    """The absolute names of all modules that a source imports, also inside functions and for types only."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ([f"{stem}.{alias.name}" for alias in node.names] if stem in OURS else [stem])


def inside(module: str, rooms: set[str]) -> bool:
    """Whether a module is one of these rooms or lies in one; ``quaywatch`` stands for its version alone."""
    return any(module == room or (room != "quaywatch" and module.startswith(room + ".")) for room in rooms)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_floors_below_it(room: str) -> None:
    """No module of a room imports a sibling, the composition root or a test."""
    allowed = MAY_IMPORT[room] | {room, "quaywatch.__version__"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules_of(room)
        for name in imported(path)
        if name.partition(".")[0] in OURS and not inside(name, allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize("face", FACES)
def test_a_package_is_known_by_its_face(face: str) -> None:
    """Outside it nobody shipped imports a module of it."""
    shipped = [path for room in ("quaywatch", *MAY_IMPORT) for path in modules_of(room)]
    outside = [path for path in shipped if not module_name(path).startswith(face)]
    assert [str(path) for path in outside for name in imported(path) if name.startswith(face + ".")] == []


@pytest.mark.parametrize("module", STANDARD_LIBRARY_ONLY)
def test_the_ground_floor_is_standard_library_only(module: str) -> None:
    """Contract and errors need nothing installed."""
    import sys  # noqa: PLC0415 - only this test asks

    names = {name.partition(".")[0] for path in modules_of(module) for name in imported(path)}
    assert names <= set(sys.stdlib_module_names) | {"quaywatch"}


@pytest.mark.parametrize("stranger", ["tests", "sandbox", "bench"])
def test_nothing_imports_what_is_not_shipped(stranger: str) -> None:
    """What is installed never reaches for tests, sandbox or bench."""
    shipped = [path for room in ("quaywatch", *MAY_IMPORT) for path in modules_of(room)]
    wrong = [str(path) for path in shipped if any(name.partition(".")[0] == stranger for name in imported(path))]
    assert wrong == []


@pytest.mark.parametrize(
    "breach",
    [
        "import probes.order_create",
        "from otel_config import names",
        "from quaywatch.runtime import store",
        "from quaywatch import runtime",
        "def late():\n    from quaywatch.runtime.store import Store",
    ],
)
def test_the_law_sees_a_breach_in_every_spelling(breach: str) -> None:
    """An exporter that reaches for a sibling is caught, however it spells the import."""
    assert not any(inside(name, MAY_IMPORT["exporters"] | {"exporters"}) for name in imports_in(breach, "exporters"))


def test_a_relative_import_is_resolved() -> None:
    """Relative imports count as what they mean."""
    assert list(imports_in("from .errors import X\nfrom .. import contract", "quaywatch.drivers")) == [
        "quaywatch.drivers.errors",
        "quaywatch.contract",
    ]
