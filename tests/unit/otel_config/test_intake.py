"""Spans and lines on their way into batches."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable, Sequence

import pytest

from otel_config.encoding import Batch
from otel_config.intake import AT_MOST, CHUNK, Intake
from otel_config.tally import Tally
from tests.unit.otel_config.fakes import FakeClock, FakeMeter

LIMIT = 4096


def encode(items: Sequence[str]) -> bytes:
    """Lines; as with real requests, one that is no Unicode spoils them all."""
    return "\n".join(items).encode()


def told(batches: Iterable[Batch]) -> list[list[str]]:
    """The items in batches."""
    return [gzip.decompress(batch.payload).decode().split("\n") for batch in batches]


def flat(batches: Iterable[Batch]) -> list[str]:
    """The items of all batches."""
    return [item for batch in told(batches) for item in batch]


@pytest.fixture
def meter() -> FakeMeter:
    """A meter that is read afterwards."""
    return FakeMeter()


@pytest.fixture
def intake(meter: FakeMeter) -> Intake[str]:
    """An intake of spans, as it were."""
    return Intake(encode, Tally("traces", meter, FakeClock(1_700_000_000.0)), LIMIT)


def test_what_came_in_leaves_once_and_in_order(intake: Intake[str]) -> None:
    """Batches bear the time they were made, and know how many items they have."""
    for number in range(CHUNK + 1):
        intake.add(str(number))
    batches = list(intake.batches())
    assert [(batch.items, batch.made) for batch in batches] == [(CHUNK, 1_700_000_000.0), (1, 1_700_000_000.0)]
    assert flat(batches) == [str(number) for number in range(CHUNK + 1)]
    assert list(intake.ending()) == []


def test_what_comes_in_meanwhile_waits_for_the_next_time(intake: Intake[str]) -> None:
    """So that an export has an end, however fast a log is written."""
    intake.add("one")
    seen = []
    for batch in intake.batches():
        seen.append(batch)
        intake.add("late")
    assert (told(seen), told(intake.batches())) == ([["one"]], [["late"]])


def test_a_request_that_is_too_large_is_halved(intake: Intake[str], meter: FakeMeter) -> None:
    """What does not fit alone is counted and left out."""
    for item in ("a" * 3000, "b" * 3000, "c" * (LIMIT + 1), "d"):
        intake.add(item)
    assert told(intake.batches()) == [["a" * 3000], ["b" * 3000], ["d"]]
    assert meter.items("spans", "invalid") == 1


def test_an_item_that_cannot_be_encoded_costs_no_other(intake: Intake[str], meter: FakeMeter) -> None:
    """It is counted, and the others leave."""
    for item in ("one", "\ud800", "two", "three"):
        intake.add(item)
    assert flat(intake.batches()) == ["one", "two", "three"]
    assert meter.items("spans", "invalid") == 1


def test_more_than_can_be_held_is_counted(intake: Intake[str], meter: FakeMeter) -> None:
    """The oldest are kept, since what began an incident tells more than what went on with it."""

    def fill() -> None:
        for _ in range(AT_MOST):
            intake.add("x")

    threads = [threading.Thread(target=fill) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = sum(batch.items for batch in intake.batches())
    assert AT_MOST <= left <= AT_MOST + len(threads)
    assert meter.items("spans", "overflow") == len(threads) * AT_MOST - left
    assert meter.batches("overflow", "traces") == 1
