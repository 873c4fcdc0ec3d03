"""What faults of every kind do alike."""

from collections.abc import Callable

from .cache import SandboxError
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
