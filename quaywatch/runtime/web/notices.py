"""What others tell the agent over HTTP: deployments that were made, and restore tests that were done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from quaywatch.clock import Clock
from quaywatch.contract import Meter, RestoreTest
from quaywatch.drivers.backup_reports import dump_restore_tests, newest, parse_restore_tests
from quaywatch.drivers.backups import read_bounded
from quaywatch.errors import ParseError
from quaywatch.runtime.catalogue import DEPLOYMENT_TIME, DEPLOYMENTS, NOTICES
from quaywatch.secret import Secret

from .deployments import Deployment, Result, Seen, read_deployment

DEPLOYMENTS_PATH: Final = "/v1/deployments"
RESTORE_TESTS_PATH: Final = "/v1/restore-tests"
LONGEST: Final = 64 * 1024
"""Bytes of a notice past which it is refused."""
READ_WITHIN: Final = 10.0
"""Seconds in which a notice has to arrive."""
MOST_TESTS: Final = 200
"""Things whose restore tests are kept."""
_AHEAD: Final = 300.0
"""Seconds by which another machine's clock may be ahead of ours."""
_OTHER: Final = "other"

_log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What became of a notice."""

    COUNTED = "counted"
    REPEATED = "repeated"
    """It was counted before."""
    IGNORED = "ignored"
    """It tells of nothing that ended."""
    REFUSED = "refused"


class Notices:
    """Takes notices from whoever has the token.

    Args:
        token: what a sender has to show, as ``Authorization: Bearer``.
        restore_tests: the file in which restore tests are kept; None when there are none to be told.
        meter: where what they tell is counted.
        clock: time.
        within: seconds in which a notice has to arrive.
    """

    def __init__(
        self,
        token: Secret,
        restore_tests: Path | None,
        meter: Meter,
        clock: Clock,
        *,
        within: float = READ_WITHIN,
    ) -> None:
        self.token = token
        self._within = within
        self._file = restore_tests
        self._meter = meter
        self._clock = clock
        self._seen = Seen()
        self._apps: set[tuple[str, str]] = set()
        self._writing = asyncio.Lock()
        for notice in ("deployment", "restore_test"):
            for outcome in Outcome:
                meter.add(NOTICES, 0, notice, outcome)

    @property
    def handlers(self) -> Mapping[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Who answers a POST to which path."""
        return {DEPLOYMENTS_PATH: self._deployment, RESTORE_TESTS_PATH: self._restore_test}

    async def _deployment(self, request: web.Request) -> web.Response:
        return await self._answered(request, "deployment", self._take_deployment)

    async def _restore_test(self, request: web.Request) -> web.Response:
        if self._file is None:
            text = "restore tests are not kept here: give a file in telemetry.http.notices.restore_tests\n"
            return web.Response(status=404, text=text)
        return await self._answered(request, "restore_test", partial(self._take_restore_tests, self._file))

    async def _answered(
        self, request: web.Request, notice: str, take: Callable[[bytes], Awaitable[Outcome]]
    ) -> web.Response:
        try:
            async with asyncio.timeout(self._within):
                body = await request.read()
            outcome = await take(body)
        except ParseError as error:
            self._meter.add(NOTICES, 1, notice, Outcome.REFUSED)
            return web.Response(status=400, text=f"{error}\n")
        except TimeoutError:
            self._meter.add(NOTICES, 1, notice, Outcome.REFUSED)
            return web.Response(status=408, text="the notice did not arrive whole in time\n")
        except OSError as error:
            _log.error("restore tests cannot be kept", file=str(self._file), error=error.strerror)
            return web.Response(status=507, text="it cannot be kept: the agent's log tells why\n")
        self._meter.add(NOTICES, 1, notice, outcome)
        return web.json_response({"outcome": outcome}, status=202)

    # --- deployments --------------------------------------------------------------------------------------------------

    async def _take_deployment(self, body: bytes) -> Outcome:
        told = read_deployment(body)
        if told is None or told.result is None:
            return Outcome.IGNORED
        if not self._seen.first(told, told.result):
            return Outcome.REPEATED
        self._count(told, told.result)
        _log.info(
            "deployment",
            **{
                "event.name": "quaywatch.deployment",
                "deployment.name": told.app,
                "deployment.status": told.result,
                "deployment.environment.name": told.environment or None,
                "service.version": told.revision,
                "source": told.source,
            },
        )
        return Outcome.COUNTED

    def _count(self, told: Deployment, result: Result) -> None:
        app, environment = self._placed(told)
        for one in Result:
            self._meter.add(DEPLOYMENTS, int(one is result), app, environment, one)
        self._meter.set(DEPLOYMENT_TIME, self._clock.time(), app, environment, result)

    def _placed(self, told: Deployment) -> tuple[str, str]:
        """The application's own series, while there is room for it."""
        who = (told.app, told.environment)
        if who not in self._apps and (len(self._apps) + 1) * len(Result) >= DEPLOYMENTS.budget:
            return _OTHER, ""
        self._apps.add(who)
        return who

    # --- restore tests ------------------------------------------------------------------------------------------------

    async def _take_restore_tests(self, file: Path, body: bytes) -> Outcome:
        told = parse_restore_tests(body)
        if any(test.ended > self._clock.time() + _AHEAD for test in told):
            raise ParseError("finished: it lies in the future; check the clocks of both sides")
        async with self._writing:
            return await asyncio.to_thread(_keep, file, told)


def _keep(file: Path, told: Sequence[RestoreTest]) -> Outcome:
    """Put the tests into the file, whole or not at all, and on the disk: who told of them is told that they are kept.

    Raises:
        ParseError: when there is no room for them.
        OSError: when it cannot be written.
    """
    known = _kept(file)
    tests = newest((*known, *told))
    if len({test.name for test in tests}) > MOST_TESTS:
        raise ParseError(f"name: tests of {MOST_TESTS} things are kept already; one of their names is expected")
    if set(tests) == set(known):
        return Outcome.REPEATED
    fresh = file.with_name(f".{file.name}.new")
    with fresh.open("wb") as new:
        new.write(dump_restore_tests(tests))
        new.flush()
        os.fsync(new.fileno())
    fresh.replace(file)
    _force_names(file.parent)
    return Outcome.COUNTED


def _force_names(directory: Path) -> None:
    """Put onto the disk what the files of a directory are called."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _kept(file: Path) -> tuple[RestoreTest, ...]:
    """The tests in the file; none when there is no file, or nothing of use in it."""
    try:
        return parse_restore_tests(read_bounded(file))
    except FileNotFoundError:
        return ()
    except ParseError as error:
        _log.warning("restore tests that were kept are lost", file=str(file), error=str(error))
        return ()
