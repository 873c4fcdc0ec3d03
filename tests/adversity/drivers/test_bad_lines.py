"""Every driver against black holes, cut lines and nonsense: bounded, mapped, and nothing left open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from quaywatch.contract import Driver
from quaywatch.drivers.http import HttpAddress, HttpServer
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.drivers.redis import RedisAddress, RedisServer
from quaywatch.drivers.trust import Trust
from quaywatch.errors import ConnectError, DeadlineError, ParseError, TargetError
from quaywatch.secret import Secret

Listen = Callable[..., Awaitable[int]]
Make = Callable[..., Driver]
"""Makes a driver to a port, which gives up after so many seconds."""

WITHIN = 0.5
PATIENT = 10.0
"""For what ends long before, however busy the machine is."""
SLACK = 3.0


def postgres(port: int, within: float = WITHIN) -> Driver:
    """A cluster that takes TLS where it is offered."""
    return PostgresCluster(PostgresAddress(host="127.0.0.1", port=port, connect_within=within, answer_within=within))


def postgres_tls(port: int, within: float = WITHIN) -> Driver:
    """A cluster that insists on TLS."""
    return PostgresCluster(
        PostgresAddress(host="127.0.0.1", port=port, ssl=Trust(), connect_within=within, answer_within=within)
    )


def redis(port: int, within: float = WITHIN) -> Driver:
    """A Redis with a password."""
    return RedisServer(
        RedisAddress(host="127.0.0.1", port=port, password=Secret("x"), connect_within=within, answer_within=within)
    )


def redis_tls(port: int, within: float = WITHIN) -> Driver:
    """A Redis over TLS."""
    return RedisServer(
        RedisAddress(host="127.0.0.1", port=port, ssl=Trust(), connect_within=within, answer_within=within)
    )


def http(port: int, within: float = WITHIN) -> Driver:
    """A plain web server."""
    return HttpServer(HttpAddress(url=f"http://127.0.0.1:{port}", answer_within=within))


def https(port: int, within: float = WITHIN) -> Driver:
    """A web server over TLS."""
    return HttpServer(HttpAddress(url=f"https://127.0.0.1:{port}", answer_within=within))


def odoo(port: int, within: float = WITHIN) -> Driver:
    """An Odoo over XML-RPC."""
    return OdooServer(
        OdooAddress(
            url=f"http://127.0.0.1:{port}", database="db", login="l", password=Secret("p"), answer_within=within
        )
    )


def odoo_json2(port: int, within: float = WITHIN) -> Driver:
    """An Odoo over JSON-2."""
    return OdooServer(
        OdooAddress(
            url=f"http://127.0.0.1:{port}",
            database="db",
            login="l",
            password=Secret("p"),
            api_key=Secret("k"),
            transport="json2",
            answer_within=within,
        )
    )


MAKERS: tuple[Make, ...] = (postgres, postgres_tls, redis, redis_tls, http, https, odoo, odoo_json2)
HTTP_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 100\r\n\r\n<?xml"
HALF_SPOKEN: tuple[tuple[Make, tuple[bytes, ...]], ...] = (
    (postgres, (b"N", b"R\x00\x00\x00\x08\x00\x00")),
    (postgres, (b"N", b"R\x00\x00\x00\x08\x00\x00\x00\x00S\x00\x00\x00\x16")),
    (postgres, (b"S",)),
    (postgres_tls, (b"S", b"\x16\x03\x03\x00\x7a\x02")),
    (redis, (b"+O",)),
    (redis, (b"+OK\r\n", b"+OK\r\n", b"$100\r\nhalf")),
    (redis_tls, (b"\x16\x03\x03\x00\x7a\x02",)),
    (http, (HTTP_HEAD,)),
    (https, (b"\x16\x03\x03\x00\x7a\x02",)),
    (odoo, (HTTP_HEAD,)),
    (odoo_json2, (HTTP_HEAD,)),
)
"""A driver, and the beginning of an answer that never ends."""

NONSENSE = [
    (make, answer)
    for make in MAKERS
    for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR no\r\n", b"\x00" * 64, b"220 ready\r\n")
    if make is not http or not answer.startswith(b"HTTP")
]
"""A driver, and what a server of another protocol says to it."""


@asynccontextmanager
async def bounded(driver: Driver, seconds: float = WITHIN + SLACK) -> AsyncIterator[Driver]:
    """The block ends in so many seconds and the driver's closing costs no more than a moment."""
    started = time.monotonic()
    try:
        yield driver
        assert time.monotonic() - started < seconds
    finally:
        closing = time.monotonic()
        await driver.close()
        assert time.monotonic() - closing < SLACK


