"""What becomes of a batch."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterable

import pytest
from grpc import StatusCode

from otel_config.encoding import Batch
from otel_config.http_transport import retry_after
from otel_config.outcome import DOUBTFUL_TRIES, Failed, Failure, Outcome, Sent, of_code, of_status, short
from otel_config.queue import BatchQueue
from otel_config.sender import BackOff, Sender
from otel_config.tally import Tally
from tests.unit.otel_config.fakes import FakeClock, FakeMeter, Wire

DOWN = Failed(Failure.OUTAGE, "UNAVAILABLE: down")
POISON = Failed(Failure.POISON, "INVALID_ARGUMENT: no")
REFUSED = Failed(Failure.REFUSED, "HTTP 401")
DOUBTFUL = Failed(Failure.DOUBTFUL, "HTTP 500")


class Bench:
    """A sender over a wire that answers as told, and what it did."""

    def __init__(self, answers: Iterable[Outcome | Callable[[], Outcome]]) -> None:
        self.meter, self.clock, self.wire = FakeMeter(), FakeClock(), Wire(answers)
        self.tally = Tally("metrics", self.meter, self.clock)
        self.queue = BatchQueue(1 << 20, self.tally, self.clock)
        self.back_off = BackOff(chance=lambda: 1.0)
        self.sender = Sender(self.wire, self.queue, self.tally, self.clock, self.back_off)

    async def send(self, *contents: bytes) -> list[bytes]:
        """Queue batches of ten points and empty the queue; what the wire took."""
        for content in contents:
            await self.queue.put(Batch(gzip.compress(content), 10, self.clock.time()))
        self.sender.start()
        async with asyncio.timeout(5):
            await self.queue.drained()
        await self.sender.close()
        return self.wire.sent


async def test_what_was_taken_is_counted() -> None:
    """Batches, points and the time of the last success."""
    bench = Bench(())
    assert await bench.send(b"one", b"two") == [b"one", b"two"]
    assert (bench.meter.batches("sent"), bench.meter.points("sent"), bench.meter.points("rejected")) == (2, 20, 0)
    assert bench.meter.values["quaywatch.export.last_success.time", "metrics"] == bench.clock.now


async def test_a_partial_success_tells_what_was_rejected() -> None:
    """The rejected points are counted apart, and the batch is not sent again."""
    bench = Bench([Sent(rejected=3, message="too old")])
    await bench.send(b"one")
    assert bench.wire.attempts == 1
    assert (bench.meter.batches("partial"), bench.meter.points("sent"), bench.meter.points("rejected")) == (1, 7, 3)


async def test_poison_is_dropped_and_the_next_one_goes_out() -> None:
    """A batch that would be refused again does not hold up the others."""
    bench = Bench([POISON])
    assert await bench.send(b"bad", b"good") == [b"good"]
    assert (bench.meter.batches("poison"), bench.meter.points("poison"), bench.meter.points("sent")) == (1, 10, 10)
    assert bench.clock.naps == []


async def test_an_outage_loses_nothing_and_keeps_the_order() -> None:
    """Everything leaves once the back end is there again, oldest first."""
    bench = Bench([DOWN] * 40)
    assert await bench.send(b"one", b"two", b"three") == [b"one", b"two", b"three"]
    assert bench.meter.batches("outage") == 40


async def test_the_back_off_doubles_up_to_its_longest() -> None:
    """1, 2, 4 ... 30, 30 s, then from 1 again after a success."""
    bench = Bench([DOWN] * 7 + [Sent(), DOWN])
    await bench.send(b"one", b"two")
    assert bench.clock.naps == [1, 2, 4, 8, 16, 30, 30, 1]


def test_the_back_off_is_half_by_chance() -> None:
    """Agents that lost the same back end do not come back in step."""
    low, high = BackOff(chance=lambda: 0.0), BackOff(chance=lambda: 1.0)
    assert (low.after(3, DOWN), high.after(3, DOWN)) == (2, 4)


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (0.0, 0.0), (10_000.0, 300.0)])
async def test_the_pause_a_server_asks_for_is_kept(asked: float, waited: float) -> None:
    """Retry-After goes before the own back-off, up to five minutes."""
    bench = Bench([Failed(Failure.OUTAGE, "HTTP 429", asked)])
    await bench.send(b"one")
    assert bench.clock.naps == [waited]


async def test_a_refusal_of_us_is_tried_slowly_and_loses_nothing() -> None:
    """A wrong token is mended by somebody, not by dropping data."""
    bench = Bench([REFUSED] * 50)
    assert await bench.send(b"one") == [b"one"]
    assert set(bench.clock.naps) == {60}


async def test_doubt_ends_after_some_tries() -> None:
    """A server that fails on one batch does not hold up the others for ever."""
    bench = Bench([DOUBTFUL] * DOUBTFUL_TRIES)
    assert await bench.send(b"bad", b"good") == [b"good"]
    assert (bench.meter.batches("poison"), bench.meter.batches("outage")) == (1, DOUBTFUL_TRIES - 1)


async def test_a_defect_in_sending_ends_nothing() -> None:
    """An exception of the wire counts as doubt; the task lives on."""

    def defect() -> Outcome:
        raise RuntimeError("a defect")

    bench = Bench([defect, defect])
    assert await bench.send(b"one") == [b"one"]


async def test_a_batch_that_cannot_be_read_is_dropped() -> None:
    """Damage on disk is counted as poison."""
    bench = Bench(())
    await bench.queue.put(Batch(b"no gzip", 10, 0.0))
    assert await bench.send(b"good") == [b"good"]
    assert bench.meter.points("poison") == 10


class Stuck(Wire):
    """A wire that never answers."""

    async def send(self, payload: bytes) -> Outcome:
        """Nothing comes back."""
        self.sent.append(payload)
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_flush_ends_in_time_over_a_dead_line() -> None:
    """It says that not everything left, and the sender closes at once."""
    bench = Bench(())
    sender = Sender(Stuck(), bench.queue, bench.tally, bench.clock)
    await bench.queue.put(Batch(gzip.compress(b"x"), 1, 0.0))
    sender.start()
    async with asyncio.timeout(5):
        assert not await sender.flush(0.05)
        await sender.close()


async def test_a_flush_does_not_wait_for_the_back_off() -> None:
    """Who flushes is in a hurry: the next try is now."""
    bench = Bench([DOWN])
    clock = Endless()
    sender = Sender(bench.wire, bench.queue, bench.tally, clock)
    await bench.queue.put(Batch(gzip.compress(b"x"), 1, 0.0))
    sender.start()
    await clock.asleep.wait()
    assert await sender.flush(5)
    await sender.close()


async def test_a_flush_without_a_pause_hurries_nobody_later() -> None:
    """The first back-off of the next outage is kept."""
    bench = Bench(())
    clock = Endless()
    sender = Sender(Wire([Sent(), DOWN]), bench.queue, bench.tally, clock, bench.back_off)
    sender.start()
    for content in (b"one", b"two"):
        assert await sender.flush(5)
        await bench.queue.put(Batch(gzip.compress(content), 1, 0.0))
        async with asyncio.timeout(5):
            await (bench.queue.drained() if content == b"one" else clock.asleep.wait())
    for _ in range(100):
        await asyncio.sleep(0)
    assert (clock.naps, bench.meter.batches("outage"), len(bench.queue)) == ([1.0], 1, 1)
    await sender.close()


class Endless(FakeClock):
    """A clock whose sleepers sleep on; ``asleep`` once there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """For ever."""
        self.naps.append(seconds)
        self.asleep.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (400, Failure.POISON),
        (413, Failure.POISON),
        (415, Failure.POISON),
        (422, Failure.POISON),
        (401, Failure.REFUSED),
        (403, Failure.REFUSED),
        (404, Failure.REFUSED),
        (302, Failure.REFUSED),
        (408, Failure.OUTAGE),
        (429, Failure.OUTAGE),
        (502, Failure.OUTAGE),
        (503, Failure.OUTAGE),
        (504, Failure.OUTAGE),
        (500, Failure.DOUBTFUL),
        (507, Failure.DOUBTFUL),
    ],
)
def test_each_http_status_has_its_meaning(status: int, failure: Failure) -> None:
    """Poison, refusal of us, outage or doubt."""
    assert of_status(status) is failure


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
def test_every_grpc_code_is_decided(code: StatusCode) -> None:
    """No code is left to a default but by its own row."""
    expected = {
        "poison": "INVALID_ARGUMENT NOT_FOUND ALREADY_EXISTS FAILED_PRECONDITION OUT_OF_RANGE RESOURCE_EXHAUSTED",
        "refused": "UNAUTHENTICATED PERMISSION_DENIED UNIMPLEMENTED",
        "outage": "UNAVAILABLE DEADLINE_EXCEEDED CANCELLED ABORTED",
        "doubtful": "UNKNOWN INTERNAL DATA_LOSS",
    }
    assert code.name in expected[of_code(code, retry_asked=False)].split()


def test_exhausted_with_a_pause_is_an_outage() -> None:
    """The server that names a pause will take the batch later."""
    assert of_code(StatusCode.RESOURCE_EXHAUSTED, retry_asked=True) is Failure.OUTAGE


def test_retry_after_holds_a_number_a_date_or_nothing() -> None:
    """Seconds, a date gone by, and nonsense."""
    assert retry_after("12") == 12
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (retry_after("soon"), retry_after(None), retry_after("")) == (None, None, None)


def test_a_servers_words_are_bounded() -> None:
    """One line, 300 characters."""
    assert short("a\n b\t c") == "a b c"
    assert len(short("x" * 5000)) == 303
