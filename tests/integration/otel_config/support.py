"""What the tests of this room share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from otel_config.settings import OtlpSettings, Protocol, SignalSettings
from quaywatch.secret import Secret
from tests.integration.otel_config.otlp_server import Took
from tests.unit.otel_config.fakes import identities, metrics_in

RESOURCE = {"service.name": "quaywatch", "service.version": "0.0.0", "service.instance.id": "test"}


def signal(address: str, protocol: Protocol, name: str, **more: Any) -> SignalSettings:
    """The settings of one signal to this base address."""
    endpoint = f"{address}/v1/{name}" if protocol is Protocol.HTTP else address
    return SignalSettings(endpoint=endpoint, protocol=protocol, **more)


def settings(
    address: str,
    protocol: Protocol,
    *signals: str,
    timeout: float = 5.0,
    files: Mapping[str, Path] | None = None,
    headers: tuple[tuple[str, Secret], ...] = (),
    **more: Any,
) -> OtlpSettings:
    """The settings of these signals, the metrics alone when none is named; ``files`` are certificates."""
    line = {"timeout": timeout, "headers": headers, **(files or {})}
    on: dict[str, Any] = {name: signal(address, protocol, name, **line) for name in signals or ("metrics",)}
    return OtlpSettings(**on, **more)


async def until(condition: Callable[[], object], within: float = 20.0) -> None:
    """Wait for a condition; the test fails when it does not come true in time."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        await asyncio.sleep(0.01)


def told(took: Iterable[Took]) -> list[tuple[str, ...]]:
    """Name and attributes of every metric point the server took."""
    return identities(one.request for one in took)


def times(took: Iterable[Took]) -> list[int]:
    """The time of the first point of each request."""
    return [next(metrics_in([one.request])).gauge.data_points[0].time_unix_nano for one in took]
