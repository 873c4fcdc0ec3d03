"""What the stores make of it: VictoriaMetrics by push, directly and through a Collector, and Prometheus by scraping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from otel_config.names import prometheus_name
from otel_config.prometheus import exposition
from otel_config.settings import OtlpSettings, Protocol, SignalSettings
from otel_config.telemetry import Telemetry
from quaywatch.contract import Distribution, Former, Kind, Metric, Series, Snapshot
from quaywatch.runtime.view import Everything
from sandbox.parts import api, prometheus, victoriametrics
from sandbox.process import free_port
from sandbox.testing import shared_world
from sandbox.world import World
from tests.integration.otel_config.support import RESOURCE
from tests.unit.otel_config.fakes import FakeMeter, Held, many, series

# The Collector is compiled on a machine that has none yet.
pytestmark = pytest.mark.timeout(1200)
SCRAPE_INTERVAL = 1.0
INTERVAL = 1.0
BUSY = 15.0
"""Seconds that a busy machine may take more."""
UNITS = ("s", "By", "1", "", "{job}", "By/s", "ms", "%")
KINDS = (Kind.GAUGE, Kind.UPDOWN, Kind.COUNTER, Kind.HISTOGRAM)
ADDED = {"__name__", "job", "instance", *(name.replace(".", "_") for name in RESOURCE)}
"""Labels that a store adds by itself: who was scraped, and the resource."""

Stored = dict[tuple[str, frozenset[tuple[str, str]]], float]
Ask = Callable[[World, str], Awaitable[Stored]]
Way = Callable[[World], SignalSettings]


@pytest.fixture(scope="module")
def world() -> World:
    """The sandbox's stores."""
    return shared_world("victoriametrics", "collector", "prometheus")


def catalogue(prefix: str) -> list[Series]:
    """One series of every kind and unit, with the attributes that the runtime adds."""
    found = []
    for kind in KINDS:
        for number, unit in enumerate(UNITS):
            bounds = (0.5, 1.0, 10.0) if kind is Kind.HISTOGRAM else ()
            metric = Metric(f"{prefix}.{kind}.of_{number}", kind, unit, "A metric.", ("mode",), bounds=bounds)
            value = Distribution((1, 2, 0, 1), 25.5) if bounds else 7
            start = time.time() - 60 if kind in {Kind.COUNTER, Kind.HISTOGRAM} else None
            found.append(series(metric, value, start, mode="Row Share", target="erp-db", database="acme"))
    ratio = Metric(f"{prefix}.fragmentation_ratio", Kind.GAUGE, "1", "A ratio that says so.", ("mode",))
    return [*found, series(ratio, 1.5, mode="x")]


@asynccontextmanager
async def sending(snapshot: Snapshot, to: SignalSettings, interval: float = INTERVAL) -> AsyncIterator[Telemetry]:
    """An agent's telemetry to a store."""
    settings = OtlpSettings(metrics=to, interval=interval)
    telemetry = await Telemetry.start(settings, snapshot, FakeMeter(), RESOURCE)
    try:
        yield telemetry
    finally:
        await telemetry.close(5)


