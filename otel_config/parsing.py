"""Texts of configuration, parsed. A ValueError says what is wrong and what is allowed, and never shows a secret."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from quaywatch.secret import Secret

T = TypeVar("T")
Parse = Callable[[str], T]
"""From text to value; ValueError when it is not allowed."""

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_BARE_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[^\s:/@]+):\d{1,5}")
_PAIRS: Final = "name=value pairs with commas between them, percent-encoded"


def text(value: str) -> str:
    """The text itself."""
    return value


def one_of(allowed: Mapping[str, T]) -> Parse[T]:
    """One of these words, in any case of letters."""

    def parse(value: str) -> T:
        if value.lower() not in allowed:
            raise ValueError(f"{value!r} is not supported, allowed: {', '.join(allowed)}")
        return allowed[value.lower()]

    return parse


flag: Final = one_of({"true": True, "false": False})
exporter: Final = one_of({"otlp": "otlp", "none": "none"})


def milliseconds(value: str) -> float:
    """A positive whole number of milliseconds, as seconds."""
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise ValueError(f"{value!r} is no time, allowed: a whole number of milliseconds above 0")
    return int(value) / 1000


def share(value: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise ValueError(f"{value!r} is no share, allowed: a number from 0 to 1")
    return number


def file(value: str) -> Path | None:
    """A file that can be read."""
    path = Path(value)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{value!r} cannot be read ({error.strerror}), allowed: a PEM file") from error
    return path


def endpoint(value: str, *, with_scheme: bool) -> str:
    """An address to send to: a URL, or ``host:port`` where the protocol needs no scheme."""
    allowed = "http://host:port or https://host:port" + ("" if with_scheme else ", or host:port")
    if "@" in value:
        raise ValueError(f"an address with a user in it, allowed: {allowed}, with credentials in the headers")
    if not _is_url(value) and (with_scheme or not _BARE_ADDRESS.fullmatch(value)):
        raise ValueError(f"{value!r} is no address, allowed: {allowed}")
    return value


def _is_url(value: str) -> bool:
    parts = urlsplit(value)
    try:
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def headers(value: str) -> tuple[tuple[str, Secret], ...]:
    """``name=value`` pairs as request headers."""
    return tuple(_header(name, content) for name, content in _pairs(value))


def _header(name: str, value: str) -> tuple[str, Secret]:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header, allowed: {_PAIRS}")
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"the value of {name!r} does not fit into a header, allowed: printable ASCII")
    return name, Secret(value)


def resource(value: str) -> tuple[tuple[str, str], ...]:
    """``name=value`` pairs as resource attributes."""
    return tuple(_pairs(value))


def _pairs(value: str) -> Iterator[tuple[str, str]]:
    for number, item in enumerate(value.split(","), start=1):
        name, separator, content = item.partition("=")
        if not item.strip():
            continue
        if not separator or not name.strip():
            raise ValueError(f"pair {number} is not a name, '=' and a value, allowed: {_PAIRS}")
        yield unquote(name.strip()), unquote(content.strip())
