"""What the encoder sends, decoded."""

from __future__ import annotations

import gzip
import math
import time

import pytest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp

from otel_config.encoding import Encoder
from otel_config.wire import Temporality
from quaywatch.contract import Distribution, Exemplar, Kind, Metric, Series
from tests.unit.otel_config.fakes import FakeMeter, decoded, identities, many, metrics_in, points_in, series

NOW = 1_700_000_000.5
NOW_NS = 1_700_000_000_500_000_000
AGE = Metric("odoo.queue.oldest.age", Kind.GAUGE, "s", "Age of the oldest job.", ("channel",))
JOBS = Metric("odoo.queue.jobs", Kind.UPDOWN, "{job}", "Jobs.", ("channel",))
RUNS = Metric("quaywatch.probe.runs", Kind.COUNTER, "{run}", "Runs.", ("outcome",))
TOOK = Metric("quaywatch.probe.duration", Kind.HISTOGRAM, "s", "Duration.", ("probe",), bounds=(0.1, 1.0))
NO_VALUE = otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


@pytest.fixture
def meter() -> FakeMeter:
    """A meter that is read afterwards."""
    return FakeMeter()


@pytest.fixture
def encoder(meter: FakeMeter) -> Encoder:
    """An encoder with the usual settings."""
    return Encoder({"service.name": "quaywatch", "service.instance.id": "one"}, meter)


def sent(encoder: Encoder, *content: Series, now: float = NOW) -> dict[str, otlp.Metric]:
    """What one export of these series sends, by metric name."""
    return {metric.name: metric for metric in metrics_in(decoded(encoder.encode(content, now)))}


def test_a_gauge_is_a_gauge(encoder: Encoder) -> None:
    """Name, unit, help, attributes, value and the time of export arrive; there is no start."""
    metric = sent(encoder, series(AGE, 7.5, channel="root", target="erp"))["odoo.queue.oldest.age"]
    assert (metric.unit, metric.description, metric.WhichOneof("data")) == ("s", "Age of the oldest job.", "gauge")
    [point] = metric.gauge.data_points
    assert (point.as_double, point.time_unix_nano, point.start_time_unix_nano, point.flags) == (7.5, NOW_NS, 0, 0)
    assert [(pair.key, pair.value.string_value) for pair in point.attributes] == [
        ("channel", "root"),
        ("target", "erp"),
    ]


def test_an_up_down_value_is_a_sum_that_may_fall(encoder: Encoder) -> None:
    """It is cumulative and not monotonic; whole numbers stay whole."""
    metric = sent(encoder, series(JOBS, 3, channel="root"))["odoo.queue.jobs"]
    assert not metric.sum.is_monotonic
    assert metric.sum.aggregation_temporality == otlp.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert metric.sum.data_points[0].as_int == 3


def test_a_counter_is_a_monotonic_sum_with_its_start(encoder: Encoder) -> None:
    """The source's own reset time is the start of the point."""
    metric = sent(encoder, series(RUNS, 12, start=1_600_000_000.25, outcome="success"))["quaywatch.probe.runs"]
    assert metric.sum.is_monotonic
    assert metric.sum.aggregation_temporality == otlp.AGGREGATION_TEMPORALITY_CUMULATIVE
    [point] = metric.sum.data_points
    assert (point.as_int, point.start_time_unix_nano) == (12, 1_600_000_000_250_000_000)


def test_a_start_in_the_future_is_held_back_to_now(encoder: Encoder) -> None:
    """A source whose clock is ahead never makes a point that ends before it starts."""
    metric = sent(encoder, series(RUNS, 1, start=NOW + 60, outcome="success"))["quaywatch.probe.runs"]
    assert metric.sum.data_points[0].start_time_unix_nano == NOW_NS


def test_a_histogram_keeps_its_buckets(encoder: Encoder) -> None:
    """Bounds, counts, sum and count arrive as they were recorded."""
    value = Distribution((1, 2, 3), 4.5)
    metric = sent(encoder, series(TOOK, value, start=1_600_000_000.0, probe="order"))["quaywatch.probe.duration"]
    [point] = metric.histogram.data_points
    assert (list(point.explicit_bounds), list(point.bucket_counts)) == ([0.1, 1.0], [1, 2, 3])
    assert (point.sum, point.count) == (4.5, 6)


