"""A reload after which nothing can run."""

from __future__ import annotations

import socket
from typing import Any, cast

import pytest

from quaywatch.cli.frame import Frame
from quaywatch.cli.run import Running
from quaywatch.config import Settings, load_text
from quaywatch.errors import InternalError
from sandbox.process import LOOPBACK


def listening_on(port: int) -> Settings:
    """Settings of an agent with this port."""
    text = (
        "environment: test\ninstallation: acme\n"
        "targets: {edge: {kind: http, url: 'http://edge'}}\n"
        f"telemetry: {{http: {{listen: '{LOOPBACK}:{port}'}}}}\n"
    )
    return load_text(text, "test.yaml", {}, {}, {})


class Stopped:
    """A frame that another one is to take the place of."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def takes(self, _settings: Settings) -> bool:
        """Never in place."""
        return False

    async def stop(self, **_how: Any) -> None:
        """It has stopped."""


async def test_an_agent_that_can_neither_go_on_nor_go_back_ends() -> None:
    """Both ports are somebody's by now: that is no refused configuration with which the old one goes on."""
    with socket.create_server((LOOPBACK, 0)) as one, socket.create_server((LOOPBACK, 0)) as two:
        before = cast("Frame", Stopped(listening_on(one.getsockname()[1])))
        running = Running(before, {})
        with pytest.raises(InternalError, match="neither the new configuration nor the old one can be put to work"):
            await running.apply(listening_on(two.getsockname()[1]))
        await running.stop()
