"""This room's own lines in the log. They are marked, so that they are never exported: no line may cause another."""

import re
from typing import Any, Final

import structlog

COMPONENT: Final = "export"
_REMEMBERED: Final = 256
_NUMBERS: Final = re.compile(r"[0-9]+")

log: Any = structlog.get_logger(component=COMPONENT)


class Once:
    """Tells a message that was not seen before from one that was. Remembers 256.

    Messages that differ in numbers only are one: back ends put times and ids into them.
    """

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def first(self, message: str) -> bool:
        """Whether this message is new."""
        message = _NUMBERS.sub("0", message)
        if message in self._seen:
            return False
        self._seen[message] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True