@pytest.mark.parametrize("make", MAKERS)
async def test_a_black_hole_ends_in_a_deadline(make: Make, listen: Listen) -> None:
    """A server that accepts and never answers costs the deadline and no more."""
    async with bounded(make(await listen())) as driver:
        with pytest.raises(DeadlineError):
            await driver.ping()


@pytest.mark.parametrize(("make", "replies"), HALF_SPOKEN)
async def test_half_an_answer_ends_in_a_deadline(make: Make, replies: tuple[bytes, ...], listen: Listen) -> None:
    """A server that falls silent in the middle of an answer costs the deadline and no more."""
    async with bounded(make(await listen(*replies))) as driver:
        with pytest.raises(DeadlineError):
            await driver.ping()


@pytest.mark.parametrize(("make", "replies"), HALF_SPOKEN)
async def test_a_line_cut_in_an_answer_is_a_connect_error(
    make: Make, replies: tuple[bytes, ...], listen: Listen
) -> None:
    """A server that cuts the line in the middle of an answer is a ConnectError at once."""
    async with bounded(make(await listen(*replies, cut=True), PATIENT), seconds=SLACK) as driver:
        with pytest.raises(ConnectError):
            await driver.ping()


@pytest.mark.parametrize("make", MAKERS)
async def test_a_refused_port_is_a_connect_error(make: Make, refused_port: int) -> None:
    """Where nobody listens, that is said at once."""
    async with bounded(make(refused_port, PATIENT), seconds=SLACK) as driver:
        with pytest.raises(ConnectError, match="nobody listens"):
            await driver.ping()


@pytest.mark.parametrize(("make", "nonsense"), NONSENSE)
async def test_nonsense_is_an_error_of_ours(make: Make, nonsense: bytes, listen: Listen) -> None:
    """Whatever another protocol answers becomes an error of the tree, within the deadline."""
    async with bounded(make(await listen(nonsense, nonsense, cut=True))) as driver:
        with pytest.raises(TargetError):
            await driver.ping()


@pytest.mark.parametrize(
    "driver_at",
    [
        lambda port: PostgresCluster(PostgresAddress(host="127.0.0.1", port=port, connect_within=WITHIN)),
        lambda port: RedisServer(RedisAddress(host="127.0.0.1", port=port, connect_within=WITHIN)),
    ],
    ids=["postgres", "redis"],
)
async def test_ten_readers_of_a_dead_server_fail_together(driver_at: Make, listen: Listen) -> None:
    """Who waits for the connection shares its failure: ten take as long as one, although each had longer."""
    async with bounded(driver_at(await listen())) as driver:
        outcomes = await asyncio.gather(*(driver.ping() for _ in range(10)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DeadlineError] * 10


@pytest.mark.parametrize("make", MAKERS)
async def test_a_cancelled_caller_stays_cancelled(make: Make, listen: Listen) -> None:
    """Cancellation is not turned into an error, and its connection is let go of."""
    async with bounded(make(await listen(), PATIENT)) as driver:
        with pytest.raises(TimeoutError) as caught:
            await asyncio.wait_for(driver.ping(), WITHIN / 2)
        assert not isinstance(caught.value, TargetError)


async def test_an_endless_answer_is_refused(listen: Listen) -> None:
    """An answer is read up to a bound only."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n"
    port = await listen(head + b"x" * (17 * 1024 * 1024))
    driver = HttpServer(HttpAddress(url=f"http://127.0.0.1:{port}", answer_within=60.0))
    async with bounded(driver, seconds=60.0):
        with pytest.raises(ParseError, match="longer than"):
            await driver.get("/")
