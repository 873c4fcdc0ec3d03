"""The scraped page, parsed as a scraper would."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from prometheus_client import Metric as Family
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse

from otel_config.prometheus import exposition
from quaywatch.contract import Distribution, Exemplar, Kind, Metric, Series
from tests.unit.otel_config.fakes import FakeMeter, Held, many, series

OPENMETRICS = "application/openmetrics-text; version=1.0.0; q=0.9, text/plain; q=0.1"
AGE = Metric("odoo.queue.oldest.age", Kind.GAUGE, "s", "Age of the oldest job.", ("channel",))
RUNS = Metric("quaywatch.probe.runs", Kind.COUNTER, "{run}", "Runs.", ("outcome",))
JOBS = Metric("odoo.queue.jobs", Kind.UPDOWN, "{job}", "Jobs.", ("channel",))
TOOK = Metric("quaywatch.probe.duration", Kind.HISTOGRAM, "s", "Duration.", ("probe",), bounds=(0.1, 1.0))


@pytest.fixture
def meter() -> FakeMeter:
    """A meter that is read afterwards."""
    return FakeMeter()


def parse_openmetrics(text: str) -> list[Family]:
    """The families of an OpenMetrics page; its parser is strict."""
    return list(openmetrics_parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def page(meter: FakeMeter, *content: Series, accept: str = "text/plain") -> str:
    """The page over these series."""
    text, _ = exposition(Held(content), {"service.name": "quaywatch"}, meter)(accept)
    return text.decode()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample on a classic page."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_each_kind_has_its_type_and_help(meter: FakeMeter) -> None:
    """Levels are gauges, counters end in _total, and each family has its lines once."""
    text = page(
        meter,
        series(AGE, 7.5, channel="root"),
        series(AGE, 8.5, channel="sub"),
        series(RUNS, 3, start=1.0, outcome="success"),
        series(JOBS, 2, channel="root"),
    )
    assert text.count("# TYPE odoo_queue_oldest_age_seconds gauge\n") == 1
    assert text.count("# HELP odoo_queue_oldest_age_seconds Age of the oldest job.\n") == 1
    assert "# TYPE quaywatch_probe_runs_total counter\n" in text
    assert "# TYPE odoo_queue_jobs gauge\n" in text
    assert 'odoo_queue_oldest_age_seconds{channel="root"} 7.5\n' in text
    assert 'quaywatch_probe_runs_total{outcome="success"} 3.0\n' in text


def test_a_histograms_buckets_are_cumulative(meter: FakeMeter) -> None:
    """Each bucket counts what lies below its bound, the last one everything."""
    found = samples(page(meter, series(TOOK, Distribution((1, 2, 3), 4.5), probe="order")))
    name, probe = "quaywatch_probe_duration_seconds", ("probe", "order")
    buckets = {bound: found[f"{name}_bucket", frozenset({probe, ("le", bound)})] for bound in ("0.1", "1.0", "+Inf")}
    assert buckets == {"0.1": 1, "1.0": 3, "+Inf": 6}
    assert (found[f"{name}_sum", frozenset({probe})], found[f"{name}_count", frozenset({probe})]) == (4.5, 6)


def test_a_bucket_leads_to_a_trace(meter: FakeMeter) -> None:
    """Where OpenMetrics is spoken the bucket of a traced value bears it; the older format has no place for it."""
    traced = Exemplar(0.5, 1_700_000_000.25, "ab" * 16, "cd" * 8)
    told = series(TOOK, Distribution((1, 1, 0), 0.6, (traced,)), probe="order")
    (family,) = [one for one in parse_openmetrics(page(meter, told, accept=OPENMETRICS)) if one.type == "histogram"]
    exemplars = {one.labels.get("le"): one.exemplar for one in family.samples if one.exemplar}
    ids = {"trace_id": traced.trace_id, "span_id": traced.span_id}
    assert {bound: (one.labels, one.value, float(str(one.timestamp))) for bound, one in exemplars.items()} == {
        "1.0": (ids, 0.5, 1_700_000_000.25)
    }
    assert "trace_id" not in page(meter, told)


def test_there_is_the_resource_and_nothing_of_the_process(meter: FakeMeter) -> None:
    """`target_info` has the resource attributes; the client library's own metrics are absent."""
    found = samples(page(meter, series(AGE, 1, channel="a")))
    assert found["target_info", frozenset({("service_name", "quaywatch")})] == 1
    assert {name for name, _ in found} == {"target_info", "odoo_queue_oldest_age_seconds"}


def test_no_sample_has_a_timestamp(meter: FakeMeter) -> None:
    """Prometheus ends what is no longer on the page only where there are none."""
    for family in parse(page(meter, series(AGE, 1, channel="a"), series(RUNS, 1, start=5.0, outcome="x"))):
        assert [sample.timestamp for sample in family.samples] == [None] * len(family.samples)


