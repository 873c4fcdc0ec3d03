"""Output that people and pipes can read."""

from __future__ import annotations

import io
import re

from quaywatch.cli.terminal import Cell, Console, wants_colour


def printed(*, colour: bool = False) -> str:
    """A small table."""
    console = Console(io.StringIO(), io.StringIO(), colour=colour)
    console.table(["name", "state", "note"], [["a", Cell("yes", "good"), ""], ["longer", Cell("no", "bad"), "x"]])
    assert isinstance(console.out, io.StringIO)
    return console.out.getvalue()


def test_columns_are_aligned_and_lines_end_with_their_last_word() -> None:
    """No blanks at the end of a line."""
    assert printed() == "NAME    STATE  NOTE\na       yes\nlonger  no     x\n"


def test_colour_changes_nothing_but_colour() -> None:
    """Columns stay aligned."""
    coloured = printed(colour=True)
    assert "\x1b[32m" in coloured
    plain = re.sub(r"\x1b\[\d+m", "", coloured)
    assert [line.rstrip() for line in plain.splitlines()] == printed().splitlines()


def test_colour_is_for_terminals_that_want_it() -> None:
    """A pipe gets plain text, and so does NO_COLOR."""
    assert wants_colour({"TERM": "xterm"}, terminal=True)
    assert not wants_colour({"TERM": "xterm"}, terminal=False)
    assert not wants_colour({"NO_COLOR": "1"}, terminal=True)
    assert not wants_colour({"TERM": "dumb"}, terminal=True)
