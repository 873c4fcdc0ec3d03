"""The browser's driver: a real Chromium on a small site."""

from __future__ import annotations

import asyncio
import io
import ssl
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
import trustme
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from quaywatch import __version__
from quaywatch.contract import Page, SignIn
from quaywatch.drivers.browser import BrowserSettings, LocalStore, Site, SiteBrowser, WarmBrowser
from quaywatch.errors import AuthError, ConfigError, ConnectError, DeadlineError, FaultError, InternalError
from quaywatch.secret import Secret
from sandbox.host import require
from tests.integration.drivers.browser_site import PASSWORD, SESSION, TOKEN, WebSite, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = SignIn(
    login_field="input[name=login]",
    password_field="input[name=password]",
    accepted=".inside",
    refused={".refused": "login or password is wrong"},
    farewell="/logout",
)
SETTINGS = BrowserSettings(answer_within=20.0)
SPANS = InMemorySpanExporter()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(SPANS))
TRACER = PROVIDER.get_tracer("test")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[WarmBrowser]:
    """One browser for all tests, started."""
    require("chromium", "libnss3-tools")
    warm = WarmBrowser(SETTINGS)
    async with warm.lent():
        pass
    yield warm
    await warm.close()


@pytest_asyncio.fixture(loop_scope="module")
async def other() -> AsyncIterator[WebSite]:
    """Somebody else's site."""
    site = WebSite()
    runner = await serve(site)
    yield site
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="module")
async def site(other: WebSite) -> AsyncIterator[WebSite]:
    """The site."""
    site = WebSite(other=other.url)
    runner = await serve(site)
    yield site
    await runner.cleanup()


def client(site: WebSite, warm: WarmBrowser, password: str = PASSWORD) -> SiteBrowser:
    """The driver under test."""
    return SiteBrowser(Site(url=site.url, database="db", login="probe", password=Secret(password)), warm)


async def test_documents_and_rpc_bear_the_step_and_assets_do_not(site: WebSite, warm: WarmBrowser) -> None:
    """The document is asked for under the step that opens it, RPC too; the script bears nothing and stays cached."""
    ids = []
    async with client(site, warm).page("run") as page:
        for _ in range(2):
            with TRACER.start_as_current_span("step") as span:
                await page.open("/page")
                await page.wait(".answered")
            ids.append(f"{span.get_span_context().span_id:016x}")
    for path in ("/page", "/rpc"):
        assert [str(value).split("-")[2] for value in site.headers(path, "traceparent")] == ids
        assert site.headers(path, "baggage") == ["synthetic=test"] * 2
        assert all(str(agent).endswith(f" Quaywatch/{__version__}") for agent in site.headers(path, "user-agent"))
    assert site.headers("/asset.js", "traceparent") == [None]


async def test_a_fresh_session_has_no_cache_of_the_last_one(site: WebSite, warm: WarmBrowser) -> None:
    """Each run loads what a user loads who comes for the first time."""
    for _ in range(2):
        async with client(site, warm).page("run") as page:
            await page.open("/page")
            await page.wait(".answered")
    assert len(site.headers("/asset.js", "host")) == 2


async def test_a_trace_of_the_page_itself_is_left_alone(site: WebSite, warm: WarmBrowser) -> None:
    """What is instrumented already keeps its own parent."""
    with TRACER.start_as_current_span("step"):
        async with client(site, warm).page("run") as page:
            await page.open("/traced")
            await page.settle()
    assert site.headers("/rpc", "traceparent") == ["00-of-its-own"]


@pytest.mark.parametrize("path", ["/abroad", "/away"])
async def test_nobody_else_is_told(site: WebSite, other: WebSite, warm: WarmBrowser, path: str) -> None:
    """Neither RPC to another origin nor a redirect there bears the trace, and no preflight comes of it."""
    with TRACER.start_as_current_span("step"):
        async with client(site, warm).page("run") as page:
            await page.open(path)
            await page.settle()
    assert [request.method for request in other.asked].count("OPTIONS") == 0
    asked = [request for request in other.asked if request.path in ("/rpc", "/page")]
    assert asked
    assert all("traceparent" not in request.headers for request in asked if request.path == "/rpc" or path == "/away")


async def test_a_named_origin_is_told(site: WebSite, other: WebSite, warm: WarmBrowser) -> None:
    """An origin that the configuration allows gets the trace."""
    lent = WarmBrowser(replace(SETTINGS, origins=(other.url,)))
    lent._current = warm._current  # the same browser: only the page's own settings differ
    with TRACER.start_as_current_span("step"):
        async with client(site, lent).page("run") as page:
            await page.open("/away")
            await page.settle()
    assert other.headers("/page", "traceparent")[0]


