"""What a sender asks of the wire, and the wire that settings ask for."""

from typing import Protocol

from .catalogue import Signal
from .outcome import Outcome
from .settings import Protocol as Spoken
from .settings import SignalSettings


class Transport(Protocol):
    """One way to a back end."""

    async def send(self, payload: bytes) -> Outcome:
        """Deliver one encoded request within the time-out; whatever goes wrong is told by the outcome."""
        ...

    async def close(self) -> None:
        """Let go of the connection without waiting for the other side."""
        ...


def transport(signal: Signal, settings: SignalSettings) -> Transport:
    """The way to where the settings of this signal say; it connects when it is first used.

    What sends is imported when it is wanted: who speaks one protocol does without the other's memory.
    """
    if settings.protocol is Spoken.HTTP:
        from .http_transport import HttpTransport  # noqa: PLC0415 - see above

        return HttpTransport(signal, settings)
    from .grpc_transport import GrpcTransport  # noqa: PLC0415 - see above

    return GrpcTransport(signal, settings)
