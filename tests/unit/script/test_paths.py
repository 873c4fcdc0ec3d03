"""Ways into answers: what they find, and what is no way."""

from __future__ import annotations

from typing import Any

import pytest

from quaywatch.script import AnswerPath

ANSWER = {"id": 7, "none": None, "lines": [{"name": "a"}, {"name": "b"}], "odd name": {"x-1": True}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$", ANSWER),
        ("$.id", 7),
        ("$.none", None),
        ("$.lines[0].name", "a"),
        ("$.lines[-1].name", "b"),
        ("$['odd name']['x-1']", True),
    ],
)
def test_a_way_leads_to_a_value(text: str, found: Any) -> None:
    """Entries by name, items by number from either end; None is a value."""
    assert AnswerPath.of(text).find(ANSWER) == found


@pytest.mark.parametrize(
    "text", ["$.absent", "$.lines[2]", "$.lines[-3]", "$.lines.name", "$.id.name", "$[0]", "$.none.x", "$.id[0]"]
)
def test_a_way_that_leads_nowhere_is_told(text: str) -> None:
    """A missing entry, an item behind the end, a list taken for a table: all of them are a lookup that fails."""
    with pytest.raises(LookupError):
        AnswerPath.of(text).find(ANSWER)


def test_a_text_has_no_items() -> None:
    """What looks like one is not cut into letters."""
    with pytest.raises(LookupError):
        AnswerPath.of("$[0]").find("abc")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with"),
        ("id", "does not begin with"),
        ("$id", "id is not understood"),
        ("$.a b", " b is not understood"),
        ("$.", "\\. is not understood"),
        ("$[*]", "is not understood"),
        ("$..name", "is not understood"),
        ("$[1:2]", "is not understood"),
        ("$['']", "is not understood"),
        ("$.a[0", "is not understood"),
        ("$[?(@.a)]", "is not understood"),
    ],
)
def test_what_is_no_way_is_refused(text: str, why: str) -> None:
    """No wildcard, no slice, no filter: the part that is not understood is named."""
    with pytest.raises(ValueError, match=why):
        AnswerPath.of(text)
