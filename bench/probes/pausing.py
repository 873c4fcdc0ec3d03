"""What it costs that a page's requests wait for their trace context: ``python -m bench.probes.pausing``.

The same page asks the same server the same questions, one after the other, with the propagation of the browser's driver
and without it. The server is in this process, on both sides alike.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from opentelemetry.context import Context
from playwright.async_api import Browser, async_playwright

from quaywatch.drivers.browser.propagation import Propagation
from sandbox.host import require
from sandbox.process import LOOPBACK

REQUESTS: Final = 60
PAIRS: Final = 20
_WARM: Final = 2
"""Pairs before those that count."""
_PAGE: Final = f"""<script>
async function ask() {{
    const began = performance.now();
    for (let at = 0; at < {REQUESTS}; at++) await (await fetch("/rpc", {{method: "POST", body: "{{}}"}})).json();
    return performance.now() - began;
}}
</script>"""


@dataclass
class Cost:
    """Milliseconds for each request: as the page sees them, and of this process's processor time."""

    passed: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)

    def told(self) -> str:
        """Median and least of both."""
        parts = (f"{statistics.median(some):.2f} ({min(some):.2f} at least)" for some in (self.passed, self.worked))
        return "{} ms each, {} ms of processor time".format(*parts)


@asynccontextmanager
async def _served() -> AsyncIterator[str]:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({})

    application = web.Application()
    application.add_routes([web.get("/", page), web.post("/rpc", answer)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    await runner.cleanup()


async def _measure(browser: Browser, url: str, cost: Cost, *, pausing: bool) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        if pausing:
            await Propagation(await context.new_cdp_session(page), [url], Context).start()
        await page.goto(url)
        before = time.process_time()
        passed = float(await page.evaluate("ask()"))
        cost.worked.append((time.process_time() - before) * 1000 / REQUESTS)
        cost.passed.append(passed / REQUESTS)


async def main() -> None:
    """Measure and print; which of the two begins changes from pair to pair."""
    require("chromium")
    costs: dict[bool, Cost] = {}
    async with _served() as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for pair in range(PAIRS + _WARM):
            if pair <= _WARM:  # what came before does not count
                costs = {False: Cost(), True: Cost()}
            for pausing in (False, True) if pair % 2 else (True, False):
                await _measure(browser, url, costs[pausing], pausing=pausing)
        await browser.close()
    print(
        f"{PAIRS} pairs of {REQUESTS} requests",
        f"free: {costs[False].told()}",
        f"paused: {costs[True].told()}",
        sep="\n",
    )


if __name__ == "__main__":
    asyncio.run(main())
