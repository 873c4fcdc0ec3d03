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
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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

OF_THE_BROWSER = ("quaywatch.drivers.browser.", "playwright", "psutil")
"""Where modules are that need an extra, and what it brings."""
OF_THE_TESTS = ("pytest", "pytest-asyncio", "pytest-timeout", "pytest-rerunfailures", "trustme", "jsonschema")

IMPORT_ALL = """
import importlib, pkgutil, sys

def told(name):
    try:
        print(importlib.import_module(name).__file__)
    except ModuleNotFoundError as error:
        print("missing", name, error.name.partition(".")[0])

for room in sys.argv[1:]:
    told(room)
    for module in pkgutil.walk_packages(sys.modules[room].__path__, room + "."):
        told(module.name)
"""


def locked(name: str) -> set[str]:
    """The distributions of a lock, as far as they are for this interpreter."""
    lines = re.findall(r"^(\w[^\\\n]*)", (ROOT / "locks" / name).read_text(), re.MULTILINE)
    return {wanted.name for wanted in map(Requirement, lines) if wanted.marker is None or wanted.marker.evaluate()}


def with_needs(names: Iterable[str]) -> set[str]:
    """These distributions and all that they require."""
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        found.add(name)
        needs = map(Requirement, importlib.metadata.requires(name) or ())
        left |= {canonicalize_name(need.name) for need in needs if not need.marker or need.marker.evaluate()} - found
    return found


def link(names: Iterable[str], place: Path) -> None:
    """Put distributions of this environment into another: to fetch them once more takes longer than the tests."""
    for file in (file for name in names for file in importlib.metadata.files(name) or () if ".." not in file.parts):
        there = place / file
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists():  # two distributions may have the same file of a shared package
            there.symlink_to(str(file.locate()))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds what the lock names and the wheel, and nothing else."""
    home = tmp_path_factory.mktemp("empty")
    venv.create(home)
    link(locked("runtime.txt"), Path(sysconfig.get_path("purelib", vars={"base": str(home)})))
    install = [sys.executable, "-m", "pip", "--python", str(home / "bin/python"), "install", "-q", "--no-deps"]
    subprocess.run([*install, "--no-compile", wheel], check=True, capture_output=True)
    return home / "bin"


@pytest.fixture(scope="module")
def extra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of what probes in a browser need beside that."""
    place = tmp_path_factory.mktemp("extra")
    link(locked("browser.txt") - locked("runtime.txt"), place)
    return place


@pytest.fixture(scope="module")
def for_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of what the unit tests need beside that: their tools, and the browser's packages."""
    place = tmp_path_factory.mktemp("tests")
    link((with_needs(OF_THE_TESTS) | locked("browser.txt")) - locked("runtime.txt"), place)
    return place


def run(program: Path, *words: str | Path, cwd: Path, beside: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A program's run with the system's own programs, and nothing of this environment leaking in.

    ``beside`` is a directory of packages that are installed too.
    """
    environ = {"PATH": "/usr/bin:/bin", **({"PYTHONPATH": str(beside)} if beside else {})}
    return subprocess.run([program, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False)


def test_the_wheel_is_the_rooms_of_the_tree(wheel: Path) -> None:
    """Every file of the rooms is in it, byte by byte, and no other: what passes in the tree passes from the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    tracked = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", *ROOMS], cwd=ROOT, text=True)
    files = [name for name in tracked.splitlines() if (ROOT / name).is_file()]
    assert content == {name: (ROOT / name).read_bytes() for name in files}
    assert {room for room in ROOMS if f"{room}/py.typed" in content} == ROOMS


def test_every_module_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Each can be imported with what the wheel declares; those for the browser say what they lack, and no others do."""
    done = run(installed / "python", "-P", "-c", IMPORT_ALL, *sorted(ROOMS), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    missing = [line.split() for line in lines if line.startswith("missing ")]
    where, *what = OF_THE_BROWSER
    assert [words for words in missing if not words[1].startswith(where) or words[2] not in what] == []
    places = [Path(line) for line in lines if not line.startswith("missing ")]
    assert len(places) > 20 * len(ROOMS)
    assert [place for place in places if not place.is_relative_to(installed.parent)] == []


def test_with_its_extra_the_browser_comes_from_the_wheel(installed: Path, extra: Path, tmp_path: Path) -> None:
    """Every module of it can be imported."""
    words = ("-P", "-c", IMPORT_ALL, OF_THE_BROWSER[0].rstrip("."))
    done = run(installed / "python", *words, cwd=tmp_path, beside=extra)
    assert done.returncode == 0, done.stderr[-3000:]
    places = [Path(line) for line in done.stdout.splitlines()]
    assert len(places) > 5
    assert [place for place in places if not place.is_relative_to(installed.parent)] == []


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
    package, beside = tmp_path / "quaywatch-tags", tmp_path / "beside"
    shutil.copytree(ROOT / "docs/examples/quaywatch-tags", package)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-compile"]
    subprocess.run([*pip, "--target", beside, package], check=True, capture_output=True)
    listed = run(installed / "quaywatch", "list", "probes", cwd=tmp_path, beside=beside)
    assert re.search(r"^tag_create +odoo +rpc .* create, find +color", listed.stdout, re.MULTILINE), listed.stdout
    (tmp_path / "tags.yaml").write_text(TAGS)
    done = run(installed / "quaywatch", "probe", "tag_create", "-c", "tags.yaml", cwd=tmp_path, beside=beside)
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"^  create +\d+ ms  failed\n  undo: delete +\d+ ms  failed\n", done.stdout), done.stdout
    assert "[connect]" in done.stdout


@pytest.mark.timeout(900)
def test_the_unit_tests_pass_from_the_wheel(installed: Path, for_tests: Path, tmp_path: Path) -> None:
    """The unit tests of the product pass away from the tree, against what is installed."""
    apart = shutil.ignore_patterns("sandbox", "__pycache__")
    shutil.copytree(ROOT / "tests/unit", tmp_path / "tests/unit", ignore=apart)
    for name in ("tests/conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    words = ("-P", "-m", "pytest", "-q", "--reruns", "1", "tests/unit")
    done = run(installed / "python", *words, cwd=tmp_path, beside=for_tests)
    assert done.returncode == 0, done.stdout[-4000:]
