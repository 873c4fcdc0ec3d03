"""The status page in a real browser, on a phone and on a desk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from quaywatch.runtime.web import Sources, StatusServer
from quaywatch.runtime.web.history import RUNS_KEPT, Status
from sandbox.host import require
from tests.unit.runtime.status_fakes import FrozenClock, numbers, quiet, troubled

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-quic", "--no-first-run"]
PHONE, DESK = (360, 740), (1280, 900)


def eventful() -> Status:
    """A page with everything on it, and many tenants."""
    clock = FrozenClock()
    return troubled(clock).status(numbers(clock, tenants=40, lost=True))


def calm() -> Status:
    """A page on which all is well."""
    clock = FrozenClock()
    return quiet(clock).status(numbers(clock))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests of the session, Debian's."""
    require("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@dataclass
class Visit:
    """A page and what it did while it was looked at."""

    page: Page
    host: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        """Note what the browser complains about."""
        self.complaints.append(message.text)

    def see(self, request: Request) -> None:
        """Note what is asked of anybody else."""
        if not request.url.startswith((self.host, "data:")):
            self.elsewhere.append(request.url)


async def nothing(_accept: str) -> tuple[bytes, str]:
    """A page of metrics without any."""
    return b"", "text/plain"


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Visit]:
    """The page of a status, visited with a screen of some size and taste."""
    status, size, scheme = request.param
    server = StatusServer(Sources(status, lambda: True, nothing), port=0)
    await server.start()
    host = "http://{}:{}".format(*server.address)
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    seen = Visit(await context.new_page(), host)
    seen.page.on("console", seen.hear)
    seen.page.on("request", seen.see)
    await seen.page.goto(host)
    yield seen
    await context.close()
    await server.close()


def everywhere() -> list[tuple[Callable[[], Status], tuple[int, int], str]]:
    """Each page on each screen in each taste."""
    return [
        (status, size, scheme) for status in (eventful, calm) for size in (PHONE, DESK) for scheme in ("light", "dark")
    ]


def named(case: object) -> str:
    """A case's name."""
    assert isinstance(case, tuple)
    return f"{case[0].__name__}-{case[1][0]}-{case[2]}"


@pytest.mark.parametrize("visit", everywhere(), ids=named, indirect=True)
async def test_the_page_fits_and_asks_nobody(visit: Visit) -> None:
    """Nothing scrolls sideways, nothing is asked of another host, and the browser has nothing to complain about."""
    wide = await visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    assert (visit.complaints, visit.elsewhere) == ([], [])


@pytest.mark.parametrize("visit", [(eventful, PHONE, "light"), (eventful, DESK, "dark")], ids=named, indirect=True)
async def test_strips_are_drawn(visit: Visit) -> None:
    """Each run is a visible cell; a failure stands higher than a success, so that colour is not needed."""
    cells = visit.page.locator("article[data-flow=order_create] ol.strip li")
    assert await cells.count() == RUNS_KEPT
    boxes = [await cells.nth(number).bounding_box() for number in range(RUNS_KEPT)]
    assert all(box and box["width"] >= 3 and box["height"] >= 10 for box in boxes)
    last, first = boxes[-1], boxes[0]
    assert last is not None
    assert first is not None
    assert last["height"] > first["height"] * 1.4
    assert last["y"] + last["height"] == pytest.approx(first["y"] + first["height"], abs=1)


@pytest.mark.parametrize("visit", [(eventful, PHONE, "light")], ids=named, indirect=True)
async def test_the_style_is_applied(visit: Visit) -> None:
    """The policy lets the page's own style through: bars are as wide as their steps are long."""
    bars = visit.page.locator("article[data-flow=stock_reserve] .steps rect:not(.track)")
    widths = [box["width"] for box in [await bars.nth(number).bounding_box() for number in range(5)] if box]
    durations = [0.043, 0.118, 0.011, 0.071, 0.094]
    assert [width / sum(widths) for width in widths] == pytest.approx(
        [one / sum(durations) for one in durations], abs=0.01
    )


@pytest.mark.parametrize("visit", [(eventful, PHONE, "light")], ids=named, indirect=True)
async def test_readings_are_open_only_where_something_fails(visit: Visit) -> None:
    """Forty tenants do not bury the one reading that fails."""
    opened = await visit.page.locator("details[open] summary").all_inner_texts()
    assert len(opened) == 1
    assert opened[0].startswith("cache")
    assert await visit.page.locator("details").count() == 2
