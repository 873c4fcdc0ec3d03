"""What a flow expects of an answer: each operator, met and not."""

from __future__ import annotations

from typing import Any

import pytest

from probes.scripted_answers import Reply, refuse, same
from quaywatch.errors import WrongResultError
from quaywatch.script import AnswerPath, Check, Operator, Plain


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "told"),
    [
        (Operator.EQUALS, "1", 1, ""),
        (Operator.EQUALS, "1.0", 1, ""),
        (Operator.EQUALS, "true", 1, "the answer is a number; true is expected"),
        (Operator.EQUALS, "1", True, "the answer is true; 1 is expected"),
        (Operator.EQUALS, '"1"', 1, 'the answer is a number; "1" is expected'),
        (Operator.EQUALS, '[{"a": 1}]', [{"a": 1}], ""),
        (Operator.EQUALS, '[{"a": true}]', [{"a": 1}], 'the answer is a list of 1; [{"a": true}] is expected'),
        (Operator.EQUALS, "null", None, ""),
        (Operator.EQUALS, "1", None, "the answer is empty; 1 is expected"),
        (Operator.CONTAINS, '"b"', "abc", ""),
        (Operator.CONTAINS, '"b"', ["a", "b"], ""),
        (
            Operator.CONTAINS,
            '"b"',
            "secret",
            'the answer is a text of 6 characters; something with "b" in it is expected',
        ),
        (Operator.CONTAINS, '"b"', {"b": 1}, 'the answer is a table of 1; something with "b" in it is expected'),
        (Operator.MATCHES, '"^a.c$"', "abc", ""),
        (Operator.MATCHES, '"^b"', "abc", 'the answer is a text of 3 characters; a text that matches "^b" is expected'),
        (Operator.MATCHES, '"1"', 1, 'the answer is a number; a text that matches "1" is expected'),
        (Operator.COUNT, "2", [1, 2], ""),
        (Operator.COUNT, "1", {"a": 1}, ""),
        (Operator.COUNT, "2", "ab", "the answer is a text of 2 characters; a list or table of 2 is expected"),
        (Operator.LESS_THAN, "2", 1.5, ""),
        (Operator.LESS_THAN, "2", 2, "the answer is a number; a number less than 2 is expected"),
        (Operator.LESS_THAN, "2", "1", "the answer is a text of 1 characters; a number less than 2 is expected"),
        (Operator.LESS_THAN, "2", True, "the answer is true; a number less than 2 is expected"),
    ],
)
def test_an_expectation_is_met_or_told(operator: Operator, wanted: str, found: Any, told: str) -> None:
    """The message says what is expected, and nothing of what the answer holds but its kind and size."""
    check = Check(operator, Plain(wanted))
    if not told:
        refuse(check, Reply(returned=found), {})
        return
    with pytest.raises(WrongResultError) as caught:
        refuse(check, Reply(returned=found), {})
    assert caught.value.what == told


@pytest.mark.parametrize(
    ("wanted", "path", "told"),
    [
        ("true", "$.a", ""),
        ("false", "$.b", ""),
        ("true", "$.b", "$.b is missing"),
        ("false", "$.a", "$.a is there"),
    ],
)
def test_what_exists_is_told_from_what_does_not(wanted: str, path: str, told: str) -> None:
    """An entry without a value exists."""
    check, reply = Check(Operator.EXISTS, Plain(wanted), AnswerPath.of(path)), Reply(returned={"a": None})
    if not told:
        refuse(check, reply, {})
        return
    with pytest.raises(WrongResultError, match=told.replace("$", r"\$")):
        refuse(check, reply, {})


def test_tables_are_the_same_by_their_entries() -> None:
    """Whatever their order; one more or less makes another."""
    assert same({"a": 1, "b": [2]}, {"b": [2], "a": 1})
    assert not same({"a": 1}, {"a": 1, "b": 2})
    assert not same([1], [1, 2])
