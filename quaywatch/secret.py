"""A value that must not be shown: passwords, keys, tokens.

Standard library only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_MASK: Final = "***"


class Secret:
    """Text that only `reveal` gives away; everything that prints it prints ``***``.

    Two secrets are equal when they hold the same text, or name the same file.
    """

    __slots__ = ("_path", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._path: Path | None = None

    @classmethod
    def of_file(cls, path: Path) -> Secret:
        """The text of a file without its last line end, read anew each time: a rotated password is picked up."""
        secret = cls("")
        secret._path = path
        return secret

    def reveal(self) -> str:
        """The text itself.

        Raises:
            OSError: when the file cannot be read.
            UnicodeDecodeError: when it is no UTF-8 text.
        """
        if self._path is None:
            return self._text
        return self._path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._text, self._path) == (other._text, other._path)

    def __hash__(self) -> int:
        return hash((self._text, self._path))

    def __repr__(self) -> str:
        return f"Secret({_MASK!r})"

    def __str__(self) -> str:
        return _MASK
