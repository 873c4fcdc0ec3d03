"""What a browser writes goes with it, also when its agent was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from quaywatch.drivers.browser.directory import OwnDirectory, sweep

_KILLED = """
import os, signal, sys
from pathlib import Path
from quaywatch.drivers.browser.directory import OwnDirectory
own = OwnDirectory(Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by_a_killed_agent(parent: Path, *, age: float) -> Path:
    """Such a directory, made so many seconds ago."""
    subprocess.run([sys.executable, "-c", _KILLED, str(parent)], check=False)
    [left] = parent.glob("quaywatch-browser-*")
    lock = left / ".held"
    moment = lock.stat().st_mtime - age
    os.utime(lock, (moment, moment))
    return left


def test_a_directory_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Nothing is left below the parent."""
    own = OwnDirectory(tmp_path)
    (own.path / "profile").mkdir()
    (own.path / "profile" / "Cookies").touch()
    own.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_agent_left_is_swept(tmp_path: Path) -> None:
    """Once it is a minute old."""
    left = left_by_a_killed_agent(tmp_path, age=61)
    sweep(tmp_path)
    assert not left.exists()


def test_what_is_new_or_held_or_foreign_stays(tmp_path: Path) -> None:
    """An agent may be about to hold a new one; one that is held is in use; one without a lock is somebody else's."""
    new = left_by_a_killed_agent(tmp_path, age=0)
    held = OwnDirectory(tmp_path)
    os.utime(held.path / ".held", (0, 0))
    foreign = tmp_path / "quaywatch-browser-foreign"
    foreign.mkdir()
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {new.name, held.path.name, foreign.name}
    held.remove()
