"""What the agent asks of whoever says on which shared targets it acts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol


class Leases(Protocol):
    """Decides on which shared targets this agent acts."""

    def held(self, name: str) -> bool:
        """Whether this agent acts on the target now."""
        ...

    def want(self, names: Iterable[str]) -> None:
        """Contend for these targets from now on, and let go of all others."""
        ...

    def start(self, changed: Callable[[], None]) -> None:
        """Begin; ``changed`` is called after `held` has changed for any target."""
        ...

    def taken_over(self, name: str) -> float | None:
        """The Unix time at which the holder before this one was last known to live, told once; None if none was."""
        ...

    async def confirm(self, name: str) -> bool:
        """Ask whether this agent holds the lease still, before it does what nobody should do twice.

        False also when nobody can tell; `held` says what to do then.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; never raises, and is done after half a second at most."""
        ...


class AlwaysHeld:
    """For an agent that is alone: it acts on everything."""

    def held(self, _name: str) -> bool:
        """Always."""
        return True

    def want(self, names: Iterable[str]) -> None:
        """Nothing is contended for."""

    def start(self, changed: Callable[[], None]) -> None:
        """Nothing ever changes."""

    def taken_over(self, _name: str) -> float | None:
        """There was nobody before."""
        return None

    async def confirm(self, _name: str) -> bool:
        """Always."""
        return True

    async def close(self) -> None:
        """Nothing is kept."""
