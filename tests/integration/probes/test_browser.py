"""Flows through the web client of Odoo 14 and 19, in a real Chromium, behind Traefik."""

from __future__ import annotations

import asyncio
import re
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from probes import (
    browser_label_print,
    browser_login,
    browser_order_create,
    browser_portal_lookup,
    browser_shipment_confirm,
    browser_stock_reserve,
    portal_lookup,
    shipment_confirm,
    stock_reserve,
)
from probes.odoo_pages import Client, selectors_of
from probes.odoo_placing import clear
from quaywatch.clock import SystemClock
from quaywatch.contract import Browser, Outcome, Page, Probe, ProbeTask, Reason, SignIn, Transaction
from quaywatch.contract import Odoo as Driver
from quaywatch.drivers.browser import BrowserSettings, LocalStore, Site, SiteBrowser, WarmBrowser
from quaywatch.drivers.odoo import OdooServer
from quaywatch.runtime.instruments import Instruments
from quaywatch.runtime.probing import RunRecord, run_probe
from quaywatch.secret import Secret
from sandbox.host import require
from sandbox.parts.odoo import Odoo
from sandbox.parts.recorder import Recorder
from sandbox.parts.records import Span, read_spans
from sandbox.seed import PARTNER, PLACE, PRODUCT, STORABLE
from sandbox.world import World
from tests.integration.probes.support import address, marked, target

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTS = ("odoo14", "odoo19", "traefik", "recorder")
INSTALLATION = "test-browser"
SHIPPED = "test-browser-shipped"
"""Of what stays for ever."""
Flow = tuple[Probe[Driver, Any], Any]
LOGIN: Flow = (browser_login.PROBE, browser_login.Options())
ORDER: Flow = (browser_order_create.PROBE, browser_order_create.Options(partner=PARTNER, product=PRODUCT))
RESERVE: Flow = (browser_stock_reserve.PROBE, stock_reserve.Options(partner=PARTNER, product=STORABLE))
LABELS: Flow = (
    browser_label_print.PROBE,
    browser_label_print.Options(partner=PARTNER, product=PRODUCT, quantity=2),
)
LOOKUP: Flow = (browser_portal_lookup.PROBE, portal_lookup.Options(partner=PARTNER, product=PRODUCT))
SHIP: Flow = (
    browser_shipment_confirm.PROBE,
    shipment_confirm.Options(partner=PARTNER, product=STORABLE, location=PLACE),
)
SPANS_WITHIN = 30.0
"""Seconds in which Traefik's spans arrive."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[WarmBrowser]:
    """One browser for all tests, started."""
    require("chromium", "libnss3-tools")
    # An Odoo that was never looked at makes its scripts first, and here two do so at once.
    warm = WarmBrowser(BrowserSettings(concurrency=4, turn_within=90.0, answer_within=90.0))
    async with warm.lent():
        pass
    yield warm
    await warm.close()


@dataclass(frozen=True)
class Edge:
    """An Odoo behind Traefik."""

    server: Odoo
    url: str

    def site(self, warm: WarmBrowser, password: str = "") -> SiteBrowser:
        """Its web client, as the probe's user."""
        secret, user = Secret(password or self.server.password), self.server
        return SiteBrowser(Site(url=self.url, database=user.database, login=user.login, password=secret), warm)

    @asynccontextmanager
    async def driver(self, browser: Browser) -> AsyncIterator[OdooServer]:
        """Its driver with a browser, as the probe's user."""
        driver = OdooServer(address(self.server, url=self.url), browser=browser)
        yield driver
        await driver.close()


@pytest.fixture
def edges(world: World) -> tuple[Edge, Edge]:
    """Odoo 14 and 19."""
    return _edges(world)


def _edges(world: World) -> tuple[Edge, Edge]:
    return Edge(world.odoo14, world.traefik.odoo14), Edge(world.odoo19, world.traefik.odoo19)


@pytest.fixture
def edge(edges: tuple[Edge, Edge]) -> Edge:
    """Odoo 19."""
    return edges[1]