async def test_a_bad_status_is_an_error(site: WebSite, warm: WarmBrowser) -> None:
    """A proxy without a server behind it is no connection, any other bad status a fault."""
    async with client(site, warm).page("run") as page:
        for status, error in ((500, FaultError), (404, FaultError), (502, ConnectError), (503, ConnectError)):
            with pytest.raises(error, match=str(status)):
                await page.open(f"/{status}")


async def test_a_closed_port_is_no_connection(warm: WarmBrowser) -> None:
    """Nobody there is said to be so."""
    async with client(WebSite(url="http://127.0.0.1:9"), warm).page("run") as page:
        with pytest.raises(ConnectError):
            await page.open("/page")


async def test_what_does_not_come_is_waited_for_so_long(site: WebSite, warm: WarmBrowser) -> None:
    """An element that is not there ends the wait by its deadline, and the message names it."""
    lent = WarmBrowser(replace(SETTINGS, answer_within=2.0))
    lent._current = warm._current
    async with client(site, lent).page("run") as page:
        await page.open("/page")
        verbs = (verb("#nowhere") for verb in (page.wait, page.click, page.text))
        ends = await asyncio.gather(*verbs, return_exceptions=True)
    assert [type(end) for end in ends] == [DeadlineError] * 3
    assert all("nowhere" in str(end) for end in ends)


async def test_of_several_the_first_named_is_answered(site: WebSite, warm: WarmBrowser) -> None:
    """Errors are named first, so that they are seen even when the page looks fine."""
    async with client(site, warm).page("run") as page:
        await page.open("/page")
        assert await page.wait("#nowhere", "#file", "#there") == "#file"
        assert await page.text("#there") == "there"
        assert await page.download("#file") == b"^XA^XZ"


async def test_a_refused_password_is_shown_to_the_server_once(site: WebSite, warm: WarmBrowser) -> None:
    """The second run fails without a login: servers lock out who guesses."""
    driver = client(site, warm, "wrong")
    for _ in range(2):
        async with driver.page("run") as page:
            await page.open("/login")
            with pytest.raises(AuthError, match="login or password is wrong"):
                await page.sign_in(FORM)
    assert [form["password"] for form in site.forms] == ["wrong"]
    assert site.headers("/logout", "host") == []


async def test_an_api_key_alone_does_not_log_in(site: WebSite, warm: WarmBrowser) -> None:
    """A target without a password can be visited; its login is a matter of the configuration."""
    driver = SiteBrowser(Site(url=site.url, database="db", login="probe", password=None), warm)
    async with driver.page("run") as page:
        await page.open("/login")
        with pytest.raises(ConfigError, match="API key"):
            await page.sign_in(FORM)


async def test_what_goes_wrong_in_a_page_is_told_on_the_span(site: WebSite, warm: WarmBrowser) -> None:
    """Errors of scripts and failed requests are events of the step, without the queries of their addresses."""
    with TRACER.start_as_current_span("noisy"):
        async with client(site, warm).page("run") as page:
            await page.open("/bad")
            await page.settle()
    (span,) = (span for span in SPANS.get_finished_spans() if span.name == "noisy")
    told = {(event.name, str((event.attributes or {}).get("url.full", ""))) for event in span.events}
    assert ("browser.request_failed", f"{site.url}/500") in told
    assert "from http://127.0.0.1/x" in [(event.attributes or {}).get("message") for event in span.events]
    assert "secret" not in str([event.attributes for event in span.events])


async def test_evidence_is_kept_of_failures_and_holds_no_secret(
    site: WebSite, warm: WarmBrowser, tmp_path: Path
) -> None:
    """A run that fails leaves picture and trace without password, session, token; a good one nothing; both log out."""
    lent = WarmBrowser(replace(SETTINGS, store=LocalStore(directory=tmp_path, max_age=60, max_bytes=1 << 26)))
    lent._current = warm._current
    await _logged_in(client(site, lent), "good", fails=False)
    assert _names(tmp_path) == set()
    with pytest.raises(ZeroDivisionError):
        await _logged_in(client(site, lent), "quaywatch/acme/x/1", fails=True)
    assert _names(tmp_path) == {"quaywatch_acme_x_1.png", "quaywatch_acme_x_1.zip"}
    trace = _unpacked(tmp_path / "quaywatch_acme_x_1.zip")
    assert b"/page" in trace
    secrets = (PASSWORD, SESSION, TOKEN, "p%26ss", "p&amp;ss", "w\\u00f6rd", "w\\xf6rd")
    assert [secret for secret in secrets if secret.encode() in trace] == []
    assert b"/logout" not in trace
    assert len(site.headers("/logout", "host")) == 2


def _names(directory: Path) -> set[str]:
    """What is in a directory that nobody but its owner can read."""
    return {path.name for path in directory.iterdir() if path.stat().st_mode & 0o077 == 0}


