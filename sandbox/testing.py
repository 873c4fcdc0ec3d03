"""One sandbox for a whole run of tests, of which each test starts the parts it needs.

The process that creates it takes it down when it ends. When it was killed instead, the next run does.
"""

import atexit
import os
import tempfile
from functools import partial
from pathlib import Path

import psutil

from .world import World, down, up

_VARIABLE = "QUAYWATCH_TEST_STATE"
_PREFIX = "quaywatch-test-"


def shared_world(*parts: str) -> World:
    """The run's world with at least these parts up, and what they need.

    It lives in `QUAYWATCH_TEST_STATE`, which whoever set it takes down; else in a directory of our own, named in
    that variable from then on so that child processes share it.
    """
    return up(parts, state=Path(os.environ.get(_VARIABLE) or _create()))


def _create() -> str:
    _sweep()
    state = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    os.environ[_VARIABLE] = state
    atexit.register(partial(_take_down, state, os.getpid()))
    return state


def _take_down(state: str, owner: int) -> None:
    """Only the creator's own end counts, not that of a child forked from it."""
    if os.getpid() == owner:
        del os.environ[_VARIABLE]
        down(state=Path(state), delete=True)


def _sweep() -> None:
    """Take down what runs left behind that were killed."""
    for state in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = int(state.name.removeprefix(_PREFIX).split("-")[0])
        if not psutil.pid_exists(owner):
            down(state=state, delete=True)