class Staying:
    """A page on which the user is logged in already, and stays so."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.wait, self.settle, self.click = page.wait, page.settle, page.click
        self.fill, self.text, self.download = page.fill, page.text, page.download

    async def open(self, path: str) -> None:
        """Load a path, but that of logging in or out."""
        if not path.startswith(("/web/login", "/web/session/logout")):
            await self._page.open(path)

    async def sign_in(self, _form: SignIn) -> None:
        """Nothing."""


@dataclass(frozen=True)
class SignedIn:
    """A browser with one session for all runs: what several flows begin with is done once."""

    database: str
    one: Page

    @asynccontextmanager
    async def page(self, _run: str) -> AsyncIterator[Page]:
        """The page."""
        yield self.one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def signed_in(world: World, warm: WarmBrowser) -> AsyncIterator[tuple[SignedIn, SignedIn]]:
    """The browser on each of the `edges`."""
    async with AsyncExitStack() as stack:

        async def one(edge: Edge, version: int) -> SignedIn:
            browser = edge.site(warm)
            page = await stack.enter_async_context(browser.page("all runs"))
            await Client(page, selectors_of(version), browser.database).sign_in()
            return SignedIn(browser.database, Staying(page))

        older, newer = _edges(world)
        yield await asyncio.gather(one(older, 14), one(newer, 19))


async def run(
    driver: OdooServer,
    edge: Edge,
    flow: Flow,
    tracer: TracerProvider | None = None,
    installation: str = INSTALLATION,
) -> RunRecord:
    """One run now."""
    probe, options = flow
    return await run_probe(
        ProbeTask(replace(probe, undo_within=60), options, every=300, deadline=200),
        driver,
        target=target(edge.server),
        tick=time.time(),
        installation=installation,
        meter=Instruments("", SystemClock()),
        tracer=(tracer or TracerProvider()).get_tracer("test"),
        clock=SystemClock(),
    )


@dataclass
class Interrupted:
    """A transaction in which something happens right before a step."""

    transaction: Transaction
    before: str
    happens: Callable[[], Awaitable[None]]

    @property
    def mark(self) -> str:
        """The run's."""
        return self.transaction.mark

    @asynccontextmanager
    async def step(self, name: str, *, waits: bool = False) -> AsyncIterator[None]:
        """The step, after what happens."""
        if name == self.before:
            await self.happens()
        async with self.transaction.step(name, waits=waits):
            yield

    def undo(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        """The run's."""
        self.transaction.undo(name, action)


async def test_an_order_is_made_and_every_request_belongs_to_its_step(
    edges: tuple[Edge, Edge], warm: WarmBrowser, world: World
) -> None:
    """On both at once: the run is green, leaves nothing, and Traefik's spans lie under the step that asked."""
    seen_by_version = await asyncio.gather(*(_ordered(edge, warm, world) for edge in edges))
    for seen in seen_by_version:
        assert ("step login", "/web/login") in seen
        assert [step for step, path in seen if "/call_button" in path] == ["step confirm"]
        assert [step for step, path in seen if path.endswith(("/create", "/web_save"))] == ["step create"]
        assert [path for _, path in seen if path.startswith(("/web/static", "/web/assets"))] == []


async def _ordered(edge: Edge, warm: WarmBrowser, world: World) -> list[tuple[str, str]]:
    """What the browser asked for in a green run on what a dead attempt of its tick left, of which nothing stays."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    probe, options = ORDER

    async def nothing_left() -> None:
        assert marked(world.postgres, edge.server.database, INSTALLATION) == 0

    async def after_a_dead_attempt(driver: Driver, options: Any, tx: Transaction) -> None:
        values = {"partner_id": edge.server.partner_id, "client_order_ref": tx.mark}
        await driver.call("sale.order", "create", values)
        await probe.run(driver, options, Interrupted(tx, "form", nothing_left))

    async with edge.driver(edge.site(warm)) as driver:
        record = await run(driver, edge, (replace(probe, run=after_a_dead_attempt), options), provider)
    assert record.message == ""
    assert record.outcome is Outcome.SUCCESS
    assert [step.name for step in record.steps] == [*probe.steps, "cancel", "erase"]
    await nothing_left()
    return await _of_browser(world.recorder, record.trace_id, _by_step(kept.get_finished_spans()))


def _by_step(spans: tuple[ReadableSpan, ...]) -> dict[str, str]:
    """The names of our own spans by their ids."""
    return {f"{span.context.span_id:016x}": span.name for span in spans if span.context}


async def _of_browser(recorder: Recorder, trace_id: str, steps: dict[str, str]) -> list[tuple[str, str]]:
    """Step and path of each request of the browser that Traefik saw, once the last one and no more have arrived.

    They come in batches, which may overtake each other.
    """
    end, before = time.monotonic() + SPANS_WITHIN, 0
    while True:
        spans = [span for span in read_spans(recorder.file) if span.trace_id == trace_id and _browser(span)]
        ended = any("logout" in span.attributes["url.path"] for span in spans)
        if time.monotonic() > end or (ended and len(spans) == before):
            return [(steps.get(span.parent_id, "nowhere"), span.attributes["url.path"]) for span in spans]
        before = len(spans)
        await asyncio.sleep(1)


def _browser(span: Span) -> bool:
    """Whether it is a request of the browser's, as it came in."""
    agent = str(span.attributes.get("user_agent.original"))
    return span.kind == "server" and agent.startswith("Mozilla/") and "Quaywatch/" in agent


async def green(edge: Edge, browser: Browser, flow: Flow, installation: str = INSTALLATION) -> None:
    """A run in which every step succeeds, and every undoing."""
    async with edge.driver(browser) as driver:
        record = await run(driver, edge, flow, installation=installation)
    assert record.message == ""
    assert record.outcome is Outcome.SUCCESS
    assert [step.name for step in record.steps if not step.is_undo] == list(flow[0].steps)
    assert [step.name for step in record.steps if not step.ok] == []


Browsers = tuple[SignedIn, SignedIn]


@pytest.mark.parametrize("flow", [RESERVE, LABELS], ids=lambda flow: flow[0].name)
async def test_a_flow_is_green_and_leaves_nothing(
    flow: Flow, edges: tuple[Edge, Edge], signed_in: Browsers, world: World
) -> None:
    """On both at once, by button or by menu; every step and every undoing succeeds."""
    await asyncio.gather(*map(green, edges, signed_in, (flow, flow)))
    for edge in edges:
        assert marked(world.postgres, edge.server.database, INSTALLATION) == 0


@pytest.mark.parametrize("flow", [LOGIN, LOOKUP], ids=lambda flow: flow[0].name)
async def test_a_flow_is_green_in_a_session_of_its_own(
    flow: Flow, edges: tuple[Edge, Edge], warm: WarmBrowser, world: World
) -> None:
    """On both at once: the user logs in; who is not logged in sees the order by its link, and not without the token."""
    await asyncio.gather(*(green(edge, edge.site(warm), flow) for edge in edges))
    for edge in edges:
        assert marked(world.postgres, edge.server.database, INSTALLATION) == 0


async def test_a_delivery_is_validated(edges: tuple[Edge, Edge], signed_in: Browsers) -> None:
    """On both at once, also where Odoo asks back whether all is meant."""
    await asyncio.gather(*map(green, edges, signed_in, (SHIP, SHIP), (SHIPPED, SHIPPED)))


async def test_a_wrong_password_is_ours(edge: Edge, warm: WarmBrowser) -> None:
    """The run is invalid at its login, so that it never counts against Odoo."""
    async with edge.driver(edge.site(warm, "wrong")) as driver:
        record = await run(driver, edge, LOGIN)
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.INVALID, Reason.AUTH, "login")


