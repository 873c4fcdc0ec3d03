"""The page of supported versions is current, and what it rests on is there."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.contract.supported_versions import page, rows

ROOT = Path(__file__).parents[2]


def test_the_page_is_current() -> None:
    """``python -m tests.contract.supported_versions > docs/supported-versions.md`` would change nothing."""
    assert (ROOT / "docs" / "supported-versions.md").read_text() == page()


def test_each_line_has_its_tests() -> None:
    """No version is called supported without a test that is there."""
    assert [row.tests for row in rows() if not (ROOT / row.tests).exists()] == []


def test_python_is_the_one_that_is_asked_for() -> None:
    """The oldest Python that the project takes is the one that the tests run on."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert [row.versions for row in rows() if row.what == "Python"] == [wanted.removeprefix(">=")]
