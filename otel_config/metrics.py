"""The metrics' way out: every interval one look at the snapshot, encoded, queued, sent by a task of its own."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress

from quaywatch.clock import Clock
from quaywatch.contract import Meter, Series, Snapshot

from .encoding import Encoder
from .http_transport import HttpTransport
from .own_log import log
from .queue import BatchQueue
from .resource import of_metrics
from .sender import MetricSender
from .settings import OtlpSettings, Protocol, SignalSettings
from .spool import Spool
from .transport import Transport

# Of the time to close, what is left for letting go after the last attempt to deliver.
_LET_GO = 0.5


class MetricPump:
    """Exports the snapshot every ``interval`` seconds. A slow or dead back end delays no export, only its delivery."""

    def __init__(
        self,
        snapshot: Snapshot,
        encoder: Encoder,
        queue: BatchQueue,
        sender: MetricSender,
        interval: float,
        clock: Clock,
    ) -> None:
        self._snapshot = snapshot
        self._encoder = encoder
        self._queue = queue
        self._sender = sender
        self._interval = interval
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin. Raises ConfigError when the spool cannot be used."""
        await self._queue.open()
        self._sender.start()
        self._task = asyncio.create_task(self._run(), name="metrics pump")

    async def flush(self, within: float) -> bool:
        """Export what is fresh now; whether everything was delivered (or refused for good) within so many seconds."""
        return await self._flush(self._snapshot.series(), within)

    async def close(self, within: float, *, end_series: bool = False) -> None:
        """Export a last time and stop, within so many seconds in any case.

        ``end_series`` ends every series at the back end: for an agent that will not come back with the same resource.
        What waits stays in the spool, where there is one, and is lost otherwise.
        """
        end = self._clock.monotonic() + max(0.0, within - _LET_GO)
        try:
            await self._stop_ticking(end)
            await self._flush(() if end_series else self._snapshot.series(), max(0.0, end - self._clock.monotonic()))
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LET_GO):
                await self._sender.close()
        if len(self._queue) and not self._queue.survives:
            log.error("metrics were not delivered before the stop", batches=len(self._queue))
        self._queue.close()

    async def _run(self) -> None:
        due = self._clock.monotonic()
        while True:
            try:
                await self._export(self._snapshot.series())
            except Exception:  # noqa: BLE001 - the border of this task: one export that fails is not the end of exporting
                log.exception("an export of metrics failed for a defect of the agent")
            # A tick that was missed is not made up for.
            due = max(due + self._interval, self._clock.monotonic())
            await self._clock.sleep(due - self._clock.monotonic())

    async def _export(self, series: Iterable[Series]) -> None:
        async with self._one_at_a_time:
            for batch in self._encoder.encode(series, self._clock.time()):
                await self._queue.put(batch)
                # Encoding holds the loop for one batch at a time.
                await asyncio.sleep(0)
            self._queue.tell()

    async def _flush(self, series: Iterable[Series], within: float) -> bool:
        end = self._clock.monotonic() + within
        try:
            async with asyncio.timeout(within):
                await self._export(series)
        except TimeoutError:
            return False
        return await self._sender.flush(max(0.0, end - self._clock.monotonic()))

    async def _stop_ticking(self, end: float) -> None:
        """Between two exports, if that comes in time: a batch that is cut off half-way to the queue would be lost."""
        if self._task is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, end - self._clock.monotonic())), self._one_at_a_time:
                self._task.cancel()
        self._task.cancel()
        await asyncio.wait([self._task])


def metric_pump(
    settings: OtlpSettings,
    signal: SignalSettings,
    snapshot: Snapshot,
    meter: Meter,
    resource: Mapping[str, str],
    *,
    since: float,
    clock: Clock,
) -> MetricPump:
    """A pump with all that it needs, to where ``signal`` says; ``since`` is the Unix time from which is counted."""
    queue = BatchQueue(settings.queue_bytes, meter, clock, Spool(settings.spool) if settings.spool else None)
    encoder = Encoder(
        of_metrics(resource),
        meter,
        temporality=settings.temporality,
        since=since,
        batch_bytes=settings.batch_bytes,
    )
    sender = MetricSender(_transport(signal), queue, meter, clock)
    return MetricPump(snapshot, encoder, queue, sender, settings.interval, clock)


def _transport(settings: SignalSettings) -> Transport:
    if settings.protocol is Protocol.HTTP:
        return HttpTransport(settings)
    from .grpc_transport import GrpcTransport  # noqa: PLC0415 - its memory is for those who send over gRPC

    return GrpcTransport(settings)
