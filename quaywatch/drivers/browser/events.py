"""What goes wrong inside a page, as events of the span that goes on: errors of its scripts, and failed requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.trace import Span
from playwright.async_api import ConsoleMessage, Error, Page, Request, Response

MOST: Final = 20
"""Events that are kept of one page."""
_LONGEST: Final = 200
_BAD: Final = 400
_QUERY: Final = re.compile(r"(https?://[^\s?#\"'<>]+)[?#][^\s\"'<>]*")


class PageEvents:
    """Writes on a span what a page complains of, at most `MOST` times, without bodies and without queries.

    Args:
        page: who is listened to.
        span: the span that goes on.
    """

    def __init__(self, page: Page, span: Callable[[], Span]) -> None:
        self._span = span
        self._left = MOST
        page.on("console", self._console)
        page.on("pageerror", self._script)
        page.on("requestfailed", self._unanswered)
        page.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._say("browser.console", {"message": plain(message.text)})

    def _script(self, error: Error) -> None:
        self._say("browser.script_error", {"message": plain(error.message)})

    def _unanswered(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page itself left it
            self._say("browser.request_failed", {"url.full": bare(request.url), "error.type": request.failure or ""})

    def _answered(self, response: Response) -> None:
        if response.status >= _BAD:
            status = response.status
            self._say("browser.request_failed", {"url.full": bare(response.url), "http.response.status_code": status})

    def _say(self, name: str, attributes: Mapping[str, str | int]) -> None:
        if self._left:
            self._left -= 1
            self._span().add_event(name, attributes)


def bare(url: str) -> str:
    """An address without query, fragment, user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def plain(text: str) -> str:
    """The beginning of a message, its addresses without queries."""
    return _QUERY.sub(r"\1", text)[:_LONGEST]
