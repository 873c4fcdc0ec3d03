"""What is heavy is done beside the event loop: deadlines, pings and the page go on while it lasts.

How long the loop was held is told by the processor time of its thread between two ticks of a task, which does not
depend on what else the machine does; and it is held against what the same work takes there, as machines differ. Its
ticks are counted, too: a thread that kept the interpreter to itself would hold the loop without costing it any time of
its own.
"""

from __future__ import annotations

import asyncio
import time
import xmlrpc.client
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest
from aiohttp import web

from otel_config.prometheus import Exposition
from otel_config.settings import Protocol
from otel_config.telemetry import Telemetry
from quaywatch.config import Reloader, Settings, follow, load
from quaywatch.drivers.http import MAX_ANSWER
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.secret import Secret
from sandbox.process import LOOPBACK
from tests.integration.otel_config.support import RESOURCE, settings, until
from tests.unit.otel_config.fakes import FakeMeter, Held, many

HELD_AT_MOST: Final = 0.5
"""What share of the work; what is done beside the loop holds it for a seventh at most."""
TICK: Final = 0.005
TICKS_WANTED: Final = 10
SERIES: Final = 20_000
TARGETS: Final = 2_500
ROW: Final = {"id": 1234, "name": "S00012345", "partner_id": [7, "Harbour Foods"], "amount": 123.5, "note": False}


class Watched:
    """Watches the event loop while it is entered: ``held`` is the longest time in seconds, ``ticks`` their number."""

    def __init__(self) -> None:
        self.held = 0.0
        self.ticks = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.sleep(2 * TICK)
        self._task.cancel()

    async def _tick(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(TICK)
            self.held = max(self.held, time.thread_time() - before)
            self.ticks += 1


def work(done: Callable[[], object]) -> float:
    """The processor time that something takes when it is done here."""
    before = time.thread_time()
    done()
    return time.thread_time() - before


@pytest.fixture(scope="module")
def longest() -> bytes:
    """The longest answer that is taken: some thirty thousand records."""
    one = len(xmlrpc.client.dumps(([ROW],), methodresponse=True)) - len(xmlrpc.client.dumps(([],), methodresponse=True))
    body = xmlrpc.client.dumps(([ROW] * ((MAX_ANSWER - 1000) // one),), methodresponse=True).encode()
    assert MAX_ANSWER * 0.99 < len(body) <= MAX_ANSWER
    return body


@asynccontextmanager
async def odoo_that_answers(body: bytes) -> AsyncIterator[OdooServer]:
    """A driver, and on the other side somebody who lets it log in and answers every call with ``body``."""

    async def answer(request: web.Request) -> web.Response:
        login = xmlrpc.client.dumps((7,), methodresponse=True).encode()
        return web.Response(body=login if request.path.endswith("common") else body, content_type="text/xml")

    runner = web.AppRunner(_application(answer))
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    odoo = OdooServer(
        OdooAddress(url=url, database="acme", login="probe", password=Secret("p"), answer_within=60, transport="xmlrpc")
    )
    try:
        yield odoo
    finally:
        await odoo.close()
        await runner.cleanup()


def _application(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    application = web.Application()
    application.router.add_post("/xmlrpc/2/{service}", answer)
    return application


async def test_the_longest_answer_of_odoo_holds_nobody_up(longest: bytes) -> None:
    """It is read whole, and the loop goes on meanwhile."""
    async with odoo_that_answers(longest) as odoo, Watched() as loop:
        records = await odoo.call("sale.order", "search_read", [])
    assert len(records) > 20_000
    assert loop.held < work(lambda: xmlrpc.client.loads(longest)) * HELD_AT_MOST
    assert loop.ticks >= TICKS_WANTED


async def test_twenty_thousand_series_hold_nobody_up() -> None:
    """Neither their export nor their page does; nobody takes the export, so that it is encoded and queued."""
    held, meter = Held(many(SERIES)), FakeMeter()
    async with Watched() as loop:
        telemetry = await Telemetry.start(
            settings(f"{LOOPBACK}:9", Protocol.GRPC, interval=3600.0), held, meter, RESOURCE
        )
        page, _ = await Exposition(held, RESOURCE, meter).page("")
        await telemetry.close(2)
    assert page.count(b'database="tenant_') == SERIES
    assert loop.held < work(Exposition(held, RESOURCE, meter)) * HELD_AT_MOST
    assert loop.ticks >= TICKS_WANTED


@dataclass
class Reloads:
    """What `follow` is given: one request to reload, and what came of it."""

    asked: list[bool] = field(default_factory=lambda: [True])
    taken: list[Settings] = field(default_factory=list)

    async def wait(self, _seconds: float) -> bool:
        """Asked for once."""
        if not self.asked:
            await asyncio.Event().wait()
        return self.asked.pop()

    async def apply(self, new: Settings) -> None:
        """Noted."""
        self.taken.append(new)


async def test_a_long_configuration_is_reloaded_beside_the_loop(tmp_path: Path) -> None:
    """Thousands of targets in one file."""
    path = tmp_path / "quaywatch.yaml"

    def write(targets: int) -> None:
        lines = "".join(f"  db{at}: {{kind: postgres, host: db{at}, password: p}}\n" for at in range(targets))
        path.write_text(f"environment: test\ninstallation: acme\ntargets:\n{lines}")

    def loaded(file: Path) -> Settings:
        return load(file, {}, {}, {})

    write(1)
    reloader, reloads = Reloader(path, loaded, loaded(path)), Reloads()
    write(TARGETS)
    async with Watched() as loop:
        nothing: Any = lambda _error: None  # noqa: E731 - what is reported is not looked at
        following = asyncio.create_task(follow(reloader, wait=reloads.wait, apply=reloads.apply, report=nothing))
        await until(lambda: bool(reloads.taken))
        following.cancel()
    assert len(reloads.taken[0].targets) == TARGETS
    assert loop.held < work(lambda: loaded(path)) * HELD_AT_MOST
    assert loop.ticks >= TICKS_WANTED
