"""Servers made of canned answers, and one reading of an exporter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from quaywatch.contract import Exporter, Postgres, Redis, Row, Value

Reading = dict[tuple[str, ...], Value]
"""Values by metric name and attribute values."""


class CannedPostgres:
    """A session that knows the answer to each statement; one it was not told of is a mistake of the exporter."""

    def __init__(self, answers: Mapping[str, Sequence[Row]], version: int) -> None:
        self._answers = answers
        self.version = version
        self.database = "acme"

    async def fetch(self, sql: str, *_arguments: Any) -> Sequence[Row]:
        """The canned rows."""
        return self._answers[sql]


class CannedRedis:
    """A server with one canned ``INFO``; a command it was not told of is a mistake of the exporter."""

    def __init__(self, info: Mapping[str, str], answers: Mapping[tuple[str | int, ...], Any] | None = None) -> None:
        self._info = info
        self._answers = answers or {}

    async def ping(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """Nothing is open."""

    async def info(self, *_sections: str) -> Mapping[str, str]:
        """The canned answer."""
        return self._info

    async def command(self, *words: str | int) -> Any:
        """The canned answer; an error is raised."""
        answer = self._answers[words]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pipeline(self, *commands: Sequence[str | int]) -> Sequence[Any]:
        """The canned answers, errors among them."""
        return [self._answers[tuple(words)] for words in commands]


@pytest.fixture
def postgres() -> Callable[..., Postgres]:
    """Makes a session from answers by statement."""
    return lambda answers, version=150000: CannedPostgres(answers, version)


@pytest.fixture
def redis() -> Callable[..., Redis]:
    """Makes a server from its ``INFO`` and its answers by command."""
    return CannedRedis


@pytest.fixture
def read() -> Callable[..., Awaitable[Reading]]:
    """One reading of an exporter; a series that is yielded twice is a mistake."""

    async def once(
        exporter: Exporter[Any, Any, Any], driver: object, options: Any = None, state: Any = None
    ) -> Reading:
        found: Reading = {}
        async for sample in exporter.collect(driver, options or exporter.options(), state or exporter.state()):
            assert sample.metric in exporter.metrics
            key = (sample.metric.name, *sample.attributes)
            assert key not in found
            found[key] = sample.value
        return found

    return once
