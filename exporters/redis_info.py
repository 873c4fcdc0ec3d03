"""Reading the answers of a Redis or Valkey: what it reports becomes samples, what it does not report stays absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quaywatch.contract import Metric, Redis, Sample
from quaywatch.errors import ParseError


def number(info: Mapping[str, str], key: str) -> int | float:
    """The number that ``key`` has; whole ones stay whole.

    Raises:
        ParseError: when it is none, or not there.
    """
    text = info.get(key, "")
    try:
        return float(text) if "." in text else int(text)
    except ValueError as error:
        raise ParseError(f"INFO says {key}:{text[:40]!r}, a number was expected") from error


def plain(info: Mapping[str, str], metrics: Mapping[str, Metric]) -> Iterator[Sample]:
    """A sample for each of these keys that the server reports.

    Raises:
        ParseError: when one of them is no number.
    """
    return (metric(number(info, key)) for key, metric in metrics.items() if key in info)


def words(info: Mapping[str, str], metrics: Mapping[str, tuple[Metric, str]]) -> Iterator[Sample]:
    """1 for each of these keys that has the word given beside its metric, 0 for one that has another word."""
    return (metric(int(info[key] == word)) for key, (metric, word) in metrics.items() if key in info)


def fields(line: str) -> dict[str, str]:
    """What a value such as ``keys=1,expires=0`` holds."""
    pairs = (pair.partition("=") for pair in line.split(","))
    return {name: value for name, equals, value in pairs if equals}


def pairs(answer: Sequence[Any]) -> dict[str, Any]:
    """What a list of names and values in turn means."""
    each = iter(answer)
    return dict(zip(each, each, strict=True))


async def is_sentinel(server: Redis) -> bool:
    """Whether this is a Sentinel, which holds no data and lacks the commands about it."""
    info = await server.info("server")
    return "sentinel" in (info.get("redis_mode"), info.get("server_mode"))  # Valkey has the latter
