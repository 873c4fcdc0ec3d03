"""An Odoo that answers by a script, as real servers do."""

from __future__ import annotations

import json
import xmlrpc.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from quaywatch.drivers.http import HttpAnswer
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.errors import AuthError
from quaywatch.secret import Secret

ADDRESS = OdooAddress(url="http://odoo", database="acme", login="probe", password=Secret("hunter2"))
Answer = Callable[[tuple[Any, ...]], HttpAnswer]


def xml(value: Any) -> HttpAnswer:
    """An XML-RPC answer, or fault."""
    response = value if isinstance(value, xmlrpc.client.Fault) else (value,)
    body = xmlrpc.client.dumps(response, methodresponse=True, allow_none=True)
    return HttpAnswer(200, body.encode(), 0.01, "text/xml")


def page(status: int) -> HttpAnswer:
    """A page for people."""
    return HttpAnswer(status, b"<!DOCTYPE html><html>Log in</html>", 0.01, "text/html")


def as_json(value: Any, status: int = 200) -> HttpAnswer:
    """A JSON answer."""
    return HttpAnswer(status, json.dumps(value).encode(), 0.01, "application/json")


@dataclass
class ScriptedOdoo:
    """Plays a server: answers by XML-RPC method or path, and remembers what it was asked."""

    answers: dict[str, list[HttpAnswer]]
    asked: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    async def get(self, path: str) -> HttpAnswer:
        """The next answer to a GET."""
        return self._next(path, None)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """The next answer to a POST."""
        self.headers.append(headers)
        if path.startswith("/xmlrpc"):
            parameters, method = xmlrpc.client.loads(body)
            return self._next(str(method), parameters)
        return self._next(path, json.loads(body))

    async def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HttpAnswer:
        """The next answer to any other request."""
        self.headers.append(headers)
        return self._next(f"{method} {path}", body)

    async def close(self) -> None:
        """Nothing is open."""

    def _next(self, key: str, what: Any) -> HttpAnswer:
        self.asked.append((key, what))
        answers = self.answers[key]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def count(self, key: str) -> int:
        """How often this was asked."""
        return [asked for asked, _ in self.asked].count(key)


async def refused(odoo: OdooServer) -> AuthError:
    """The refusal that a ping ends with."""
    with pytest.raises(AuthError) as caught:
        await odoo.ping()
    return caught.value
