"""What the runtime's tests share: a loop whose time only passes when everybody waits, and targets in memory."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from quaywatch.contract import (
    Exporter,
    ExporterTask,
    Kind,
    Metric,
    Per,
    Row,
    Sample,
    Series,
    Snapshot,
    Target,
    TargetKind,
    Watched,
)

EPOCH = 1_700_000_000.0
"""The Unix time at which every virtual loop begins."""

LEVEL = Metric("test.level", Kind.GAUGE, "", "A level of the tests.", ("what",))
SESSIONS = Metric("test.sessions", Kind.UPDOWN, "{session}", "Something that adds up.", ("what",))
EVENTS = Metric("test.events", Kind.COUNTER, "{event}", "Something that is counted.", ("what",))


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without waiting: when nothing can run, its time jumps to the next timer."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            self._loop.jump(max(timeout, 0))
        return ready


class FakeClock:
    """The running loop's time; ``shift`` is what somebody set the time of day by."""

    def __init__(self) -> None:
        self.shift = 0.0

    def monotonic(self) -> float:
        """Seconds since the loop was made."""
        return asyncio.get_running_loop().time()

    def time(self) -> float:
        """Unix seconds."""
        return EPOCH + self.shift + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the running loop."""
        await asyncio.sleep(max(seconds, 0))


class HandClock:
    """A clock that only moves by hand."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        """Seconds since it began."""
        return self.now

    def time(self) -> float:
        """Unix seconds."""
        return EPOCH + self.now

    async def sleep(self, seconds: float) -> None:
        """Nobody waits on this clock."""
        raise NotImplementedError(seconds)


def value(snapshot: Snapshot, metric: Metric | str, /, **attributes: str) -> Any:
    """The value of the only series with this name and these attributes among its own; None without one."""
    found = [series.value for series in matching(snapshot, metric, **attributes)]
    assert len(found) < 2, found
    return found[0] if found else None


def matching(snapshot: Snapshot, metric: Metric | str, /, **attributes: str) -> list[Series]:
    """All series of this name that have these attributes."""
    name = metric if isinstance(metric, str) else metric.name
    wanted = attributes.items()
    return [one for one in snapshot.series() if one.metric.name == name and wanted <= dict(one.attributes).items()]


Collect = Callable[[Any, Any, Any], AsyncIterator[Sample]]


def reading(
    collect: Collect,
    name: str = "things",
    *,
    every: float = 10.0,
    deadline: float = 3.0,
    per: Per = Per.TARGET,
    reads: TargetKind = TargetKind.POSTGRES,
) -> ExporterTask:
    """An exporter of the tests as a configuration would assign it."""
    exporter = Exporter(
        name=name,
        reads=reads,
        metrics=(LEVEL, SESSIONS, EVENTS),
        options=type(None),
        collect=collect,
        state=dict,
        per=per,
    )
    return ExporterTask(exporter, None, every, deadline)


async def one_level(_driver: Any, _options: Any, _state: Any) -> AsyncIterator[Sample]:
    """An exporter that always reads the same."""
    yield LEVEL(1, "all")


async def forever() -> None:
    """A black hole."""
    await asyncio.get_running_loop().create_future()


async def fine() -> None:
    """An answer at once."""


@dataclass
class FakeDriver:
    """A target in memory: how it answers a ping is ``answer``."""

    answer: Callable[[], Awaitable[None]] = fine
    pings: int = 0
    closed: bool = False

    async def ping(self) -> None:
        """Answer as told."""
        self.pings += 1
        await self.answer()

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


@dataclass
class FakeSession:
    """A visit's session."""

    database: str
    version: int = 150000

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Row]:
        """Nothing is ever asked."""
        raise NotImplementedError(sql, arguments)


@dataclass
class FakeCluster(FakeDriver):
    """A cluster in memory: its databases, what entering each raises, and who was there."""

    names: list[str] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)
    visits: list[str] = field(default_factory=list)
    inside: int = 0
    most_inside: int = 0
    listing: Exception | None = None
    version: int = 150000
    database: str = "postgres"

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Row]:
        """Nothing is ever asked."""
        raise NotImplementedError(sql, arguments)

    async def databases(self) -> Sequence[str]:
        """The names, or the error."""
        if self.listing is not None:
            raise self.listing
        return list(self.names)

    @asynccontextmanager
    async def visit(self, database: str) -> AsyncIterator[FakeSession]:
        """Half a second in a database."""
        self.visits.append(database)
        if database in self.broken:
            raise self.broken[database]
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await asyncio.sleep(0.5)
            yield FakeSession(database)
        finally:
            self.inside -= 1


def watched(name: str, driver: FakeDriver, *exporters: ExporterTask, fingerprint: str = "1", **more: Any) -> Watched:
    """A target as a configuration would assign it."""
    return Watched(Target(name, TargetKind.POSTGRES), lambda: driver, exporters, fingerprint=fingerprint, **more)
