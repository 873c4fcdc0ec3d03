"""The running agent and what stands around it: telemetry, history, the page. One for each frame of settings.

What a reload can change without a break (targets, exporters, probes, the log) is changed in place; for anything else a
new frame takes the old one's place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from otel_config.environment import otlp_settings
from otel_config.prometheus import Exposition
from otel_config.resource import resource_attributes
from otel_config.structured import configure_logging
from otel_config.telemetry import Telemetry
from quaywatch import __version__
from quaywatch.clock import Clock, SystemClock
from quaywatch.config import Settings
from quaywatch.contract import Watched
from quaywatch.runtime.agent import Agent
from quaywatch.runtime.catalogue import CONFIG_RELOAD_SUCCESS, CONFIG_RELOAD_TIME
from quaywatch.runtime.evidence import Investigator
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.maintenance import Maintenance
from quaywatch.runtime.readings import Store
from quaywatch.runtime.view import Everything
from quaywatch.runtime.web import History, Notices, Sources, StatusServer

from .browsing import plan_browser
from .discovering import Discovering
from .plan import plan, plan_evidence, plan_leases, plan_maintenance, plan_otlp
from .readiness import acted_on, looked_at

WORK_WITHIN: Final = 6.0
"""Seconds for running probes to undo what they did, when the agent stops."""
EXPORT_WITHIN: Final = 2.5
"""Seconds for the last export, after that."""


class Frame:
    """An agent with its surroundings.

    Args:
        settings: what it is made of.
        environ: the environment variables, which may say more about OTLP.
        clock: the time that turns and readings go by; the machine's own if not given.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], *, clock: Clock | None = None) -> None:
        self.settings = settings
        self._otlp = otlp_settings(plan_otlp(settings), environ)
        listen = settings.telemetry.http.listen
        self._resource = resource_attributes(
            self._otlp,
            version=__version__,
            environment=settings.environment,
            installation=settings.installation,
            listens=f"{listen.host}:{listen.port}",
        )
        self._clock = clock or SystemClock()
        self._started = self._clock.monotonic()
        self._instruments = Instruments(settings.environment, self._clock)
        self._store = Store(settings.environment, self._clock)
        self._series = Everything(self._store, self._instruments)
        self._history = History(self._clock, version=__version__)
        self._maintenance = Maintenance(plan_maintenance(settings))
        self._investigator = Investigator(plan_evidence(settings, self._driver))
        self._leases = plan_leases(settings, self._instruments, self._clock)
        self._browser = plan_browser(settings)
        self._discovering = Discovering(self._instruments, self._clock, self._replan)
        self._planning = asyncio.Lock()
        self._watched: Sequence[Watched] = ()
        self._server = self._page()
        self._telemetry: Telemetry | None = None
        self._agent: Agent | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where the page listens."""
        return self._server.address

    async def start(self) -> None:
        """Start everything; no back end and no target needs to be there.

        Raises:
            ConfigError: when the page's address or the spool cannot be used; nothing runs then.
        """
        configure_logging(self.settings.telemetry.log.level, self.settings.telemetry.log.format)
        await self._server.start()
        try:
            self._telemetry = await Telemetry.start(self._otlp, self._series, self._instruments, self._resource)
        except BaseException:
            await self._server.close()
            raise
        self.note_reload(succeeded=True)
        self._watched = plan(self.settings, self._browser)
        self._agent = self._made(self._telemetry)
        await self._agent.start(self._watched)
        await self._discovering.take(self.settings.discovery)

    def takes(self, settings: Settings) -> bool:
        """Whether these settings can be taken over in place."""
        return _around(settings) == _around(self.settings)

    async def take(self, settings: Settings) -> None:
        """Go on with these settings; targets that stay the same are not disturbed."""
        if self._agent is None:
            raise RuntimeError("a frame takes settings between start and stop")
        configure_logging(settings.telemetry.log.level, settings.telemetry.log.format)
        self.settings = settings
        self._maintenance.take(plan_maintenance(settings))
        self._investigator.take(plan_evidence(settings, self._driver))
        await self._discovering.take(settings.discovery)
        await self._replan()

    async def stop(self, *, end_series: bool = False) -> None:
        """End everything within `WORK_WITHIN` and `EXPORT_WITHIN` seconds, whatever state the other sides are in.

        What waits for export leaves while probes undo what they did; what that changed leaves after it.
        ``end_series`` ends every series at the back end: whoever comes next has other names for them.
        """
        telemetry, agent = self._telemetry, self._agent
        if telemetry is None or agent is None:
            return
        await self._discovering.stop()
        await asyncio.gather(agent.stop(WORK_WITHIN), telemetry.flush(EXPORT_WITHIN))
        await asyncio.gather(
            telemetry.close(EXPORT_WITHIN, end_series=end_series), self._server.close(), self._browser.close()
        )

    def note_reload(self, *, succeeded: bool) -> None:
        """Say in the metrics how the last reload went; a good one is dated."""
        self._instruments.set(CONFIG_RELOAD_SUCCESS, int(succeeded))
        if succeeded:
            self._instruments.set(CONFIG_RELOAD_TIME, self._clock.time())

    def _driver(self, target: str) -> Any:
        return None if self._agent is None else self._agent.driver(target)

    async def _replan(self) -> None:
        """Put to work what the settings say, and what the pods of the node add to it."""
        if self._agent is None:
            return
        async with self._planning:
            self._watched = plan(self._discovering.found(self.settings), self._browser)
            await self._agent.replan(self._watched)

    def _made(self, telemetry: Telemetry) -> Agent:
        return Agent(
            installation=self.settings.installation,
            store=self._store,
            instruments=self._instruments,
            leases=self._leases,
            tracer=telemetry.tracer,
            clock=self._clock,
            on_state=self._history.note_state,
            on_run=self._history.note_run,
            on_left=self._history.forget,
            on_suspicion=self._investigator,
            maintenance=self._maintenance,
        )

    def _ready(self) -> bool:
        """Whether everything that this agent acts on was looked at, once it is known what that is.

        An agent that holds nothing after a lease's time to live waits for others that do.
        """
        if not self._discovering.looked:
            return False
        mine = acted_on(self._watched, self._leases)
        patience = self.settings.lease.ttl if self.settings.lease else 0.0
        if not mine and self._clock.monotonic() - self._started < patience:
            return False
        return looked_at(mine, self._instruments.series())

    def _page(self) -> StatusServer:
        http = self.settings.telemetry.http
        sources = Sources(
            status=lambda: self._history.status(self._series.series()),
            ready=self._ready,
            metrics=Exposition(self._series, self._resource, self._instruments).page,
        )
        listen, notices = http.listen, self._notices()
        return StatusServer(
            sources, host=listen.host, port=listen.port, token=http.token, hosts=http.hosts, notices=notices
        )

    def _notices(self) -> Notices | None:
        table = self.settings.telemetry.http.notices
        if table is None:
            return None
        return Notices(table.token, table.restore_tests, self._instruments, self._clock)


def _around(settings: Settings) -> Settings:
    """The settings without what can be changed in place; the lease's own target counts, wherever it stands."""
    telemetry = settings.telemetry.model_copy(update={"log": None})
    lease = settings.lease_target
    targets = {} if lease is None else {lease: settings.targets[lease]}
    return replace(
        settings,
        targets=targets,
        exporters={},
        probes={},
        flows={},
        maintenance=(),
        telemetry=telemetry,
        files=frozenset(),
        of_pods=(),
        discovery=None,
    )