def test_a_traced_value_leads_to_its_span(encoder: Encoder) -> None:
    """Value, time and ids of an exemplar arrive with the histogram."""
    traced = Exemplar(0.5, NOW, "ab" * 16, "cd" * 8)
    told = series(TOOK, Distribution((0, 1, 0), 0.5, (traced,)), start=NOW - 5, probe="order")
    [point] = sent(encoder, told)[TOOK.name].histogram.data_points
    [exemplar] = point.exemplars
    assert (exemplar.as_double, exemplar.time_unix_nano) == (0.5, NOW_NS)
    assert (exemplar.trace_id.hex(), exemplar.span_id.hex()) == (traced.trace_id, traced.span_id)


def test_one_resource_and_one_scope_without_a_version(encoder: Encoder) -> None:
    """Every request has the resource once and the same scope after every upgrade."""
    [request] = decoded(encoder.encode([series(AGE, 1, channel="a"), series(JOBS, 1, channel="a")], NOW))
    [resource] = request.resource_metrics
    names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert names == {"service.name": "quaywatch", "service.instance.id": "one"}
    [scope] = resource.scope_metrics
    assert (scope.scope.name, scope.scope.version) == ("quaywatch", "")


@pytest.mark.parametrize(
    ("metric", "value"), [(AGE, 1.0), (JOBS, 2), (RUNS, 3), (TOOK, Distribution((1, 0, 0), 0.05))], ids=str
)
def test_a_vanished_series_is_ended_by_exactly_one_point(encoder: Encoder, metric: Metric, value: object) -> None:
    """The export after it vanished has one point without a value under its attributes, the next one has nothing."""
    sent(encoder, series(metric, value, target="erp"))
    [end] = points_in(sent(encoder, now=NOW + 15)[metric.name])
    assert end.flags == NO_VALUE
    assert end.time_unix_nano == NOW_NS + 15_000_000_000
    assert [(pair.key, pair.value.string_value) for pair in end.attributes] == [("target", "erp")]
    assert isinstance(end, otlp.HistogramDataPoint) or end.WhichOneof("value") is None
    assert sent(encoder, now=NOW + 30) == {}


def test_a_series_that_came_back_ends_again(encoder: Encoder) -> None:
    """Each disappearance is told."""
    for _ in range(2):
        sent(encoder, series(AGE, 1, channel="a"))
        assert sent(encoder)[AGE.name].gauge.data_points[0].flags == NO_VALUE


def test_targets_that_a_reload_removed_are_ended(encoder: Encoder) -> None:
    """Only what the new configuration no longer reads is ended; the rest goes on."""
    sent(encoder, series(AGE, 1, target="old"), series(AGE, 2, target="kept"))
    points = sent(encoder, series(AGE, 3, target="kept"))[AGE.name].gauge.data_points
    told = {point.attributes[0].value.string_value: (point.flags, point.as_double, point.as_int) for point in points}
    assert told == {"kept": (0, 0.0, 3), "old": (NO_VALUE, 0.0, 0)}


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "7", 10**400, Distribution((1,), 1.0)])
def test_a_value_that_cannot_be_stored_costs_only_itself(encoder: Encoder, meter: FakeMeter, value: object) -> None:
    """It is dropped and counted as invalid, and the points beside it leave."""
    points = sent(encoder, series(AGE, value, channel="bad"), series(AGE, 1.5, channel="good"))[AGE.name]
    assert [point.as_double for point in points.gauge.data_points] == [1.5]
    assert meter.points("invalid") == 1


@pytest.mark.parametrize(
    "value", [Distribution((1, 1), 1.0), Distribution((1, -1, 1), 1.0), Distribution((1, 1, 1), math.nan), 3.0, None]
)
def test_a_distribution_that_does_not_fit_is_dropped(encoder: Encoder, meter: FakeMeter, value: object) -> None:
    """Wrong shape, negative counts, a sum that is no number: dropped and counted."""
    assert sent(encoder, series(TOOK, value, probe="order")) == {}
    assert meter.points("invalid") == 1


def test_a_value_that_went_bad_ends_its_series(encoder: Encoder) -> None:
    """The last good value is not left standing."""
    sent(encoder, series(AGE, 1.0, channel="a"))
    [point] = sent(encoder, series(AGE, math.nan, channel="a"))[AGE.name].gauge.data_points
    assert point.flags == NO_VALUE


@pytest.mark.parametrize(("value", "expected"), [(2**63, 2.0**63), (-(2**64), -(2.0**64))])
def test_an_integer_past_64_bits_leaves_as_a_double(encoder: Encoder, value: int, expected: float) -> None:
    """Nearly right is better than missing."""
    [point] = sent(encoder, series(AGE, value, channel="a"))[AGE.name].gauge.data_points
    assert point.as_double == expected


