"""This room's own lines in the log. They are marked, so that they are never exported: no line may cause another."""

from typing import Any, Final

import structlog

COMPONENT: Final = "export"
_REMEMBERED: Final = 256

log: Any = structlog.get_logger(component=COMPONENT)


class Once:
    """Tells a message that was not seen before from one that was. Remembers the latest 256."""

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def first(self, message: str) -> bool:
        """Whether this message is new."""
        if message in self._seen:
            return False
        self._seen[message] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True
