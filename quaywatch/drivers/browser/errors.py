"""What Playwright raises, in errors of ours. Its own words are not repeated: they hold what was typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.async_api import Error, TimeoutError  # noqa: A004 - Playwright's name

from quaywatch.errors import ConnectError, DeadlineError, InternalError, QuaywatchError

_NET: Final = re.compile(r"net::(ERR_[A-Z_]+)")
_WORDS: Final = {
    "ERR_CONNECTION_REFUSED": ("nobody listens there", "check the url of this target, and that the server runs"),
    "ERR_NAME_NOT_RESOLVED": ("the name is unknown", "check the host name and the name server"),
    "ERR_CONNECTION_RESET": ("the connection was cut", "see the log at the other end"),
    "ERR_EMPTY_RESPONSE": ("the connection was cut", "see the log at the other end"),
    "ERR_ADDRESS_UNREACHABLE": ("the host cannot be reached", "check routes and firewalls"),
    "ERR_CONNECTION_TIMED_OUT": ("the host does not answer", "check routes and firewalls"),
}
_CERTIFICATE: Final = ("its certificate is not trusted", "name its authority's certificate in the target's ca_file")
_CRASHED: Final = (
    "the page crashed",
    "give the agent more memory, or set browser.dev_shm to false",
)
_GONE: Final = ("the browser ended in the middle", "look for an out-of-memory kill; the next run starts a new one")


@contextmanager
def browser_errors(what: str, within: float) -> Iterator[None]:
    """Map what Playwright raises in the block.

    Args:
        what: what is being done, for the message.
        within: the seconds that the block was given, for the message.

    Raises:
        DeadlineError: when it took too long.
        ConnectError: when a page could not be had.
        InternalError: when page or browser died, or for a defect of ours.
    """
    try:
        yield
    except TimeoutError as error:
        raise DeadlineError(f"{what}: not within {within:g} s") from error
    except Error as error:
        raise _meant(error, what) from error


def _meant(error: Error, what: str) -> QuaywatchError:
    text = str(error)
    if found := _NET.search(text):
        said, remedy = _network(found[1])
        return ConnectError(f"{what}: {said}", remedy=remedy, code=found[1])
    if "crashed" in text:
        return InternalError(f"{what}: {_CRASHED[0]}", remedy=_CRASHED[1])
    if "has been closed" in text or "Connection closed" in text:
        return InternalError(f"{what}: {_GONE[0]}", remedy=_GONE[1])
    return InternalError(f"{what}: the browser refuses it")


def _network(code: str) -> tuple[str, str]:
    if code.startswith("ERR_CERT"):
        return _CERTIFICATE
    return _WORDS.get(code, (f"no connection ({code})", "check the url of this target"))
