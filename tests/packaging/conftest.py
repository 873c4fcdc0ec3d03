"""What the packaging tests share: the wheel, built once from the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, as `make wheel` builds it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    hatchling = shutil.which("hatchling", path=str(Path(sys.executable).parent))
    assert hatchling
    subprocess.run([hatchling, "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built
