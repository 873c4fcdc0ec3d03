"""What is wrong with a file that was read: each key of it, for whoever knows the line."""

from __future__ import annotations

from collections.abc import Iterable

Key = tuple[str | int, ...]
"""The way to a value through tables and lists, from the root."""


class FaultyKeysError(ValueError):
    """``wrong`` has each faulty key, and what would do instead."""

    def __init__(self, wrong: Iterable[tuple[Key, str]]) -> None:
        self.wrong = tuple(wrong)
        super().__init__("\n".join(f"{'.'.join(map(str, key))}: {what}" for key, what in self.wrong))