def test_openmetrics_is_spoken_where_it_is_asked_for(meter: FakeMeter) -> None:
    """The content type follows the Accept header and the text parses as what it says."""
    content = [series(AGE, 1, channel="a"), series(RUNS, 2, outcome="x"), series(TOOK, Distribution((1, 0, 0), 0.1))]
    show = exposition(Held(content), {}, meter)
    text, content_type = show(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name: family.unit for family in parse_openmetrics(text.decode())} == {
        "odoo_queue_oldest_age_seconds": "seconds",
        "quaywatch_probe_runs": "",
        "quaywatch_probe_duration_seconds": "seconds",
    }
    assert show()[1].startswith("text/plain")


@pytest.mark.parametrize(
    "bad",
    [
        series(AGE, None, channel="bad"),
        series(AGE, math.nan, channel="bad"),
        series(AGE, 1, channel=7),
        series(AGE, 1, channel="good"),
        series(TOOK, Distribution((1,), 1.0), probe="order"),
        series(TOOK, Distribution((1, 1, 1), 1.0), le="0.1"),
        Series(AGE, (("a.b", "x"), ("a_b", "y")), 1.0),
        series(Metric("odoo.queue.oldest.age", Kind.COUNTER, "s", "Twice."), 1, channel="good"),
        series(Metric("odoo.queue.oldest_age", Kind.UPDOWN, "s", "Another."), 1, channel="good"),
        series(Metric("quaywatch.probe.duration", Kind.HISTOGRAM, "s", "D.", bounds=(5.0,)), Distribution((1, 1), 6.0)),
    ],
    ids=lambda bad: f"{bad.metric.name}{bad.attributes}",
)
def test_a_bad_series_never_breaks_the_page(meter: FakeMeter, bad: Series) -> None:
    """What cannot be shown is left out; the page parses and the good series stands on it once."""
    good = series(AGE, 1.5, channel="good"), series(TOOK, Distribution((1, 0, 0), 0.1), probe="order")
    text = page(meter, *good, bad)
    found = samples(text)
    assert found["odoo_queue_oldest_age_seconds", frozenset({("channel", "good")})] == 1.5
    assert text.count('odoo_queue_oldest_age_seconds{channel="good"}') == 1
    assert parse_openmetrics(page(meter, *good, bad, accept=OPENMETRICS))


def test_what_is_left_out_is_counted(meter: FakeMeter) -> None:
    """Each scrape counts the series it could not show."""
    page(meter, series(AGE, math.nan, channel="bad"))
    assert meter.points("invalid") == 1


def test_text_that_is_no_unicode_or_needs_escapes_is_shown(meter: FakeMeter) -> None:
    """Surrogates are replaced, quotes, line ends and backslashes come through."""
    text = page(meter, series(AGE, 1, channel="a\ud800"), series(AGE, 2, channel='q"\\\n'))
    assert samples(text)["odoo_queue_oldest_age_seconds", frozenset({("channel", 'q"\\\n')})] == 2
    assert 'channel="a\ufffd"' in text


def test_a_page_is_made_of_nothing_but_its_own_series(meter: FakeMeter) -> None:
    """Whatever stood on the page before: the next one is that of a new agent with the same series."""
    held = Held([series(AGE, 1, channel="a"), series(AGE, 2, channel="b")])
    show = exposition(held, {}, meter)
    show()
    held.content = [series(AGE, 3, channel="b"), series(JOBS, 4, channel="b"), series(RUNS, 5, outcome="x")]
    assert show() == exposition(held, {}, meter)()
    assert 'channel="a"' not in show()[0].decode()


async def test_the_page_can_be_made_beside_the_loop(meter: FakeMeter) -> None:
    """The text of many series is the same from a thread."""
    show = exposition(Held(many(2000)), {}, meter)
    assert await show.page() == show()


def test_each_series_has_the_buckets_of_its_source(meter: FakeMeter) -> None:
    """Two servers that were given different bounds stand side by side under one name."""
    coarse = replace(TOOK, bounds=(5.0,))
    text = page(
        meter,
        series(TOOK, Distribution((1, 0, 0), 0.1), start=1.0, target="a"),
        series(coarse, Distribution((1, 1), 7.0), start=1.0, target="b"),
    )
    bounds = {
        (line.labels["target"], line.labels["le"])
        for family in parse(text)
        for line in family.samples
        if "le" in line.labels
    }
    assert bounds == {("a", "0.1"), ("a", "1.0"), ("a", "+Inf"), ("b", "5.0"), ("b", "+Inf")}
    assert meter.values == {}
