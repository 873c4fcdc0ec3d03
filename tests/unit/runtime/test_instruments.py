"""The agent's own numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from quaywatch.contract import Distribution, Exemplar, Former, Kind, Metric
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.view import Everything
from tests.unit.runtime.fakes import EPOCH, EVENTS, LEVEL, HandClock, matching, value
from tests.unit.runtime.probe_fakes import Spans

TOOK = Metric("test.took", Kind.HISTOGRAM, "s", "How long it took.", ("what",), bounds=(0.125, 1.0))
PAIR = Metric("test.pair", Kind.GAUGE, "", "A level of two words.", ("one", "other"))


@pytest.fixture
def clock() -> HandClock:
    """A clock moved by hand."""
    return HandClock()


@pytest.fixture
def meter(clock: HandClock) -> Instruments:
    """Instruments without any series."""
    return Instruments("prod", clock)


def test_a_counter_begins_at_zero(meter: Instruments, clock: HandClock) -> None:
    """Adding nothing makes the series, so that the first event is an increase; it counts from then."""
    meter.add(EVENTS, 0, "a")
    clock.now = 60
    meter.add(EVENTS, 2, "a")
    (series,) = meter.series()
    assert (series.value, series.start) == (2, EPOCH)
    assert series.attributes == (("environment", "prod"), ("what", "a"))


def test_a_gauge_stays_until_it_is_set_again(meter: Instruments) -> None:
    """The last value stands, without a start."""
    meter.set(LEVEL, 1, "a")
    meter.set(LEVEL, 5, "a")
    (series,) = meter.series()
    assert (series.value, series.start) == (5, None)


def test_a_histogram_counts_by_its_bounds(meter: Instruments) -> None:
    """A value on a bound belongs below it; the last bucket takes the rest."""
    for seconds in (0.0625, 0.125, 0.5, 3.0):
        meter.record(TOOK, seconds, "a")
    assert value(meter, TOOK) == Distribution((2, 1, 1), 3.6875)


def test_a_value_within_a_span_leads_to_it(meter: Instruments, clock: HandClock) -> None:
    """The last one of each bucket is its exemplar, with its time and span; one outside of any span is none."""
    with Spans().tracer.start_as_current_span("run") as span:
        for seconds in (0.5, 0.75):
            clock.now += 1
            meter.record(TOOK, seconds, "a")
    meter.record(TOOK, 3.0, "a")
    context = span.get_span_context()
    exemplar = Exemplar(0.75, EPOCH + 2, f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert value(meter, TOOK) == Distribution((0, 2, 1), 4.25, (exemplar,))


@pytest.mark.parametrize(
    ("seconds", "trace_id", "span_id", "wrong"),
    [
        (float("nan"), "ab" * 16, "ab" * 8, "a finite number is expected"),
        (1.0, "ab" * 8, "ab" * 8, "32 and 16 hexadecimal digits"),
        (1.0, "ab" * 16, "", "32 and 16 hexadecimal digits"),
    ],
)
def test_what_no_store_takes_is_no_exemplar(seconds: float, trace_id: str, span_id: str, wrong: str) -> None:
    """A bad exemplar is refused where it is made, and so costs no batch."""
    with pytest.raises(ValueError, match=wrong):
        Exemplar(seconds, 0.0, trace_id, span_id)


def test_what_was_read_does_not_change_later(meter: Instruments) -> None:
    """A sink that encodes a snapshot has it for itself."""
    meter.record(TOOK, 0.5, "a")
    before = value(meter, TOOK)
    meter.record(TOOK, 0.5, "a")
    assert before.count == 1


def test_clear_ends_what_begins_with_these_values(meter: Instruments) -> None:
    """The leading attribute values decide; a series made again counts from then."""
    for one, other in (("a", "x"), ("a", "y"), ("ab", "x")):
        meter.set(PAIR, 1, one, other)
    meter.clear(PAIR, "a", "x")
    meter.clear(PAIR, "a", "none")
    assert [dict(series.attributes)["other"] for series in matching(meter, PAIR, one="a")] == ["y"]
    meter.clear(PAIR, "a")
    assert [dict(series.attributes)["one"] for series in matching(meter, PAIR)] == ["ab"]
    meter.clear(PAIR)
    assert meter.series() == []


def test_empty_values_are_left_out(meter: Instruments) -> None:
    """An empty value is no attribute, as both stores see it."""
    meter.set(PAIR, 1, "a", "")
    assert meter.series()[0].attributes == (("environment", "prod"), ("one", "a"))


def test_misuse_is_refused(meter: Instruments) -> None:
    """A counter cannot be set or fall, a gauge cannot be added to, and attributes must be complete."""
    misuses: tuple[Callable[[], None], ...] = (
        lambda: meter.set(EVENTS, 1, "a"),
        lambda: meter.add(EVENTS, -1, "a"),
        lambda: meter.add(LEVEL, 1, "a"),
        lambda: meter.record(LEVEL, 1, "a"),
        lambda: meter.set(PAIR, 1, "a"),
    )
    for misuse in misuses:
        with pytest.raises(ValueError, match=r"test\."):
            misuse()


def test_the_view_is_the_sum_of_its_parts(meter: Instruments, clock: HandClock) -> None:
    """A sink sees all of them."""
    other = Instruments("prod", clock)
    meter.set(LEVEL, 1, "a")
    other.set(LEVEL, 2, "b")
    assert [series.value for series in Everything(meter, other).series()] == [1, 2]


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("0.2.9", ["test.after", "test.before"]),
        ("0.3.0", ["test.after"]),
        ("0.10.0", ["test.after"]),
        ("1.0.0", ["test.after"]),
    ],
)
def test_a_former_name_ends_in_its_version(
    version: str, names: list[str], meter: Instruments, clock: HandClock
) -> None:
    """Until then each series leaves under both names, and a histogram is one under both."""
    other = Instruments("prod", clock)
    renamed = Metric("test.after", Kind.HISTOGRAM, "s", "A metric.", bounds=(1.0,), former=Former("test.before", "0.3"))
    other.record(renamed, 0.5)
    view = Everything(meter, other, version=version)
    first, second = view.series(), view.series()
    assert [series.metric.name for series in first] == names
    assert {(series.value, series.start, series.metric.unit) for series in first} == {
        (Distribution((1, 0), 0.5), first[0].start, "s")
    }
    assert [series.metric for series in first] == [series.metric for series in second]


@pytest.mark.parametrize(("name", "until"), [("Before", "0.3"), ("test.before", "0.3.1"), ("test.before", "soon")])
def test_a_former_name_is_a_name_and_has_an_end(name: str, until: str) -> None:
    """What is wrong is refused where it is declared."""
    with pytest.raises(ValueError, match="former metric name"):
        Former(name, until)
