"""Trace context on the requests of a page: documents and RPC of origins that are named, and nothing else.

Playwright's own routing takes every request and turns the cache off. So the browser itself pauses requests by type and
address: a script, a style sheet or a picture never is, and the cache stays on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.propagate import inject
from playwright.async_api import CDPSession, Error

SYNTHETIC: Final = "synthetic"
"""The baggage by which whoever is asked knows a probe from a customer."""
_TYPES: Final = ("Document", "XHR", "Fetch")


class Propagation:
    """Adds ``traceparent`` and baggage to the requests of one page, where the page itself has none.

    Args:
        session: the page's own.
        origins: whose requests are touched, such as ``https://erp.example.com``.
        current: the context of the step that goes on.
    """

    def __init__(self, session: CDPSession, origins: Sequence[str], current: Callable[[], Context]) -> None:
        self._session = session
        self._origins = origins
        self._current = current
        self._answers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin."""
        self._session.on("Fetch.requestPaused", self._paused)
        await self._session.send("Fetch.enable", {"patterns": patterns(self._origins)})

    def _paused(self, event: Mapping[str, Any]) -> None:
        answer = asyncio.create_task(self._go_on(event))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    async def _go_on(self, event: Mapping[str, Any]) -> None:
        given: Mapping[str, str] = event["request"]["headers"]
        headers = traced(given, self._current())
        listed = [{"name": name, "value": value} for name, value in headers.items()]
        with suppress(Error):  # the page is closed, and the request with it
            await self._session.send("Fetch.continueRequest", {"requestId": event["requestId"], "headers": listed})


def patterns(origins: Sequence[str]) -> list[dict[str, str]]:
    """What is paused: documents and RPC of these origins."""
    return [{"urlPattern": f"{_literal(origin)}/*", "resourceType": kind} for origin in origins for kind in _TYPES]


def _literal(origin: str) -> str:
    return re.sub(r"([*?\\])", r"\\\1", origin)


def traced(given: Mapping[str, str], context: Context) -> dict[str, str]:
    """These headers with those of a trace, unless they have some."""
    if any(name.lower() == "traceparent" for name in given):
        return dict(given)
    added: dict[str, str] = {}
    inject(added, context=baggage.set_baggage(SYNTHETIC, "test", context))
    return {**given, **added}
