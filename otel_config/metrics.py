"""What the metrics are at the moment of an export: a look at the snapshot, encoded."""

from collections.abc import Iterator, Mapping

from quaywatch.clock import Clock
from quaywatch.contract import Meter, Snapshot

from .encoding import Batch, Encoder
from .resource import of_metrics
from .settings import OtlpSettings


class Metrics:
    """A snapshot as a source of batches."""

    def __init__(self, snapshot: Snapshot, encoder: Encoder, clock: Clock) -> None:
        self._snapshot = snapshot
        self._encoder = encoder
        self._clock = clock

    def batches(self) -> Iterator[Batch]:
        """What is fresh now."""
        return self._encoder.encode(self._snapshot.series(), self._clock.time())

    def ending(self) -> Iterator[Batch]:
        """The end of every series."""
        return self._encoder.encode((), self._clock.time())


def metrics(
    settings: OtlpSettings, snapshot: Snapshot, meter: Meter, resource: Mapping[str, str], since: float, clock: Clock
) -> Metrics:
    """The metrics of an agent with this resource; ``since`` is the Unix time from which is counted."""
    encoder = Encoder(
        of_metrics(resource),
        meter,
        temporality=settings.temporality,
        since=since,
        batch_bytes=settings.batch_bytes,
    )
    return Metrics(snapshot, encoder, clock)
