"""What a sender asks of the wire."""

from typing import Protocol

from .outcome import Outcome


class Transport(Protocol):
    """One way to a back end."""

    async def send(self, payload: bytes) -> Outcome:
        """Deliver one encoded request within the time-out; whatever goes wrong is told by the outcome."""
        ...

    async def close(self) -> None:
        """Let go of the connection without waiting for the other side."""
        ...
