"""All three signals, started and stopped together.

What sends them is imported when it is wanted: an agent that is only scraped does without its memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.trace import Tracer

from quaywatch.clock import Clock, SystemClock
from quaywatch.contract import Meter, Snapshot
from quaywatch.errors import ConfigError

from .catalogue import count_from_zero
from .outcomes import Outcomes
from .settings import OtlpSettings, SignalSettings
from .structured import shipping
from .traces import Traces

if TYPE_CHECKING:
    from .logs import Logs
    from .metrics import MetricPump


@dataclass(frozen=True, slots=True, eq=False)
class Telemetry:
    """What leaves over OTLP. ``tracer`` makes spans with ids, whether they are sent or not."""

    tracer: Tracer
    _traces: Traces
    _pump: MetricPump | None
    _logs: Logs | None

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
        clock = clock or SystemClock()
        _read_files(settings)
        count_from_zero(meter, settings.signals)
        pump = None
        if settings.metrics is not None:
            from .metrics import metric_pump  # noqa: PLC0415 - see above

            began = clock.time() if since is None else since
            pump = metric_pump(settings, settings.metrics, snapshot, meter, resource, since=began, clock=clock)
            await pump.start()
        traces = Traces(settings.traces, resource, Outcomes("traces", meter, clock))
        logs = _logs(settings.logs, resource, Outcomes("logs", meter, clock)) if settings.logs else None
        if logs is not None:
            shipping.ship = logs.ship
        return cls(traces.tracer, traces, pump, logs)

    async def flush(self, within: float) -> bool:
        """Export everything now, all signals at once; whether all of it was delivered within so many seconds."""
        return all(await asyncio.gather(*(signal.flush(within) for signal in self._signals)))

    async def close(self, within: float, *, end_series: bool = False) -> None:
        """Export a last time and stop, all signals at once, within so many seconds whatever the back ends do.

        ``end_series`` ends every series at the back end: for a reload that changes resource or back end. On a plain
        stop the series are left to the store's look-back, so that a restart makes no gap.
        """
        if self._logs is not None and shipping.ship == self._logs.ship:
            shipping.ship = None
        closing: list[Awaitable[None]] = [self._traces.close(within)]
        if self._logs is not None:
            closing.append(self._logs.close(within))
        if self._pump is not None:
            closing.append(self._pump.close(within, end_series=end_series))
        await asyncio.gather(*closing)

    @property
    def _signals(self) -> list[Traces | Logs | MetricPump]:
        return [self._traces, *(signal for signal in (self._logs, self._pump) if signal is not None)]


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


def _logs(settings: SignalSettings, resource: Mapping[str, str], outcomes: Outcomes) -> Logs:
    from .logs import Logs  # noqa: PLC0415 - see above

    return Logs(settings, resource, outcomes)
