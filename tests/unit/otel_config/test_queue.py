"""What waits, in memory and on disk."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from otel_config.encoding import Batch
from otel_config.queue import BatchQueue
from otel_config.spool import Spool
from otel_config.tally import Tally
from quaywatch.errors import ConfigError
from tests.unit.otel_config.fakes import FakeClock, FakeMeter


def batch(content: bytes, points: int = 1, made: float = 1_700_000_000.0) -> Batch:
    """A batch; its bytes need not be a request here."""
    return Batch(gzip.compress(content, mtime=0), points, made)


def tallied(meter: FakeMeter, clock: FakeClock | None = None) -> Tally:
    """What a queue of metrics counts on."""
    return Tally("metrics", meter, clock or FakeClock())


def spooled(directory: Path) -> list[Path]:
    """The files of a spool that hold batches, oldest first."""
    return sorted(directory.glob("*.gz"))


def names(directory: Path) -> set[str]:
    """Everything in a directory."""
    return {path.name for path in directory.iterdir()}


def incompressible(size: int) -> bytes:
    """Bytes that stay as many."""
    return os.urandom(size)


async def drain(queue: BatchQueue) -> list[bytes | None]:
    """Everything that waits, in order."""
    found = []
    while len(queue):
        head = await queue.head()
        found.append(await queue.payload(head))
        await queue.remove(head)
    return found


@pytest.fixture
def meter() -> FakeMeter:
    """A meter that is read afterwards."""
    return FakeMeter()


@pytest.fixture(params=["memory", "disk"])
async def queue(request: pytest.FixtureRequest, meter: FakeMeter, tmp_path: Path) -> AsyncIterator[BatchQueue]:
    """A queue of 10 kB, in memory and with a spool."""
    spool = Spool(tmp_path / "spool") if request.param == "disk" else None
    queue = BatchQueue(10_000, tallied(meter), FakeClock(), spool)
    await queue.open()
    yield queue
    queue.close()


async def test_batches_come_out_in_the_order_they_went_in(queue: BatchQueue, meter: FakeMeter) -> None:
    """First in, first out, with their bytes; the size goes back to zero."""
    for content in (b"one", b"two", b"three"):
        await queue.put(batch(content))
    assert meter.values["quaywatch.export.queue.size", "metrics"] == queue.size > 0
    assert await drain(queue) == [b"one", b"two", b"three"]
    assert meter.values["quaywatch.export.queue.size", "metrics"] == queue.size == 0


async def test_what_does_not_fit_pushes_out_the_oldest(queue: BatchQueue, meter: FakeMeter) -> None:
    """The newest are kept, the loss is counted in batches and in points."""
    contents = [incompressible(3000) for _ in range(5)]
    for content in contents:
        await queue.put(batch(content, points=7))
    assert await drain(queue) == contents[-3:]
    assert (meter.batches("overflow"), meter.points("overflow")) == (2, 14)


async def test_the_batch_under_way_is_not_pushed_out(queue: BatchQueue, meter: FakeMeter) -> None:
    """What is being sent is not counted as lost as well; the next oldest goes instead."""
    contents = [incompressible(4000) for _ in range(3)]
    await queue.put(batch(contents[0]))
    head = await queue.head()
    for content in contents[1:]:
        await queue.put(batch(content))
    await queue.remove(head)
    assert await drain(queue) == contents[2:]
    assert meter.batches("overflow") == 1


async def test_a_batch_larger_than_the_queue_is_counted(queue: BatchQueue, meter: FakeMeter) -> None:
    """It pushes itself out and leaves nothing behind."""
    await queue.put(batch(incompressible(20_000)))
    assert (len(queue), queue.size, meter.batches("overflow")) == (0, 0, 1)


async def test_the_age_is_that_of_the_oldest(meter: FakeMeter) -> None:
    """It grows while nothing leaves, and is 0 when nothing waits."""
    clock = FakeClock(1_700_000_100.0)
    queue = BatchQueue(10_000, tallied(meter, clock), clock)
    await queue.put(batch(b"x", made=1_700_000_000.0))
    assert meter.values["quaywatch.export.queue.age", "metrics"] == 100
    clock.now += 15
    queue.tell()
    assert meter.values["quaywatch.export.queue.age", "metrics"] == 115
    await drain(queue)
    assert meter.values["quaywatch.export.queue.age", "metrics"] == 0


async def test_waiting_for_a_head_and_for_the_end(queue: BatchQueue) -> None:
    """`head` comes with the first batch, `drained` with the removal of the last."""
    head = asyncio.create_task(queue.head())
    await asyncio.sleep(0)
    assert not head.done()
    await queue.put(batch(b"x"))
    drained = asyncio.create_task(queue.drained())
    await queue.remove(await head)
    await drained


class TestSpool:
    """What survives."""

    async def test_a_new_agent_finds_what_the_old_one_left(self, meter: FakeMeter, tmp_path: Path) -> None:
        """Order, points and times are as they were, and new batches queue behind them."""
        old = BatchQueue(10_000, tallied(meter), FakeClock(), Spool(tmp_path))
        await old.open()
        for number in range(12):
            await old.put(batch(b"%d" % number, points=number + 1))
        old.close()
        new = BatchQueue(10_000, tallied(meter), FakeClock(), Spool(tmp_path))
        await new.open()
        await new.put(batch(b"new"))
        first = await new.head()
        assert (first.items, first.made) == (1, 1_700_000_000.0)
        assert await drain(new) == [b"%d" % number for number in range(12)] + [b"new"]
        assert spooled(tmp_path) == []
        new.close()

    async def test_a_smaller_limit_keeps_the_newest(self, meter: FakeMeter, tmp_path: Path) -> None:
        """What the old agent left beyond the new limit is dropped and counted, on disk too."""
        contents = [incompressible(3000) for _ in range(3)]
        old = BatchQueue(10_000, tallied(meter), FakeClock(), Spool(tmp_path))
        await old.open()
        for content in contents:
            await old.put(batch(content))
        old.close()
        new = BatchQueue(4_000, tallied(meter), FakeClock(), Spool(tmp_path))
        await new.open()
        assert len(spooled(tmp_path)) == 1
        assert await drain(new) == contents[-1:]
        assert meter.batches("overflow") == 2
        new.close()

    async def test_two_agents_never_share_a_directory(self, meter: FakeMeter, tmp_path: Path) -> None:
        """The second one is refused and told why; when the first has let go, it may."""
        first, second = Spool(tmp_path), BatchQueue(10_000, tallied(meter), FakeClock(), Spool(tmp_path))
        first.open()
        with pytest.raises(ConfigError, match="another agent uses it"):
            await second.open()
        first.close()
        await second.open()
        second.close()

    async def test_a_damaged_file_is_skipped(self, meter: FakeMeter, tmp_path: Path) -> None:
        """It reads as nothing; strangers' files and half-written ones are no batches."""
        queue = BatchQueue(10_000, tallied(meter), FakeClock(), Spool(tmp_path))
        await queue.open()
        await queue.put(batch(b"whole"))
        await queue.put(batch(b"damaged"))
        queue.close()
        whole, damaged = spooled(tmp_path)
        damaged.write_bytes(whole.read_bytes()[:-3])
        (tmp_path / "README").write_text("not ours")
        (tmp_path / "0000000000000009-1-1.otlp.gz.part").write_bytes(b"half")
        again = BatchQueue(10_000, tallied(meter), FakeClock(), Spool(tmp_path))
        await again.open()
        assert await drain(again) == [b"whole", None]
        assert names(tmp_path) == {"README", "lock"}
        again.close()

    async def test_a_disk_that_takes_nothing_leaves_it_to_memory(self, meter: FakeMeter, tmp_path: Path) -> None:
        """A full or vanished disk loses no batch while the agent runs."""
        spool = tmp_path / "spool"
        queue = BatchQueue(10_000, tallied(meter), FakeClock(), Spool(spool))
        await queue.open()
        (spool / "lock").unlink()
        spool.rmdir()
        await queue.put(batch(b"kept"))
        assert await drain(queue) == [b"kept"]
        queue.close()

    def test_a_directory_that_cannot_be_is_a_configuration_error(self, tmp_path: Path) -> None:
        """A file in its place is told as such, with what is wanted instead."""
        (tmp_path / "spool").write_text("a file")
        with pytest.raises(ConfigError, match="a directory the agent may write to"):
            Spool(tmp_path / "spool").open()
