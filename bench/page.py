"""Pages of the docs that hold what a trial gave, between two markers."""

from __future__ import annotations

from pathlib import Path


def put(page: Path, name: str, text: str) -> None:
    """Put the text between the page's markers of this name.

    Raises:
        ValueError: when the page has no such markers.
    """
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = page.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{page} lacks {first} or {last}")
    page.write_text(f"{before}{begin}\n{text}{end}{after}")
