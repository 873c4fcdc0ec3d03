"""Plain output: aligned tables, colour on a terminal only, and never when NO_COLOR is set."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from quaywatch.errors import ConfigError

_COLOURS: Final = {"good": "32", "bad": "31", "doubtful": "33", "quiet": "2", "strong": "1"}
_GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Cell:
    """A word of a table and how it is meant: good, bad, doubtful, quiet or strong."""

    text: str
    mood: str = ""


@dataclass(frozen=True, slots=True)
class Console:
    """Where a command prints: results to ``out``, what went wrong to ``err``."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    colour: bool = False

    @classmethod
    def standard(cls, environ: Mapping[str, str]) -> Console:
        """The process's own, coloured if it is a terminal that wants colour."""
        return cls(sys.stdout, sys.stderr, colour=wants_colour(environ, terminal=sys.stdout.isatty()))

    def say(self, text: str = "", mood: str = "") -> None:
        """Print a line, at once.

        Raises:
            BrokenPipeError: when the reader has gone.
            ConfigError: when the output cannot be written for another reason, such as a full disk.
        """
        try:
            print(self.painted(text, mood), file=self.out, flush=True)
        except OSError as error:
            # The interpreter must not try, and complain, once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.out.fileno())
            if isinstance(error, BrokenPipeError):
                raise
            remedy = "send it to where there is room"
            raise ConfigError(f"the output cannot be written: {error.strerror}", remedy=remedy) from error

    def complain(self, text: str) -> None:
        """Print a line about what went wrong."""
        print(text, file=self.err, flush=True)

    def json(self, value: Any) -> None:
        """Print a value as JSON."""
        self.say(json.dumps(value, indent=2, ensure_ascii=False, default=str))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> None:
        """Print rows below headings, columns aligned; nothing stands behind the last word of a line."""
        cells = [[word if isinstance(word, Cell) else Cell(word) for word in row] for row in rows]
        titles = [Cell(heading.upper(), "quiet") for heading in headings]
        widths = [max(len(row[number].text) for row in [titles, *cells]) for number in range(len(titles))]
        for row in [titles, *cells]:
            padded = [self.painted(cell.text.ljust(width), cell.mood) for cell, width in zip(row, widths, strict=True)]
            last = self.painted(row[-1].text, row[-1].mood)
            self.say(_GAP.join([*padded[:-1], last]).rstrip())

    def painted(self, text: str, mood: str = "") -> str:
        """The text in the colour of a mood, where colour is wanted."""
        return f"\x1b[{_COLOURS[mood]}m{text}\x1b[0m" if self.colour and mood and text else text


def wants_colour(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether somebody looks at colours, and nobody said no to them."""
    return terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
