"""What the sinks read: the watched systems' series and the agent's own, in one."""

from __future__ import annotations

from quaywatch.contract import Series, Snapshot


class Everything:
    """Implements `quaywatch.contract.Snapshot` over several others, whose series have different names."""

    def __init__(self, *parts: Snapshot) -> None:
        self._parts = parts

    def series(self) -> list[Series]:
        """All series that are fresh at this moment."""
        return [series for part in self._parts for series in part.series()]
