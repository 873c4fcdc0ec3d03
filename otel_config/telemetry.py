"""All three signals, started and stopped together.

Metrics, spans and lines of the log go one way each, all of one make: encoded, queued, sent. What is needed for it is
imported when it is wanted: an agent that is only scraped does without its memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.trace import Tracer

from quaywatch.clock import Clock, SystemClock
from quaywatch.contract import Meter, Snapshot
from quaywatch.errors import ConfigError

from .settings import OtlpSettings
from .structured import shipping
from .traces import tracer

if TYPE_CHECKING:
    from .ways import Ways


@dataclass(frozen=True, slots=True, eq=False)
class Telemetry:
    """What leaves over OTLP. ``tracer`` makes spans with ids, whether they are sent or not."""

    tracer: Tracer
    _ways: Ways | None

    @classmethod
    async def start(
        cls,
        settings: OtlpSettings,
        snapshot: Snapshot,
        meter: Meter,
        resource: Mapping[str, str],
        *,
        since: float | None = None,
        clock: Clock | None = None,
    ) -> Telemetry:
        """Start every signal that is on; the back ends need not be there.

        Args:
            settings: where and how.
            snapshot: what the metrics are.
            meter: where the export tells how it goes.
            resource: who is speaking; see `resource.resource_attributes`.
            since: Unix time the agent started, now if None; with delta temporality what was counted since then is sent.
            clock: the machine's when None.

        Raises:
            ConfigError: when the spool directory, or a file of a header or certificate, cannot be used.
        """
        _read_files(settings)
        if not settings.signals:
            return cls(tracer(resource, None), None)
        from .ways import ways  # noqa: PLC0415 - see above

        clock = clock or SystemClock()
        made = ways(settings, snapshot, meter, resource, clock.time() if since is None else since, clock)
        await made.start()
        if made.ship is not None:
            shipping.ship = made.ship
        return cls(tracer(resource, made.take), made)

    async def flush(self, within: float) -> bool:
        """Export everything now, all signals at once; whether all of it was delivered within so many seconds."""
        if self._ways is None:
            return True
        return all(await asyncio.gather(*(pump.flush(within) for pump in self._ways.pumps)))

    async def close(self, within: float, *, end_series: bool = False) -> None:
        """Export a last time and stop, all signals at once, within so many seconds whatever the back ends do.

        ``end_series`` ends every series at the back end: for a reload that changes resource or back end. On a plain
        stop the series are left to the store's look-back, so that a restart makes no gap.
        """
        if self._ways is None:
            return
        if shipping.ship is self._ways.ship:
            shipping.ship = None
        await asyncio.gather(*(pump.close(within, end_series=end_series) for pump in self._ways.pumps))


def _read_files(settings: OtlpSettings) -> None:
    """Headers and certificates are there: what is missing is told before anything runs."""
    try:
        for signal in filter(None, (settings.metrics, settings.traces, settings.logs)):
            for _, secret in signal.headers:
                secret.reveal()
            for path in filter(None, (signal.ca_file, signal.cert_file, signal.key_file)):
                path.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"telemetry.otlp: a file of a header or certificate cannot be read: {error}",
            remedy="files that can be read",
        ) from error
