"""A small API server of Kubernetes that knows Lease objects, with the optimistic concurrency of the real one.

No real API server can be had in the tests. This one is held to what the API's conventions promise: a version that
changes with each write, 409 for a write that names another version and for a name that is taken, 404 for what is not
there, 401 without the token, 403 without the right, and objects that come back whole.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


class LeaseApi:
    """The server; what it holds, and what a test lets it do."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.token = "first"
        self.allowed = True
        self.answers = asyncio.Event()
        """While this is not set, requests are accepted and not answered."""
        self.answers.set()
        self.url = ""
        self._version = 0

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[None]:
        """Listen on loopback."""
        application = web.Application(middlewares=[self._guard])
        application.router.add_post(_LEASES, self._create)
        application.router.add_get(_LEASES + "/{name}", self._read)
        application.router.add_put(_LEASES + "/{name}", self._update)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            self.answers.set()
            await runner.cleanup()

    def spec(self, name: str = "quaywatch", namespace: str = "monitoring") -> dict[str, Any]:
        """What an object says."""
        spec: dict[str, Any] = self.objects[namespace, name]["spec"]
        return spec

    def touch(self, name: str = "quaywatch", namespace: str = "monitoring") -> None:
        """Change an object as somebody does who labels it."""
        found = self.objects[namespace, name]
        found["metadata"]["labels"] = {"team": "logistics"}
        self._written(found)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        await self.answers.wait()
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401)
        if not self.allowed:
            return _status(403)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _create(self, request: web.Request) -> web.Response:
        made = await request.json()
        key = (request.match_info["namespace"], made["metadata"]["name"])
        if key in self.objects:
            return _status(409)
        self.objects[key] = made
        return web.json_response(self._written(made), status=201)

    async def _read(self, request: web.Request) -> web.Response:
        found = self.objects.get((request.match_info["namespace"], request.match_info["name"]))
        return _status(404) if found is None else web.json_response(found)

    async def _update(self, request: web.Request) -> web.Response:
        key, given = (request.match_info["namespace"], request.match_info["name"]), await request.json()
        found = self.objects.get(key)
        if found is None:
            return _status(404)
        if given["metadata"].get("resourceVersion") != found["metadata"]["resourceVersion"]:
            return _status(409)
        self.objects[key] = given
        return web.json_response(self._written(given))

    def _written(self, one: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        one["metadata"]["resourceVersion"] = str(self._version)
        return copy.deepcopy(one)


def _status(code: int) -> web.Response:
    return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}, status=code)
