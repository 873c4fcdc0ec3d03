"""Traces and logs come to their end without a word of complaint."""

from __future__ import annotations

import logging

import pytest

from otel_config.logs import Logs
from otel_config.outcomes import Outcomes
from otel_config.settings import Protocol, SignalSettings
from otel_config.traces import Traces
from tests.unit.otel_config.fakes import FakeClock, FakeMeter


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("way_out", [Traces, Logs])
async def test_an_end_is_silent(
    way_out: type[Traces | Logs], protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    """The exporter is ended once, though its provider ends it as well."""
    settings = SignalSettings(endpoint="http://127.0.0.1:9", protocol=protocol)
    with caplog.at_level(logging.WARNING):
        await way_out(settings, {}, Outcomes("traces", FakeMeter(), FakeClock())).close(1.0)
    assert caplog.messages == []