@asynccontextmanager
async def scraped(snapshot: Snapshot, world: World) -> AsyncIterator[str]:
    """An agent's page, which Prometheus scrapes."""
    page = exposition(snapshot, RESOURCE, FakeMeter())

    async def metrics(request: web.Request) -> web.Response:
        text, content_type = await page.page(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.to_thread(prometheus.set_targets, world.prometheus, [f"127.0.0.1:{port}"])
        yield f"127.0.0.1:{port}"
    finally:
        await asyncio.to_thread(prometheus.set_targets, world.prometheus, [])
        await runner.cleanup()


async def in_victoriametrics(world: World, promql: str) -> Stored:
    """What VictoriaMetrics answers."""
    return _plain(await asyncio.to_thread(victoriametrics.query, world.victoriametrics, promql))


async def in_prometheus(world: World, promql: str) -> Stored:
    """What Prometheus answers."""
    return _plain(await asyncio.to_thread(api.query, world.prometheus.url, promql))


def _plain(answer: list[tuple[dict[str, str], float]]) -> Stored:
    """By name and labels, without those that the store added."""
    return {
        (
            labels.get("__name__", ""),
            frozenset((name, text) for name, text in labels.items() if name not in ADDED),
        ): value
        for labels, value in answer
    }


async def filled(ask: Ask, world: World, promql: str, size: int) -> Stored:
    """The answer, once it has so many series."""
    end = time.monotonic() + 60
    while True:
        answer = await ask(world, promql)
        if len(answer) == size:
            return answer
        assert time.monotonic() < end, f"{len(answer)} series instead of {size}: {sorted(name for name, _ in answer)}"
        await asyncio.sleep(0.2)


async def seconds(done: Awaitable[object]) -> float:
    """How long this takes."""
    began = time.monotonic()
    await done
    return time.monotonic() - began


def direct(world: World) -> SignalSettings:
    """Straight to VictoriaMetrics."""
    return SignalSettings(endpoint=world.victoriametrics.otlp, protocol=Protocol.HTTP)


def through_collector(world: World) -> SignalSettings:
    """Through the Collector, by gRPC."""
    return SignalSettings(endpoint=f"http://{world.collector.grpc}", protocol=Protocol.GRPC)


async def test_every_sink_stores_the_same_names_labels_and_values(world: World) -> None:
    """Row 25: every kind and unit, with its tenant: by push directly and through the Collector, and by scraping."""
    stored: dict[str, Stored] = {}
    content = catalogue("same")
    names = [prometheus_name(one.metric) for one in content]
    plain = [name for one, name in zip(content, names, strict=True) if one.metric.kind is not Kind.HISTOGRAM]
    # A histogram has a series for each bucket, +Inf among them, one for its sum and one for its count.
    size = len(plain) + (len(content) - len(plain)) * (4 + 2)
    everything = '{__name__=~"same_.*"}'
    async with sending(Held(content), direct(world)):
        stored["direct"] = await filled(in_victoriametrics, world, everything, size)
    through = catalogue("through")
    async with sending(Held(through), through_collector(world)):
        found = await filled(in_victoriametrics, world, '{__name__=~"through_.*"}', size)
    stored["collector"] = {
        (name.replace("through_", "same_"), labels): value for (name, labels), value in found.items()
    }
    async with scraped(Held(content), world):
        stored["scraped"] = await filled(in_prometheus, world, everything, size)
    assert normal(stored["direct"]) == normal(stored["collector"]) == normal(stored["scraped"])
    assert set(plain) <= {name for name, _ in stored["scraped"]}
    assert all(("database", "acme") in labels for name, labels in stored["scraped"] if "_of_" in name)


def normal(stored: Stored) -> Stored:
    """The same with each bucket's bound as a number: a page says 1.0 where VictoriaMetrics says 1."""
    return {
        (name, frozenset((label, str(float(text)) if label == "le" else text) for label, text in labels)): value
        for (name, labels), value in stored.items()
    }


@pytest.mark.parametrize("way", [direct, through_collector])
async def test_ten_thousand_series_are_stored_whole(world: World, way: Way) -> None:
    """One export, and the store counts them all."""
    to = way(world)
    metric = Metric(
        "whole.by_grpc" if to.protocol is Protocol.GRPC else "whole.by_http",
        Kind.GAUGE,
        "s",
        "One of many.",
        ("database",),
    )
    async with sending(Held(many(10_000, metric)), to, interval=3600.0):
        counted = await filled_count(world, f"count({prometheus_name(metric)})", 10_000)
    assert counted == 10_000


async def filled_count(world: World, promql: str, least: float) -> float:
    """The value of a query, once it is this large."""
    end = time.monotonic() + 60
    while True:
        value = max((await in_victoriametrics(world, promql)).values(), default=0.0)
        if value >= least:
            return value
        assert time.monotonic() < end, f"{promql} is {value}"
        await asyncio.sleep(0.2)


async def test_a_renamed_metric_is_stored_under_both_names(world: World) -> None:
    """Wanted 10: until the version that is named, in both stores, of the same kind with the same value.

    In that version only the new names are left.
    """
    metric = Metric("renamed.after", Kind.GAUGE, "s", "A metric.", ("mode",), former=Former("renamed.before", "0.3"))
    counted = replace(metric, name="renamed.events", kind=Kind.COUNTER, former=Former("renamed.incidents", "0.3"))
    held = Held([series(metric, 7, mode="x"), series(counted, 9, time.time() - 60, mode="x")])
    before, after = Everything(held, version="0.2.7"), Everything(held, version="0.3.0")
    values = {"after": 7, "before": 7, "events": 9, "incidents": 9}
    async with sending(before, direct(world)):
        pushed = await filled(in_victoriametrics, world, '{__name__=~"renamed_.*"}', 4)
    async with scraped(before, world):
        found = await filled(in_prometheus, world, '{__name__=~"renamed_.*"}', 4)
    for stored in (pushed, found):
        assert {name.split("_")[1]: value for (name, _), value in stored.items()} == values
        assert len({labels for _, labels in stored}) == 1
    assert sorted(one.metric.name for one in after.series()) == ["renamed.after", "renamed.events"]


async def test_a_vanished_series_ends_in_both_stores(world: World) -> None:
    """Row 21: an instant query gives nothing within an interval and 5 s, a histogram's parts included; others go on.

    It is so for every kind of metric, and all of them vanish at once. What is not ended stays for five minutes.
    """
    everything = catalogue("gone")
    gone, kept = ([one for one in everything if one.metric.unit == unit] for unit in ("s", "By"))
    held = Held([*gone, *kept])
    ask_gone, ask_kept = (
        f'{{__name__=~"({"|".join(prometheus_name(one.metric) for one in some)}).*"}}' for some in (gone, kept)
    )
    parts = sum(6 if kind is Kind.HISTOGRAM else 1 for kind in KINDS)
    async with sending(held, through_collector(world)), scraped(held, world):
        await filled(in_victoriametrics, world, ask_gone, parts)
        await filled(in_prometheus, world, ask_gone, parts)
        held.content = kept
        pushed, pulled = await asyncio.gather(
            seconds(filled(in_victoriametrics, world, ask_gone, 0)), seconds(filled(in_prometheus, world, ask_gone, 0))
        )
        assert pushed < INTERVAL + 5 + BUSY
        assert pulled < SCRAPE_INTERVAL + 5 + BUSY
        assert len(await in_victoriametrics(world, ask_kept)) == parts
        assert len(await in_prometheus(world, ask_kept)) == parts


async def test_an_upgrade_begins_no_series_anew(world: World) -> None:
    """The same agent in another version goes on with the same series."""
    metric = Metric("upgrade.steady", Kind.GAUGE, "", "Steady.", ("target",))
    for version in ("1.0", "2.0"):
        settings = OtlpSettings(metrics=direct(world), interval=3600.0)
        snapshot = Held([series(metric, float(version), target="a")])
        telemetry = await Telemetry.start(settings, snapshot, FakeMeter(), {**RESOURCE, "service.version": version})
        await telemetry.close(5)
    assert await filled_count(world, "max(last_over_time(upgrade_steady[1h]))", 2) == 2
    assert await filled_count(world, "count(last_over_time(upgrade_steady[1h]))", 1) == 1
