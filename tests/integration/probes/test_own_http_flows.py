"""A flow of the user's own on a carrier's API, as the documentation prints it: a server that keeps shipments."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest_asyncio
from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry.trace import NoOpTracer

from probes.scripted import probe_of
from quaywatch.cli.plan import plan
from quaywatch.clock import SystemClock
from quaywatch.config import load_text
from quaywatch.contract import Outcome, Reason
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import RunRecord, run_probe

PAGE = (Path(__file__).parents[3] / "docs/own-flows.md").read_text()
PRINTED = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
TOKEN = "carrier-token"


@dataclass
class Carrier:
    """Keeps shipments, and takes only those who bring the token."""

    shipments: dict[str, str] = field(default_factory=dict)
    booked: list[str] = field(default_factory=list)
    price: float = 6.9
    url: str = ""

    def application(self) -> web.Application:
        """The API."""
        made = web.Application(middlewares=[self._guarded])
        made.router.add_get("/v1/rates", self._rates)
        made.router.add_post("/v1/shipments", self._book)
        made.router.add_get("/v1/shipments/{id}/label", self._label)
        made.router.add_delete("/v1/shipments/{id}", self._cancel)
        return made

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise web.HTTPUnauthorized
        return await handler(request)

    async def _rates(self, request: web.Request) -> web.Response:
        return web.json_response({"rates": [{"country": request.query["country"], "price": self.price}]})

    async def _book(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        number = f"S{len(self.booked)}"
        self.booked.append(wanted["reference"])
        self.shipments[number] = wanted["ready"]
        return web.json_response({"id": number, "tracking": "AB123456789"}, status=201)

    async def _label(self, request: web.Request) -> web.Response:
        return web.Response(text=f"^XA^FD{request.match_info['id']}^FS^XZ")

    async def _cancel(self, request: web.Request) -> web.Response:
        del self.shipments[request.match_info["id"]]
        return web.Response(status=204)


@pytest_asyncio.fixture
async def carrier() -> AsyncIterator[Carrier]:
    """The API on a free port."""
    one = Carrier()
    runner = web.AppRunner(one.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    one.url = f"http://{host}:{port}"
    yield one
    await runner.cleanup()


async def run(carrier: Carrier, token: str = TOKEN) -> RunRecord:
    """One run of what the page prints."""
    environ = {"CARRIER_URL": carrier.url, "CARRIER_TOKEN": token}
    (watched,) = plan(load_text(PRINTED, "carrier.yaml", environ, {}, {}, probe_of))
    driver = watched.open()
    try:
        return await run_probe(
            watched.probes[0],
            driver,
            target=watched.target,
            tick=time.time(),
            installation="acme-eu",
            meter=Instruments("", SystemClock()),
            tracer=NoOpTracer(),
            clock=SystemClock(),
        )
    finally:
        await driver.close()


async def test_a_shipment_is_booked_and_cancelled(carrier: Carrier) -> None:
    """Every step is green, the carrier saw the run's mark, and no shipment stays."""
    record = await run(carrier)
    assert (record.message, record.outcome) == ("", Outcome.SUCCESS)
    assert [(step.name, step.is_undo) for step in record.steps if step.ok] == [
        ("rates", False),
        ("book", False),
        ("label", False),
        ("book", True),
    ]
    assert [mark.rsplit("/", 2)[0] for mark in carrier.booked] == ["quaywatch/acme-eu/carrier_label"]
    assert carrier.shipments == {}


async def test_a_refused_token_is_ours(carrier: Carrier) -> None:
    """It burns no budget, and nothing is booked."""
    record = await run(carrier, "another")
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.INVALID, Reason.AUTH, "rates")
    assert carrier.booked == []


async def test_a_price_that_is_too_high_is_told_without_it(carrier: Carrier) -> None:
    """What the carrier takes stays out of messages."""
    carrier.price = 21.55
    record = await run(carrier)
    assert (record.outcome, record.reason) == (Outcome.FAILURE, Reason.WRONG)
    assert record.message == "$.rates[0].price is a number; a number less than 20 is expected"
