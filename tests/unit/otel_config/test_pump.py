"""The pump."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp

from otel_config.encoding import Encoder
from otel_config.metrics import Metrics
from otel_config.outcome import Outcome
from otel_config.pump import Pump
from otel_config.queue import QUEUE_BYTES, BatchQueue
from otel_config.sender import Sender
from otel_config.tally import Tally
from quaywatch.contract import Kind, Metric, Series
from tests.unit.otel_config.fakes import FakeClock, FakeMeter, Held, Wire, identities, many, metrics_in, series

UP = Metric("quaywatch.target.up", Kind.GAUGE, "", "Up.", ("target",))


class Ticks(FakeClock):
    """A clock whose sleepers wait until `tick`; time passes by ticks alone."""

    def __init__(self) -> None:
        super().__init__()
        self._gate = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait for the next tick."""
        self.naps.append(seconds)
        await self._gate.wait()
        self._gate.clear()
        self.now += seconds

    async def tick(self) -> None:
        """Let the sleeper go on, and everybody run until nobody has anything to do."""
        self._gate.set()
        await settle()


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(200):
        await asyncio.sleep(0)


class Silent(Wire):
    """A black hole."""

    async def send(self, payload: bytes) -> Outcome:
        """Nothing comes back."""
        self.attempts += 1
        await asyncio.Event().wait()
        raise AssertionError(payload)


class Bench:
    """A pump over a wire that answers as told."""

    def __init__(self, wire: Wire | None = None, content: Sequence[Series] = ()) -> None:
        self.clock, self.meter, self.wire, self.held = Ticks(), FakeMeter(), wire or Wire(), Held(content)
        tally = Tally("metrics", self.meter, self.clock)
        self.queue = BatchQueue(QUEUE_BYTES, tally, self.clock)
        sender = Sender(self.wire, self.queue, tally, FakeClock())
        self.source = Metrics(self.held, Encoder({"service.name": "quaywatch"}, self.meter), self.clock)
        self.pump = Pump("metrics", self.source, self.queue, sender, 15.0, self.clock)

    @property
    def requests(self) -> list[ExportMetricsServiceRequest]:
        """What the wire took."""
        return [ExportMetricsServiceRequest.FromString(payload) for payload in self.wire.sent]


async def test_every_interval_one_export() -> None:
    """Each tick sends what is fresh then."""
    bench = Bench(content=[series(UP, 1, target="a")])
    bench.pump.start()
    await settle()
    bench.held.content = [series(UP, 0, target="a")]
    await bench.clock.tick()
    values = [metric.gauge.data_points[0].as_int for metric in metrics_in(bench.requests)]
    times = [metric.gauge.data_points[0].time_unix_nano for metric in metrics_in(bench.requests)]
    assert values == [1, 0]
    assert times[1] - times[0] == 15_000_000_000
    await bench.pump.close(5)


async def test_a_dead_back_end_delays_no_export() -> None:
    """While one batch hangs, each further interval is encoded and queued in its turn."""
    bench = Bench(Silent(), [series(UP, 1, target="a")])
    bench.pump.start()
    await settle()
    for _ in range(4):
        await bench.clock.tick()
    assert (len(bench.queue), bench.wire.attempts) == (5, 1)
    await bench.pump.close(0.6)


async def test_ten_minutes_without_a_back_end_lose_nothing() -> None:
    """40 exports of 10,000 series wait in the default queue, whole."""
    bench = Bench(Silent(), many(10_000))
    bench.pump.start()
    await settle()
    for _ in range(39):
        await bench.clock.tick()
    assert bench.meter.batches("overflow") == 0
    assert sum(waiting.items for waiting in bench.queue._waiting.values()) == 400_000
    await bench.pump.close(0.6)


async def test_a_flush_exports_now_and_says_whether_it_arrived() -> None:
    """True only when everything that waited was delivered."""
    bench = Bench(content=[series(UP, 1, target="a")])
    bench.pump.start()
    await settle()
    assert await bench.pump.flush(5)
    assert len(bench.wire.sent) == 2
    await bench.pump.close(5)
    dead = Bench(Silent(), [series(UP, 1, target="a")])
    dead.pump.start()
    assert not await dead.pump.flush(0.05)
    await dead.pump.close(0.6)


async def test_a_close_over_a_black_hole_ends_in_time() -> None:
    """Whatever waits, the agent stops when it was told to."""
    bench = Bench(Silent(), many(5000))
    bench.pump.start()
    began = time.monotonic()
    await bench.pump.close(1.0)
    assert time.monotonic() - began < 30


async def test_the_last_export_is_sent_on_close() -> None:
    """What became known after the last tick still leaves."""
    bench = Bench(content=[series(UP, 1, target="a")])
    bench.pump.start()
    await settle()
    bench.held.content = [series(UP, 1, target="a"), series(UP, 1, target="late")]
    await bench.pump.close(5)
    assert (UP.name, "target=late") in identities(bench.requests)


async def test_series_are_ended_on_close_where_asked() -> None:
    """An agent that comes back as somebody else leaves nothing standing."""
    bench = Bench(content=[series(UP, 1, target="a")])
    bench.pump.start()
    await settle()
    await bench.pump.close(5, end_series=True)
    [point] = list(metrics_in(bench.requests))[-1].gauge.data_points
    assert point.flags == otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


async def test_a_defect_in_one_export_is_not_the_end() -> None:
    """The next tick exports again."""
    bench = Bench(content=[series(UP, 1, target="a")])
    good = bench.held.series
    broken = True

    class Broken:
        def series(self) -> Sequence[Series]:
            if broken:
                raise RuntimeError("a defect")
            return good()

    bench.source._snapshot = Broken()
    bench.pump.start()
    await settle()
    broken = False
    await bench.clock.tick()
    assert len(bench.wire.sent) == 1
    await bench.pump.close(5)


async def test_encoding_lets_others_run() -> None:
    """Between two batches of a large export the loop is free."""
    bench = Bench(content=many(20_000))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await bench.pump._export(bench.source.batches())
    task.cancel()
    assert turns >= 20


@pytest.mark.parametrize("within", [0.0, 0.2])
async def test_a_close_before_the_start_is_fine(within: float) -> None:
    """Stopping what never ran ends at once."""
    await Bench().pump.close(within)