@pytest.mark.parametrize(("value", "expected"), [(True, 1), (False, 0), (2**63 - 1, 2**63 - 1), (-(2**63), -(2**63))])
def test_a_whole_number_leaves_whole(encoder: Encoder, value: int, expected: int) -> None:
    """Booleans are 0 and 1, 64-bit integers are exact."""
    [point] = sent(encoder, series(AGE, value, channel="a"))[AGE.name].gauge.data_points
    assert (point.WhichOneof("value"), point.as_int) == ("as_int", expected)


def test_a_lone_surrogate_is_replaced_and_counted(encoder: Encoder, meter: FakeMeter) -> None:
    """An attribute that is no Unicode text leaves with U+FFFD, and its neighbours as they are."""
    bad, good = series(AGE, 1, channel="a\ud800b"), series(AGE, 2, channel="\U0001f6a2")
    points = sent(encoder, bad, good)[AGE.name].gauge.data_points
    assert [point.attributes[0].value.string_value for point in points] == ["a\ufffdb", "\U0001f6a2"]
    assert meter.points("invalid") == 1


def test_an_attribute_that_is_no_text_costs_only_its_series(encoder: Encoder, meter: FakeMeter) -> None:
    """An exporter's slip drops one point."""
    points = sent(encoder, series(AGE, 1, channel=7), series(AGE, 2, channel="a"))[AGE.name].gauge.data_points
    assert len(points) == 1
    assert meter.points("invalid") == 1


def test_ten_thousand_series_leave_whole_in_batches_below_the_limit(meter: FakeMeter) -> None:
    """None is lost, none merged, and no request is larger than allowed."""
    content = many(10_000)
    limit = 50_000
    batches = list(Encoder({"service.name": "quaywatch"}, meter, batch_bytes=limit).encode(content, NOW))
    assert sum(batch.items for batch in batches) == 10_000
    assert len(set(identities(decoded(batches)))) == len(identities(decoded(batches))) == 10_000
    assert max(len(gzip.decompress(batch.payload)) for batch in batches) <= limit
    assert len(batches) < 40


def test_the_limit_is_below_what_grpc_servers_take(encoder: Encoder) -> None:
    """With attributes as long as they come, a request still fits into 4 MiB."""
    content = [series(AGE, 1, channel=f"{index:04d}" + "x" * 20_000) for index in range(1500)]
    batches = list(encoder.encode(content, NOW))
    assert len(identities(decoded(batches))) == 1500
    assert max(len(gzip.decompress(batch.payload)) for batch in batches) < 4 * 2**20


def test_a_point_larger_than_a_batch_is_dropped_alone(meter: FakeMeter) -> None:
    """What no server would take is counted as invalid; the rest leaves."""
    encoder = Encoder({}, meter, batch_bytes=1000)
    batches = list(encoder.encode([series(AGE, 1, channel="x" * 2000), series(AGE, 1, channel="a")], NOW))
    assert identities(decoded(batches)) == [(AGE.name, "channel=a")]
    assert meter.points("invalid") == 1