async def test_a_missing_browser_is_ours(edge: Edge) -> None:
    """Without Chromium the run is invalid, and its message says what to do."""
    async with edge.driver(edge.site(WarmBrowser(BrowserSettings(executable=Path("/nonexistent"))))) as driver:
        record = await run(driver, edge, LOGIN)
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.INVALID, Reason.CONFIG, "prepare")
    assert "browser.executable" in record.message


async def test_an_error_of_odoo_is_a_failure_with_evidence(
    edge: Edge, warm: WarmBrowser, tmp_path: Path, world: World
) -> None:
    """A delivery that is erased while it is shown: Odoo's dialog fails the run; picture and trace hold no secret."""
    probe, options = RESERVE

    async def interrupted(driver: Driver, options: Any, tx: Transaction) -> None:
        await probe.run(driver, options, Interrupted(tx, "release", lambda: clear(driver, tx.mark)))

    settings = BrowserSettings(store=LocalStore(directory=tmp_path, max_age=60, max_bytes=1 << 26))
    lent = WarmBrowser(settings)
    lent._current = warm._current  # the same browser, with a place for evidence
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with edge.driver(edge.site(lent)) as driver:
        record = await run(driver, edge, (replace(probe, run=interrupted), options), provider)
    assert (record.outcome, record.reason, record.failed_step) == (Outcome.FAILURE, Reason.FAULT, "release")
    assert marked(world.postgres, edge.server.database, INSTALLATION) == 0
    kept = _kept(tmp_path)
    assert set(kept) == {".png", ".zip"}
    (whole,) = (span for span in spans.get_finished_spans() if span.parent is None)
    places = [(event.attributes or {}).get("place") for event in whole.events if event.name.endswith("evidence")]
    assert {(str(Path(str(place)).parent), Path(str(place)).suffix) for place in places} == {
        (str(tmp_path), ".png"),
        (str(tmp_path), ".zip"),
    }
    assert b"/web/dataset/" in kept[".zip"]
    assert edge.server.password.encode() not in kept[".zip"]
    assert set(re.findall(rb"session_id=([^;\"\\]+)", kept[".zip"])) <= {b"***"}
    assert set(re.findall(rb'csrf_token: \\?"([^"\\]+)', kept[".zip"])) == {b"***"}


def _kept(directory: Path) -> dict[str, bytes]:
    """The evidence by its kind, a trace as one text."""
    return {path.suffix: _unpacked(path) for path in directory.iterdir()}


def _unpacked(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


@pytest.fixture
def others_order(edges: tuple[Edge, Edge]) -> Iterator[None]:
    """Somebody else's open order of the probes' product, on 14."""
    server = edges[0].server
    admin, lines = server.admin(), [(0, 0, {"product_id": server.storable_id, "product_uom_qty": 1})]
    order = admin.call("sale.order", "create", {"partner_id": server.partner_id, "order_line": lines})
    admin.call("sale.order", "action_confirm", [order])
    yield
    admin.call("sale.order", "action_cancel", [order])
    admin.call("sale.order", "unlink", [order])


@pytest.mark.usefixtures("others_order")
async def test_orders_that_the_user_may_not_see_are_found(edges: tuple[Edge, Edge], warm: WarmBrowser) -> None:
    """On 14, where they break the page of a delivery, `check` says so; on 19 they do not, and it says nothing."""
    check, options = browser_stock_reserve.check, RESERVE[1]
    found = []
    for edge in edges:
        async with edge.driver(edge.site(warm)) as driver:
            found.append([finding async for finding in check(driver, options) if "open deliveries" in finding])
    assert [len(findings) for findings in found] == [1, 0]
