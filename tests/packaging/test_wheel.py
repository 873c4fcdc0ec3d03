"""The wheel is whole: it works in an empty environment, away from the source tree."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from quaywatch import __version__

ROOT = Path(__file__).parents[2]
TAGS = """
environment: test
installation: test
targets:
  erp:
    kind: odoo
    url: http://127.0.0.1:9
    database: none
    login: nobody
    password: none
    janitor: {login: nobody, password: none}
probes:
  tag_create: {targets: [erp], color: 4}
"""
"""Nobody listens there: a run shows that it is one, and needs no Odoo."""
ROOMS = {"quaywatch", "exporters", "probes", "otel_config", "dashboards", "alerts"}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the locked dependencies and the wheel, and nothing of the tree.

    The dependencies are those that this environment was made of; to fetch them once more takes longer than the tests.
    """
    home = tmp_path_factory.mktemp("empty")
    venv.create(home)
    here, there = (Path(sysconfig.get_path("purelib", vars=base)) for base in ({}, {"base": str(home)}))
    ours = {str(file.parts[0]) for file in importlib.metadata.files("quaywatch") or () if file.parts[0] != ".."}
    for part in here.iterdir():
        if part.name not in ours and not (there / part.name).exists():
            (there / part.name).symlink_to(part)
    install = [sys.executable, "-m", "pip", "--python", str(home / "bin/python"), "install", "-q", "--no-deps"]
    subprocess.run([*install, "--no-compile", wheel], check=True, capture_output=True)
    return home / "bin"


def run(program: Path, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A program's run with the system's own programs, and nothing of this environment leaking in."""
    return subprocess.run(
        [program, *words], cwd=cwd, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_the_rooms_and_nothing_else(wheel: Path) -> None:
    """No test, no sandbox, no stray file is shipped; every room says that it is typed."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.partition("/")[0] for name in names}
    assert top == ROOMS | {f"quaywatch-{__version__}.dist-info"}
    assert {room for room in ROOMS if f"{room}/py.typed" in names} == ROOMS


def test_each_room_belongs_to_one_distribution() -> None:
    """No other installed distribution shares a room's name."""
    owners = importlib.metadata.packages_distributions()
    assert {room: set(owners.get(room, ["quaywatch"])) for room in ROOMS} == {room: {"quaywatch"} for room in ROOMS}


def test_the_command_says_its_version(installed: Path, tmp_path: Path) -> None:
    """`quaywatch --version` works away from the tree."""
    done = run(installed / "quaywatch", "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, f"quaywatch {__version__}")


def test_the_command_lists_what_is_built_in(installed: Path, tmp_path: Path) -> None:
    """`quaywatch list` names every exporter and probe."""
    done = run(installed / "quaywatch", "list", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("postgres_locks", "odoo_queue", "redis_memory", "order_create"))


def test_a_probe_of_another_package_joins(installed: Path, tmp_path: Path) -> None:
    """The example of the documentation, installed beside the wheel: listed, configured, run, undone."""
    package = tmp_path / "quaywatch-tags"
    shutil.copytree(ROOT / "docs/examples/quaywatch-tags", package)
    pip = [sys.executable, "-m", "pip", "--python", str(installed / "python"), "-q"]
    install = [*pip, "install", "--no-deps", "--no-build-isolation", "--no-compile"]
    subprocess.run([*install, package], check=True, capture_output=True)
    try:
        listed = run(installed / "quaywatch", "list", "probes", cwd=tmp_path)
        assert re.search(r"^tag_create +odoo +rpc .* create, find +color", listed.stdout, re.MULTILINE), listed.stdout
        (tmp_path / "tags.yaml").write_text(TAGS)
        done = run(installed / "quaywatch", "probe", "tag_create", "-c", "tags.yaml", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, "")
        assert re.search(r"^  create +\d+ ms  failed\n  undo: delete +\d+ ms  failed\n", done.stdout), done.stdout
        assert "[connect]" in done.stdout
    finally:
        subprocess.run([*pip, "uninstall", "-y", "quaywatch-tags"], check=True, capture_output=True)


def test_the_unit_tests_pass_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """The unit tests of the product pass against what is installed, not against what lies in the tree."""
    shutil.copytree(
        ROOT / "tests/unit", tmp_path / "tests/unit", ignore=shutil.ignore_patterns("sandbox", "__pycache__")
    )
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "tests/conftest.py")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    done = run(installed / "python", "-P", "-m", "pytest", "-q", "tests/unit", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]
    where = run(installed / "python", "-P", "-c", "import exporters; print(exporters.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)
    assert sys.prefix not in where.stdout