async def _logged_in(driver: SiteBrowser, run: str, *, fails: bool) -> None:
    async with driver.page(run) as page:
        await page.open("/login")
        await page.sign_in(FORM)
        await page.open("/page")
        await _typed(page)
        assert 1 / (not fails)


async def _typed(page: Page) -> None:
    """What a careless page does: the password stands in an address and in a field."""
    await page.open("/login?again=p%26ss%20w%C3%B6rd")
    await page.fill("input[name=login]", PASSWORD)


def _unpacked(trace: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(trace.read_bytes())) as archive:
        return b"\n".join(name.encode() + archive.read(name) for name in archive.namelist())


async def test_a_page_that_dies_is_ours_and_the_next_one_lives(site: WebSite, warm: WarmBrowser) -> None:
    """A killed renderer is a trouble of the agent, not of the server."""
    async with client(site, warm).page("run") as page:
        await page.open("/page")
        for process in _current(warm):
            if "--type=renderer" in process.cmdline():
                process.kill()
        with pytest.raises(InternalError, match="crashed"):
            await page.click("#nowhere")
    async with client(site, warm).page("run") as page:
        await page.open("/page")


async def test_a_browser_that_dies_is_replaced(site: WebSite, warm: WarmBrowser) -> None:
    """The run that it dies under is ours; the next one has a new browser, and nothing is left of the old one."""
    async with client(site, warm).page("run") as page:
        await page.open("/page")
        old = _current(warm)
        old[0].kill()
        with pytest.raises(InternalError, match="ended in the middle"):
            await page.open("/page")
    async with client(site, warm).page("run") as page:
        await page.open("/page")
    assert await _ended(old)


async def test_a_certificate_is_trusted_by_the_authority_of_a_target(tmp_path: Path, warm: WarmBrowser) -> None:
    """A browser that is given the authority's file opens the site; one that is not says what to do.

    One whose file was changed goes when its last page is closed, so that the next one trusts the new authority.
    """
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    secure = WebSite()
    runner = await serve(secure, context)
    trusting = WarmBrowser(replace(SETTINGS, authorities=(tmp_path / "ca.pem",)))
    async with client(secure, trusting).page("run") as page:
        await page.open("/page")
        trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
        old = _current(trusting)
    assert await _ended(old)
    await trusting.close()
    async with client(secure, warm).page("run") as page:
        with pytest.raises(ConnectError, match="certificate is not trusted") as caught:
            await page.open("/page")
    assert "ca_file" in str(caught.value.remedy)
    await runner.cleanup()


@pytest.mark.parametrize("settings", [replace(SETTINGS, recycle_after=0.001), replace(SETTINGS, memory=1)])
async def test_a_browser_past_its_bound_is_ended(settings: BrowserSettings) -> None:
    """An old or large browser goes when its last page is closed, with its processes and its files."""
    warm = WarmBrowser(settings)
    async with warm.lent() as chromium:
        processes, directory = chromium.processes(), chromium.directory
        assert len(processes) > 2
        assert chromium.memory() > 1 << 20
    assert await _ended(processes)
    assert not directory.exists()


async def test_runs_wait_for_their_turn(warm: WarmBrowser) -> None:
    """With a concurrency of one the second run waits, and after a while that is a trouble of the agent."""
    lent = WarmBrowser(replace(SETTINGS, turn_within=0.1))
    lent._current = warm._current
    async with lent.lent():
        with pytest.raises(InternalError, match="busy"):
            async with lent.lent():
                pass
    async with lent.lent():
        pass


async def test_a_missing_browser_is_a_matter_of_the_configuration(site: WebSite) -> None:
    """An executable that is not there is named, with what to do."""
    with pytest.raises(ConfigError, match="/nonexistent: there is no browser"):
        async with client(site, WarmBrowser(BrowserSettings(executable=Path("/nonexistent")))).page("run"):
            pass


@pytest.mark.parametrize(
    "wrong", [replace(SETTINGS, executable=Path("/bin/false")), replace(SETTINGS, directory=Path("/proc"))]
)
async def test_a_browser_that_does_not_start_is_ours(site: WebSite, wrong: BrowserSettings) -> None:
    """A browser that ends at once, or has nowhere to write, is a trouble of the agent with a remedy."""
    with pytest.raises(InternalError) as caught:
        async with client(site, WarmBrowser(wrong)).page("run"):
            pass
    assert caught.value.remedy


def _current(warm: WarmBrowser) -> list[psutil.Process]:
    assert warm._current is not None
    return warm._current.processes()


async def _ended(processes: list[psutil.Process]) -> bool:
    """Whether all of them end within half a minute."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, 30)
    return not alive
