"""A web client in the agent's browser, as one user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quaywatch.contract import Page
from quaywatch.drivers.credential import Credential

from .settings import Site
from .warm import WarmBrowser


class SiteBrowser:
    """A site through the agent's browser, as one user.

    Args:
        site: where it is, and who logs in.
        warm: the browser.
    """

    def __init__(self, site: Site, warm: WarmBrowser) -> None:
        self._site = site
        self._warm = warm
        self._credential = Credential(site.password) if site.password is not None else None

    @property
    def database(self) -> str:
        """The tenant database."""
        return self._site.database

    @asynccontextmanager
    async def page(self, run: str) -> AsyncIterator[Page]:
        """A page of a fresh session; evidence of a block that fails is named after ``run``.

        Raises:
            ConfigError: when there is no browser.
            InternalError: when the browser does not start.
        """
        async with self._warm.lent() as chromium:
            from .page import opened_page  # noqa: PLC0415 - as above

            async with opened_page(chromium, self._site, self._credential, self._warm.settings, run) as page:
                yield page
