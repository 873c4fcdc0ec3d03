"""One page of one run: its verbs, its trace context, and what is kept when the run fails on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import structlog
from opentelemetry import context as trace_context
from opentelemetry.trace import INVALID_SPAN, Span, get_current_span
from playwright.async_api import BrowserContext, Error, Response
from playwright.async_api import Page as RawPage

from quaywatch.contract import SignIn
from quaywatch.drivers.credential import Credential
from quaywatch.drivers.deadline import deadline
from quaywatch.drivers.http import GATEWAY_STATUSES
from quaywatch.drivers.network import revealed
from quaywatch.errors import AuthError, ConfigError, ConnectError, FaultError, QuaywatchError, TargetError

from .chromium import Chromium
from .errors import browser_errors
from .events import PageEvents, bare
from .evidence import Store, file_name
from .propagation import Propagation
from .quiet import Quiet
from .recording import Recording
from .settings import BrowserSettings, Site

KEEP_WITHIN: Final = 4.0
"""Seconds for the picture, and for the trace: a run that was cut off must get to its undoing."""
LEAVE_WITHIN: Final = 3.0
"""Seconds for logging out."""
CLOSE_WITHIN: Final = 3.0
"""Seconds for closing a session."""
_BAD: Final = 400

_log: Any = structlog.get_logger(__name__)


class SitePage:
    """One page of a fresh session.

    Args:
        raw: Playwright's.
        site: what it visits, and as whom.
        credential: the user's; None where there is only an API key.
        recording: begins after a good login.
        within: seconds for each call.
    """

    def __init__(
        self, raw: RawPage, site: Site, credential: Credential | None, recording: Recording, within: float
    ) -> None:
        self._raw = raw
        self._site = site
        self._credential = credential
        self._recording = recording
        self._within = within
        self._quiet = Quiet(raw)
        self._farewell = ""
        self._step = trace_context.get_current()
        raw.set_default_timeout(within * 1000)

    def context(self) -> trace_context.Context:
        """The trace context of the step that last asked for something."""
        return self._step

    def span(self) -> Span:
        """The span of that step or, when the step is over, the one that goes on around the page."""
        spans = (get_current_span(self._step), get_current_span())
        return next((span for span in spans if span.is_recording()), INVALID_SPAN)

    async def open(self, path: str) -> None:
        """Load a path of the site anew, whatever is shown now.

        Raises:
            ConnectError: when nobody answers, or a proxy does instead.
            FaultError: for an answer of 400 or above.
        """
        url = self._site.url + path
        with self._verb(bare(url)):
            await self._raw.goto("about:blank")  # what differs only behind the # would not load
            _refuse(await self._raw.goto(url, wait_until="commit"), bare(url))

    async def sign_in(self, form: SignIn) -> None:
        """Log in as the site's user. A refusal is remembered, as the RPC driver does.

        Raises:
            AuthError: when the login is refused.
            ConfigError: when the site has no password.
        """
        if self._credential is None:
            what = f"{self._site.url}: there is an API key, which does not log in to the web client"
            raise ConfigError(what, remedy="give the target a password as well")
        with self._credential.trial() as password:
            await self.fill(form.login_field, self._site.login)
            await self.fill(form.password_field, password)
            self._farewell = form.farewell  # before anybody answers: a server may let in and not show it
            with self._verb("log in"):
                await self._raw.locator(form.password_field).first.press("Enter")
            found = await self.wait(*form.refused, form.accepted)
            if found in form.refused:
                self._farewell = ""
                raise AuthError(f"{self._site.url}: {form.refused[found]}", remedy="check login and password")
        with self._verb("record"):
            await self._recording.start()

    async def leave(self) -> None:
        """Log out, where somebody logged in. That it fails changes nothing of how the run ends."""
        if self._farewell:
            with suppress(QuaywatchError):
                async with deadline(LEAVE_WITHIN, "log out"):
                    await self.open(self._farewell)

    async def wait(self, *selectors: str) -> str:
        """Wait until an element matches one of these, hidden or not, and answer which; of several the first named."""
        what = f"wait for {' or '.join(selectors)}"
        with self._verb(what):
            async with deadline(self._within, what):
                return await self._found(selectors)

    async def settle(self) -> None:
        """Wait until the page has no question to its server under way, and none follows."""
        what = "wait for answers to the page"
        with self._verb(what):
            async with deadline(self._within, what):
                await self._quiet.settled()

    async def click(self, selector: str) -> None:
        """Click the first element that matches, when it can be clicked."""
        with self._verb(f"click {selector}"):
            await self._raw.locator(selector).first.click()

    async def fill(self, selector: str, text: str) -> None:
        """Replace what stands in the first field that matches."""
        with self._verb(f"fill {selector}"):
            await self._raw.locator(selector).first.fill(text)

    async def text(self, selector: str) -> str:
        """What is written in the first element that matches."""
        with self._verb(f"read {selector}"):
            return await self._raw.locator(selector).first.inner_text()

    async def download(self, selector: str) -> bytes:
        """Click, and answer the file that this downloads."""
        with self._verb(f"download by {selector}"):
            async with self._raw.expect_download() as coming:
                await self._raw.locator(selector).first.click()
            file = await coming.value
            return await asyncio.to_thread(Path(await file.path()).read_bytes)

    async def _found(self, selectors: tuple[str, ...]) -> str:
        anyone = self._raw.locator(selectors[0])
        for selector in selectors[1:]:
            anyone = anyone.or_(self._raw.locator(selector))
        while True:
            await anyone.first.wait_for(state="attached")
            for selector in selectors:
                if await self._raw.locator(selector).count():
                    return selector

    @contextmanager
    def _verb(self, what: str) -> Iterator[None]:
        """What is asked for in the block belongs to the step that goes on."""
        self._step = trace_context.get_current()
        with browser_errors(what, self._within):
            yield


def _refuse(response: Response | None, where: str) -> None:
    if response is None or response.status < _BAD:
        return
    code = str(response.status)
    if response.status in GATEWAY_STATUSES:
        what = f"{where}: the proxy in front says {code}"
        raise ConnectError(what, remedy="look at the server behind it", code=code)
    raise FaultError(f"{where}: the server says {code}", remedy="see its log", code=code)


@asynccontextmanager
async def opened_page(
    chromium: Chromium, site: Site, credential: Credential | None, settings: BrowserSettings, run: str
) -> AsyncIterator[SitePage]:
    """A page of a fresh session, closed at the end of the block; what a block fails on is kept."""
    with browser_errors("open a page", settings.answer_within):
        context = await chromium.context()
    try:
        with browser_errors("open a page", settings.answer_within):
            raw = await context.new_page()
            recording = Recording(context, raw, chromium.directory, wanted=settings.store is not None)
            page = SitePage(raw, site, credential, recording, settings.answer_within)
            PageEvents(raw, page.span)
            origins = (site.origin, *settings.origins)
            await Propagation(await context.new_cdp_session(raw), origins, page.context).start()
        try:
            yield page
        except BaseException:
            if settings.store is not None:
                await _keep(recording, settings.store, run, site, page.span())
            raise
        finally:
            await page.leave()  # after what is kept, which shows the page as it was
    finally:
        await _closed(context)


async def _keep(recording: Recording, store: Store, run: str, site: Site, span: Span) -> None:
    """Keep what there is to see. That there is none changes nothing of how the run ends."""
    secrets = [] if site.password is None else [revealed(site.password)]
    for suffix, taken in ((".png", recording.picture()), (".zip", recording.trace(secrets))):
        try:
            async with asyncio.timeout(KEEP_WITHIN):
                content = await taken
                if content:
                    span.add_event(
                        "quaywatch.browser.evidence", {"place": await store.put(file_name(run) + suffix, content)}
                    )
        except TargetError as error:
            _log.warning("evidence not kept", run=run, kind=suffix, error=str(error))
        except (Error, OSError, TimeoutError) as error:
            _log.warning("evidence not kept", run=run, kind=suffix, error=type(error).__name__)


async def _closed(context: BrowserContext) -> None:
    with suppress(Error, TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN):
            await context.close()
