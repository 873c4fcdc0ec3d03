"""`quaywatch run` as a process of its own, and what it says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from sandbox.process import free_port

PROGRAM = str(Path(sys.executable).with_name("quaywatch"))
PATIENCE = 90.0
"""Seconds after which something that should have happened will not."""


def until(happened: Callable[[], bool], what: str) -> None:
    """Wait until it happened, looking often."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.05)


@dataclass
class RunningAgent:
    """The process, its configuration, and its page."""

    process: subprocess.Popen[str]
    path: Path
    port: int
    log: Path

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of the series with these labels on the page; None when it is not there."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        for line in self.page("/metrics").splitlines():
            if line.startswith(name) and all(pair in line for pair in wanted):
                return float(line.rpartition(" ")[2])
        return None

    def page(self, path: str) -> str:
        """A page's text; empty while nobody answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except (URLError, OSError):
            return ""

    def events(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log with this event."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self) -> float:
        """End it as an orchestrator does; the seconds it took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        return time.monotonic() - began


@contextmanager
def running(
    directory: Path, configuration: dict[str, Any], program: Sequence[str] = (PROGRAM, "run", "--config")
) -> Iterator[RunningAgent]:
    """An agent with this configuration, killed at the end if it still runs; ``program`` takes its path."""
    port = free_port()
    telemetry = {"http": {"listen": f"127.0.0.1:{port}"}, **configuration.pop("telemetry", {})}
    path, log = directory / "quaywatch.yaml", directory / "log"
    path.write_text(
        yaml.safe_dump({"environment": "test", "installation": "acme", "telemetry": telemetry, **configuration})
    )
    with log.open("w") as stream:
        process = subprocess.Popen([*program, str(path)], stdout=stream, stderr=stream, text=True)
    try:
        yield RunningAgent(process, path, port, log)
    finally:
        process.kill()
        process.wait()
