"""The sticky top-N."""

from __future__ import annotations

from exporters.sticky import StickyTop


def test_the_heaviest_are_shown() -> None:
    """With free places, weight decides."""
    assert StickyTop[str]().choose({"a": 1, "b": 3, "c": 2}, 2) == {"b", "c"}


def test_a_slightly_heavier_newcomer_does_not_displace_a_member() -> None:
    """Membership survives small changes of rank, so series live on."""
    top = StickyTop[str]()
    top.choose({"a": 3}, 1)
    assert top.choose({"a": 3, "b": 6}, 1) == {"a"}


def test_a_newcomer_of_more_than_twice_the_weight_takes_the_place() -> None:
    """The worst is never hidden for long."""
    top = StickyTop[str]()
    top.choose({"a": 3}, 1)
    assert top.choose({"a": 3, "b": 8}, 1) == {"b"}


def test_who_is_gone_frees_the_place() -> None:
    """Only what exists is shown."""
    top = StickyTop[str]()
    top.choose({"a": 9}, 1)
    assert top.choose({"b": 1}, 1) == {"b"}
    assert top.choose({}, 1) == frozenset()