def test_encoding_never_holds_the_loop(encoder: Encoder) -> None:
    """20,000 series take the processor less than a second, and one batch of them far less than a tenth."""
    content = many(20_000)
    list(encoder.encode(content, NOW))
    batches, began = encoder.encode(content, NOW), time.thread_time()
    took = []
    while True:
        slice_began = time.thread_time()
        if next(batches, None) is None:
            break
        took.append(time.thread_time() - slice_began)
    assert time.thread_time() - began < 1.0
    assert sorted(took)[len(took) // 2] < 0.05


class TestDelta:
    """Counters and histograms as what came since the last export."""

    @pytest.fixture
    def encoder(self, meter: FakeMeter) -> Encoder:
        """An encoder of an agent that started 10 s ago."""
        return Encoder({}, meter, temporality=Temporality.DELTA, since=NOW - 10)

    def test_a_counter_of_our_own_loses_nothing(self, encoder: Encoder) -> None:
        """What was counted since the agent's start is the first step, then only what came."""
        first = sent(encoder, series(RUNS, 5, start=NOW - 9, outcome="success"))[RUNS.name].sum
        second = sent(encoder, series(RUNS, 7, start=NOW - 9, outcome="success"), now=NOW + 15)[RUNS.name].sum
        assert first.aggregation_temporality == otlp.AGGREGATION_TEMPORALITY_DELTA
        assert [first.data_points[0].as_int, second.data_points[0].as_int] == [5, 2]
        assert second.data_points[0].start_time_unix_nano == NOW_NS

    def test_what_was_counted_before_our_time_is_not_told(self, encoder: Encoder) -> None:
        """A server's counter of a month gives its base first; nothing is counted twice after a restart."""
        assert sent(encoder, series(RUNS, 10**6, start=NOW - 10**6, outcome="success")) == {}
        metric = sent(encoder, series(RUNS, 10**6 + 4, start=NOW - 10**6, outcome="success"), now=NOW + 15)
        assert metric[RUNS.name].sum.data_points[0].as_int == 4

    def test_a_reset_starts_anew_from_its_own_time(self, encoder: Encoder) -> None:
        """After the source reset, the step is all it counted since, and starts where the reset was."""
        sent(encoder, series(RUNS, 100, start=NOW - 1000, outcome="success"))
        metric = sent(encoder, series(RUNS, 3, start=NOW + 5, outcome="success"), now=NOW + 15)[RUNS.name]
        [point] = metric.sum.data_points
        assert (point.as_int, point.start_time_unix_nano) == (3, NOW_NS + 5_000_000_000)

    def test_a_reset_that_looks_like_progress_is_seen(self, encoder: Encoder) -> None:
        """A new start counts, although the total is higher than before."""
        sent(encoder, series(RUNS, 100, start=NOW - 1000, outcome="success"))
        metric = sent(encoder, series(RUNS, 150, start=NOW + 5, outcome="success"), now=NOW + 15)[RUNS.name]
        assert metric.sum.data_points[0].as_int == 150

    def test_a_fall_without_a_new_start_is_never_a_negative_step(self, encoder: Encoder) -> None:
        """Nothing true can be said, so nothing is; the next step counts from there."""
        sent(encoder, series(RUNS, 15, start=NOW - 5, outcome="success"))
        assert sent(encoder, series(RUNS, 3, start=NOW - 5, outcome="success"), now=NOW + 15) == {}
        metric = sent(encoder, series(RUNS, 4, start=NOW - 5, outcome="success"), now=NOW + 30)[RUNS.name]
        assert metric.sum.data_points[0].as_int == 1

    def test_a_histogram_gives_the_difference_of_its_buckets(self, encoder: Encoder) -> None:
        """Counts and sum are what was recorded since."""
        sent(encoder, series(TOOK, Distribution((1, 1, 0), 1.0), start=NOW - 5, probe="order"))
        after = series(TOOK, Distribution((2, 1, 1), 4.0), start=NOW - 5, probe="order")
        [point] = sent(encoder, after, now=NOW + 15)[TOOK.name].histogram.data_points
        assert (list(point.bucket_counts), point.sum, point.count) == ([1, 0, 1], 3.0, 2)

    def test_an_exemplar_is_told_once(self, encoder: Encoder) -> None:
        """A step bears the exemplars that came with it."""
        old, new = (Exemplar(0.5, NOW + later, "ab" * 16, "cd" * 8) for later in (0, 10))
        for known in ((old,), (old, new)):
            told = series(TOOK, Distribution((0, len(known), 0), 0.5, known), start=NOW - 5, probe="order")
            [point] = sent(encoder, told, now=NOW + 15)[TOOK.name].histogram.data_points
            assert [one.time_unix_nano for one in point.exemplars] == [round(known[-1].at * 1e9)]

    def test_levels_stay_levels(self, encoder: Encoder) -> None:
        """Gauges and up-down values are the same under every preference."""
        sent(encoder, series(JOBS, 3, channel="a"), series(AGE, 3.0, channel="a"))
        told = sent(encoder, series(JOBS, 5, channel="a"), series(AGE, 5.0, channel="a"), now=NOW + 15)
        assert told[JOBS.name].sum.aggregation_temporality == otlp.AGGREGATION_TEMPORALITY_CUMULATIVE
        assert told[JOBS.name].sum.data_points[0].as_int == 5
        assert told[AGE.name].gauge.data_points[0].as_double == 5.0

    def test_a_series_that_comes_back_is_not_told_twice(self, encoder: Encoder) -> None:
        """After a gap only what came after the return is counted."""
        sent(encoder, series(RUNS, 5, start=NOW - 9, outcome="success"))
        sent(encoder, now=NOW + 15)
        assert sent(encoder, series(RUNS, 6, start=NOW - 9, outcome="success"), now=NOW + 30) == {}
