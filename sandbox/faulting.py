"""What faults of every kind do alike."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .cache import SandboxError
from .parts.odoo import ODOO14, ODOO19
from .parts.postgres import Postgres, sql
from .process import until
from .world import World

_WITHIN = 60.0
_ODOOS = (ODOO14.name, ODOO19.name)


def takes_no_target(target: str | None) -> None:
    """Refuse the target of a fault that can strike one thing only."""
    if target is not None:
        raise SandboxError(f"this fault strikes one thing only, so {target!r} has no meaning")


def expect(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until a condition holds; `otherwise` says what is wrong when it never does."""
    if not until(condition, within=_WITHIN):
        raise SandboxError(f"{otherwise} within {_WITHIN:.0f} s")


def bring_back(world: World, name: str, argv: tuple[str, ...] | None = None) -> None:
    """Start a stopped part once more as before, or as `argv`; an Odoo answers its users then, not its port alone.

    It takes connections long before it has loaded what it needs to answer the first one.
    """
    world.services.resume(name, argv)
    if name in _ODOOS:
        expect(lambda: bool(world.endpoints[name].admin().uid), f"{name} answers nobody")


@contextmanager
def changed(server: Postgres, database: str, change: str, undo: str) -> Iterator[None]:
    """A database after these statements, and after those that undo them when the fault ends."""
    sql(server, change, database)
    try:
        yield
    finally:
        sql(server, undo, database)
