"""The browser: how a probe uses a web client as its user does."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A login form, by selectors.

    ``accepted`` appears after a good login, each of ``refused`` after a bad one, with what that means. ``farewell`` is
    a path that logs out: it is loaded at the end of the session, however that ends.
    """

    login_field: str
    password_field: str
    accepted: str
    refused: Mapping[str, str] = field(default_factory=dict)
    farewell: str = ""


class Page(Protocol):
    """One page of a fresh browser session.

    Selectors are Playwright's: CSS with ``:visible`` and ``:has-text``, or XPath. Every call is bounded and raises
    `errors.TargetError`, or `errors.InternalError` where the browser itself is in trouble.
    """

    async def open(self, path: str) -> None:
        """Load a path of the site anew, whatever is shown now.

        Raises:
            ConnectError: when nobody answers, or a proxy does instead.
            FaultError: for an answer of 400 or above.
        """
        ...

    async def sign_in(self, form: SignIn) -> None:
        """Log in as the target's user. A refusal is remembered, as the RPC driver does.

        Raises:
            AuthError: when the login is refused.
            ConfigError: when the target has no password.
        """
        ...

    async def wait(self, *selectors: str) -> str:
        """Wait until an element matches one of these, hidden or not, and answer which; of several the first named."""
        ...

    async def settle(self) -> None:
        """Wait until the page has no question to its server under way, and none follows."""
        ...

    async def click(self, selector: str) -> None:
        """Click the first element that matches, when it can be clicked."""
        ...

    async def fill(self, selector: str, text: str) -> None:
        """Replace what stands in the first field that matches."""
        ...

    async def text(self, selector: str) -> str:
        """What is written in the first element that matches."""
        ...

    async def download(self, selector: str) -> bytes:
        """Click, and answer the file that this downloads."""
        ...


class Browser(Protocol):
    """A web client as one user."""

    @property
    def database(self) -> str:
        """The tenant database."""
        ...

    def page(self, run: str) -> AbstractAsyncContextManager[Page]:
        """A page of a fresh session without cookies. What is kept of a block that fails is named after ``run``.

        Raises:
            ConfigError: when there is no browser.
            InternalError: when the browser does not start.
        """
        ...
