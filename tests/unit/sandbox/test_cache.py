"""The cache: built once, and never half."""

from pathlib import Path

import pytest

from sandbox import cache
from sandbox.cache import SandboxError, built, is_built


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("QUAYWATCH_SANDBOX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_recipe_is_followed_once(root: Path) -> None:
    """Two requests for the same name and version run the recipe once and give the same directory."""
    runs: list[Path] = []

    def recipe(part: Path) -> None:
        runs.append(part)
        (part / "made").touch()

    first, second = built("thing", "1", recipe), built("thing", "1", recipe)
    assert first == second == root / "thing-1"
    assert (first / "made").exists()
    assert len(runs) == 1


def test_a_new_version_is_built_beside_the_old_one() -> None:
    """Raising the version runs the recipe again."""
    old = built("thing", "1", lambda part: (part / "old").touch())
    new = built("thing", "2", lambda part: (part / "new").touch())
    assert [path.name for path in (*old.iterdir(), *new.iterdir())] == ["old", "new"]


def test_a_failed_build_leaves_nothing_that_looks_done() -> None:
    """After a failing recipe the thing is not built, and the next recipe starts from an empty directory."""

    def half(part: Path) -> None:
        (part / "half").touch()
        raise SandboxError("the line was cut")

    with pytest.raises(SandboxError, match="the line was cut"):
        built("thing", "1", half)
    assert not is_built("thing", "1")
    whole = built("thing", "1", lambda part: (part / "whole").touch())
    assert [path.name for path in whole.iterdir()] == ["whole"]


def test_a_failed_program_says_what_it_said() -> None:
    """The error of a program bears its name, its code and the end of its output."""
    with pytest.raises(SandboxError, match=r"(?s)sh -c .* ended with 3:\nno such luck"):
        cache.run("sh", "-c", "echo no such luck >&2; exit 3")
