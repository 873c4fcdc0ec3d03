"""Saying a thing once."""

from __future__ import annotations

from otel_config.own_log import Once


def test_a_message_is_new_once() -> None:
    """Another one is new again; one that differs in numbers only is the same."""
    once = Once()
    assert once.first("sample 12 of 17:04 refused")
    assert not once.first("sample 13 of 17:05 refused")
    assert once.first("sample refused")


def test_memory_is_bounded() -> None:
    """A back end that says something new each time fills nothing; the oldest is forgotten."""
    once = Once()
    words = [f"{chr(97 + index % 26)}{chr(97 + index // 26)}" for index in range(300)]
    assert all(map(once.first, words))
    assert len(once._seen) == 256
    assert once.first(words[0])
    assert not once.first(words[-1])
