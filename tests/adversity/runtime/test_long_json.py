"""The longest JSON that is read holds nobody up, whoever sent it, and a longer one is refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiohttp import web

from exporters.traefik_edge import EXPORTER as EDGE
from exporters.traefik_edge import Options as EdgeOptions
from probes.scripted_answers import Reply
from quaywatch.drivers.credential import Credential
from quaywatch.drivers.http import HttpAddress, HttpServer
from quaywatch.drivers.json_answers import MAX_JSON
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.drivers.odoo_web import WebSession
from quaywatch.errors import ParseError
from quaywatch.secret import Secret
from sandbox.process import LOOPBACK
from tests.adversity.runtime.test_loop_stays_free import HELD_AT_MOST, ROW, Watched

ROUTER: Final = {"name": "erp@file", "rule": "Host(`erp.example`)", "service": "odoo", "entryPoints": ["websecure"]}
PAGE: Final = b"""# TYPE traefik_router_requests_total counter
traefik_router_requests_total{code="200",method="GET",protocol="http",router="erp@file",service="odoo@file"} 1
"""
WITHIN: Final = 60.0


def answers(size: int) -> dict[str, bytes]:
    """What each path of a server answers, as long as it can be within so many bytes."""

    def rows(row: dict[str, Any]) -> list[dict[str, Any]]:
        return [row] * ((size - 200) // (len(json.dumps(row)) + 2))

    return {
        "/json/2/sale.order/search_read": json.dumps(rows(ROW)).encode(),
        "/web/session/authenticate": json.dumps({"result": {"uid": 7, "menus": rows(ROW)}}).encode(),
        "/web/session/get_session_info": json.dumps({"result": {"uid": 7}}).encode(),
        "/orders": json.dumps(rows(ROW)).encode(),
        "/api/http/routers": json.dumps(rows(ROUTER)).encode(),
        "/metrics": PAGE,
    }


@asynccontextmanager
async def serving(size: int) -> AsyncIterator[str]:
    """The address of such a server."""
    bodies = answers(size)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=bodies[request.path], content_type="application/json")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    try:
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def http(url: str) -> AsyncIterator[HttpServer]:
    """A driver of it."""
    server = HttpServer(HttpAddress(url=url, answer_within=WITHIN))
    try:
        yield server
    finally:
        await server.close()


async def by_json2(url: str) -> int:
    """Records over Odoo's RPC; how many they are."""
    place = OdooAddress(
        url=url, database="acme", login="probe", password=Secret("p"), api_key=Secret("k"), transport="json2",
        answer_within=WITHIN,
    )  # fmt: skip
    odoo = OdooServer(place)
    try:
        return len(await odoo.call("sale.order", "search_read", []))
    finally:
        await odoo.close()


async def by_web(url: str) -> int:
    """A session of Odoo's web client."""
    async with http(url) as server:
        session = WebSession(server, where=url, database="acme", login="probe", password=Credential(Secret("p")))
        return await session.log_in()


async def by_flow(url: str) -> int:
    """An answer that a flow of the user's own looks into; how many entries it has."""
    async with http(url) as server:
        return len(Reply(answer=await server.get("/orders")).content)


async def by_edge(url: str) -> int:
    """The hosts of the edge's routers; how many samples there are."""
    async with http(url) as server:
        return len([sample async for sample in EDGE.collect(server, EdgeOptions(), time.time)])


Way = Callable[[str], Awaitable[int]]
WAYS: Final[tuple[Way, ...]] = (by_json2, by_web, by_flow, by_edge)


@pytest.mark.parametrize("way", WAYS)
async def test_the_longest_json_holds_nobody_up(way: Way) -> None:
    """It is read whole, and takes the loop for a moment only."""
    async with serving(MAX_JSON) as url, Watched() as loop:
        assert await way(url) > 0
    assert loop.held < HELD_AT_MOST


@pytest.mark.parametrize("way", WAYS)
async def test_a_longer_one_is_refused_with_a_remedy(way: Way) -> None:
    """Before anybody parses it; the loop is as free."""
    async with serving(2 * MAX_JSON) as url, asyncio.timeout(WITHIN):
        with pytest.raises(ParseError, match=f"longer than {MAX_JSON} bytes") as caught:
            await way(url)
    assert caught.value.remedy
