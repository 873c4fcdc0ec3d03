"""Odoo's JSON-2 against scripted answers: names of arguments, keys, kinds of answers, and which transport is taken."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from quaywatch.drivers.http import HttpAnswer
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.drivers.odoo_json2 import named_arguments
from quaywatch.errors import (
    AuthError,
    ConnectError,
    FaultError,
    InternalError,
    ParseError,
    PermissionDeniedError,
    TargetError,
    VersionError,
)
from quaywatch.secret import Secret
from tests.unit.drivers.scripted_odoo import ScriptedOdoo, as_json, page, refused, xml


def json2_that(path: str, answer: HttpAnswer) -> tuple[OdooServer, ScriptedOdoo]:
    """An Odoo 19 with an API key that gives this answer on this path."""
    address = OdooAddress(
        url="http://odoo",
        database="acme",
        login="probe",
        password=Secret("p"),
        api_key=Secret("k3y"),
        transport="json2",
    )
    server = ScriptedOdoo({path: [answer]})
    return OdooServer(address, http=server), server


async def test_json2_names_the_arguments_and_sends_the_key() -> None:
    """The call arrives as JSON-2 wants it."""
    odoo, server = json2_that("/json/2/sale.order/write", as_json(value=True))
    assert await odoo.call("sale.order", "write", 4, {"note": "x"}, context={"a": 1}) is True
    assert server.asked[-1][1] == {"ids": [4], "vals": {"note": "x"}, "context": {"a": 1}}
    assert server.headers[-1]["Authorization"] == "bearer k3y"
    assert server.headers[-1]["X-Odoo-Database"] == "acme"


async def test_json2_tries_a_refused_key_once() -> None:
    """Its refusal is remembered as that of a password."""
    odoo, server = json2_that("/json/2/res.users/search_count", as_json({"message": "Invalid apikey"}, 401))
    for _ in range(3):
        await refused(odoo)
    assert len(server.asked) == 1


async def test_json2_creates_one_record_as_execute_kw_does() -> None:
    """One dictionary in, one id out."""
    odoo, server = json2_that("/json/2/m/create", as_json([11]))
    assert await odoo.call("m", "create", {"name": "x"}) == 11
    assert server.asked[-1][1] == {"vals_list": [{"name": "x"}]}


async def test_json2_creates_several_records_as_execute_kw_does() -> None:
    """A list in, a list out."""
    odoo, _ = json2_that("/json/2/m/create", as_json([11, 12]))
    assert await odoo.call("m", "create", [{}, {}]) == [11, 12]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (as_json({"name": "x", "message": "Invalid apikey", "debug": "Traceback"}, 401), AuthError, "login of probe"),
        (as_json({"name": "x", "message": "Not allowed\nmore"}, 403), PermissionDeniedError, "Not allowed"),
        (as_json({"name": "x", "message": "the model 'm' does not exist"}, 404), FaultError, "does not exist"),
        (as_json({"name": "x", "message": "missing argument"}, 422), FaultError, "missing argument"),
        (as_json({"name": "x", "message": "boom", "debug": "Traceback"}, 500), FaultError, "boom"),
        (page(404), ConnectError, "no database acme"),
        (page(502), ConnectError, "proxy"),
        (as_json({"message": "gateway"}, 503), ConnectError, "proxy"),
        (page(200), ParseError, "HTTP 200"),
        (page(303), ParseError, "HTTP 303"),
        (HttpAnswer(200, b"{", 0.0, "application/json"), ParseError, "not JSON"),
        (as_json([], 500), FaultError, "HTTP 500"),
    ],
)
async def test_each_json2_answer_has_its_kind(answer: HttpAnswer, kind: type[TargetError], words: str) -> None:
    """Statuses decide; the traceback in the body goes nowhere."""
    odoo, _ = json2_that("/json/2/m/a", answer)
    with pytest.raises(kind, match=words) as caught:
        await odoo.call("m", "a", [1])
    assert type(caught.value) is kind
    assert "Traceback" not in str(caught.value)


async def test_json2_tells_a_missing_model() -> None:
    """fields() says the same over both transports."""
    odoo, _ = json2_that("/json/2/no.model/fields_get", as_json({"message": "the model does not exist"}, 404))
    with pytest.raises(VersionError):
        await odoo.fields("no.model")


@pytest.mark.parametrize(
    ("version", "key", "transport", "path"),
    [
        (19, Secret("k"), "auto", "/json/2/m/a"),
        (18, Secret("k"), "auto", "execute_kw"),
        (19, None, "auto", "execute_kw"),
        (19, Secret("k"), "xmlrpc", "execute_kw"),
    ],
)
async def test_the_transport_follows_version_and_key(
    version: int, key: Secret | None, transport: Literal["auto", "xmlrpc"], path: str
) -> None:
    """JSON-2 is taken on 19 and later where a key is there and nothing else is asked for."""
    server = ScriptedOdoo(
        {
            "/web/version": [as_json({"version_info": [version]})],
            "/json/2/m/a": [as_json(1)],
            "authenticate": [xml(7)],
            "execute_kw": [xml(1)],
        }
    )
    address = OdooAddress(
        url="http://odoo", database="acme", login="p", password=Secret("p"), api_key=key, transport=transport
    )
    assert await OdooServer(address, http=server).call("m", "a") == 1
    assert server.asked[-1][0] == path


@pytest.mark.parametrize(
    ("method", "arguments", "named"),
    [
        ("search_read", ([], ["id"]), {"domain": [], "fields": ["id"]}),
        ("search_count", ([],), {"domain": []}),
        ("unlink", ([1, 2],), {"ids": [1, 2]}),
        ("action_confirm", (5,), {"ids": [5]}),
        ("read", ([1], ["name"]), {"ids": [1], "fields": ["name"]}),
        ("has_access", ([], "create"), {"ids": [], "operation": "create"}),
        ("fields_get", (), {}),
    ],
)
def test_positional_arguments_get_their_names(method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Everyday calls read the same over both transports."""
    assert named_arguments(method, arguments) == named


def test_an_argument_without_a_name_is_a_defect_of_ours() -> None:
    """It is not guessed."""
    with pytest.raises(InternalError, match="positional"):
        named_arguments("action_confirm", ([1], "x"))
