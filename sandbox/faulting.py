"""What faults of every kind do alike."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .cache import SandboxError
from .parts.postgres import Postgres, sql
from .process import until

_WITHIN = 30.0


def takes_no_target(target: str | None) -> None:
    """Refuse the target of a fault that can strike one thing only."""
    if target is not None:
        raise SandboxError(f"this fault strikes one thing only, so {target!r} has no meaning")


def expect(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until a condition holds; `otherwise` says what is wrong when it never does."""
    if not until(condition, within=_WITHIN):
        raise SandboxError(f"{otherwise} within {_WITHIN:.0f} s")


@contextmanager
def changed(server: Postgres, database: str, change: str, undo: str) -> Iterator[None]:
    """A database after these statements, and after those that undo them when the fault ends."""
    sql(server, change, database)
    try:
        yield
    finally:
        sql(server, undo, database)
