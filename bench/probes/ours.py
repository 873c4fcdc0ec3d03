"""The same by Quaywatch's own `run_probe`, with all that the agent gives it but a network for its telemetry."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from quaywatch.clock import SystemClock
from quaywatch.contract import Odoo as Driver
from quaywatch.contract import Outcome, Probe, ProbeTask, Target, TargetKind
from quaywatch.drivers.browser import BrowserSettings, Site, SiteBrowser, WarmBrowser
from quaywatch.drivers.http import HttpAddress, HttpAnswer, HttpServer
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import Evidence, Suspicion, run_probe
from quaywatch.secret import Secret
from sandbox.parts.odoo import Odoo

INSTALLATION: Final = "bench"
_ANSWER_WITHIN: Final = 30.0


class Counting:
    """A server that speaks HTTP, and how often it was asked."""

    def __init__(self, url: str) -> None:
        self.asked = 0
        self._server = HttpServer(HttpAddress(url=url, answer_within=_ANSWER_WITHIN))

    async def get(self, path: str) -> HttpAnswer:
        """The answer to a GET."""
        self.asked += 1
        return await self._server.get(path)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to a POST."""
        self.asked += 1
        return await self._server.post(path, body, headers)

    async def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to any request."""
        self.asked += 1
        return await self._server.send(method, path, body, headers)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._server.close()


@dataclass
class Agent:
    """What runs the probes on one Odoo, and keeps what an agent keeps: driver, browser, tracer, metrics."""

    server: Odoo
    took: dict[str, float] = field(default_factory=dict)
    """Seconds of each step of the last run."""
    suspicions: int = 0

    def __post_init__(self) -> None:
        server, password = self.server, Secret(self.server.password)
        address = OdooAddress(
            url=server.url,
            database=server.database,
            login=server.login,
            password=password,
            janitor_login=server.janitor_login,
            janitor_password=Secret(server.janitor_password),
            answer_within=_ANSWER_WITHIN,
        )
        self._http = Counting(server.url)
        self._browser = WarmBrowser(BrowserSettings())
        site = Site(url=server.url, database=server.database, login=server.login, password=password)
        self._driver = OdooServer(address, http=self._http, browser=SiteBrowser(site, self._browser))
        self._provider = TracerProvider()
        self._provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
        self._meter = Instruments("", SystemClock())

    @property
    def calls(self) -> int:
        """How many calls were made over RPC."""
        return self._http.asked

    async def run(self, probe: Probe[Driver, Any], options: Any) -> None:
        """One run.

        Raises:
            RuntimeError: when it does not succeed.
        """
        record = await run_probe(
            ProbeTask(probe, options, every=300, deadline=120),
            self._driver,
            target=Target(self.server.database, TargetKind.ODOO),
            tick=time.time(),
            installation=INSTALLATION,
            meter=self._meter,
            tracer=self._provider.get_tracer("quaywatch"),
            clock=SystemClock(),
            on_suspicion=self._suspicious,
        )
        if record.outcome is not Outcome.SUCCESS:
            raise RuntimeError(f"{probe.name}: {record.failed_step}: {record.message}")
        self.took = {step.name: step.duration for step in record.steps}

    async def close(self) -> None:
        """Let go of everything."""
        await self._driver.close()
        await self._browser.close()
        self._provider.shutdown()

    async def _suspicious(self, _suspicion: Suspicion) -> Evidence | None:
        self.suspicions += 1
        return None
