"""What traces and logs have in common, since the SDK sends both."""

from typing import Any, Final, Protocol

from .bounded import bounded
from .outcomes import Outcomes

_LET_GO: Final = 0.5


class _Stops(Protocol):
    def shutdown(self) -> Any: ...


class _Flushes(_Stops, Protocol):
    def force_flush(self) -> bool: ...


async def flush(provider: _Flushes, outcomes: Outcomes, within: float) -> bool:
    """Whether everything was delivered within so many seconds; the SDK itself says yes also when nothing was."""
    before = outcomes.failures
    return await bounded(provider.force_flush, within) and outcomes.failures == before


async def close(provider: _Flushes, exporter: _Stops | None, outcomes: Outcomes, within: float) -> None:
    """Flush and stop, within so many seconds in any case."""
    await flush(provider, outcomes, max(0.0, within - _LET_GO))
    if exporter is not None:
        # Before the provider, which would wait half a minute for an export that hangs.
        await bounded(exporter.shutdown, _LET_GO / 2)
    await bounded(provider.shutdown, _LET_GO / 2)
