"""Odoo's driver against scripted answers, as real servers give them."""

from __future__ import annotations

import asyncio
import xmlrpc.client
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quaywatch.drivers.http import HttpAnswer
from quaywatch.drivers.odoo import OdooAddress, OdooServer, major_version
from quaywatch.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    FaultError,
    InternalError,
    ParseError,
    PermissionDeniedError,
    TargetError,
    VersionError,
)
from quaywatch.secret import Secret
from tests.unit.drivers.scripted_odoo import ADDRESS, ScriptedOdoo, as_json, page, refused, xml

NONE_FAULT = (
    "Traceback (most recent call last):\n  File ...\nTypeError: cannot marshal None unless allow_none is enabled\n"
)
UNKNOWN_DATABASE = 'Traceback ...\npsycopg2.OperationalError: FATAL:  database "acme" does not exist\n'


def odoo_that(*answers: Any, uid: Any = 7) -> tuple[OdooServer, ScriptedOdoo]:
    """An Odoo that logs the user in and gives these answers to its calls."""
    said = [answer if isinstance(answer, HttpAnswer) else xml(answer) for answer in answers]
    server = ScriptedOdoo({"authenticate": [xml(uid)], "execute_kw": said})
    return OdooServer(ADDRESS, http=server), server


async def test_a_call_is_execute_kw_as_the_user() -> None:
    """Positional and keyword arguments arrive as they were given."""
    odoo, server = odoo_that([1, 2])
    assert await odoo.call("sale.order", "search", [("id", ">", 0)], limit=2, context={"lang": "en_US"}) == [1, 2]
    assert server.asked[-1] == (
        "execute_kw",
        (
            "acme",
            7,
            "hunter2",
            "sale.order",
            "search",
            [[["id", ">", 0]]],
            {"limit": 2, "context": {"lang": "en_US"}},
        ),
    )


async def test_the_user_id_is_asked_once() -> None:
    """Each login writes a row on the server, so there is one."""
    odoo, server = odoo_that(1, 2)
    await odoo.call("m", "a")
    await odoo.call("m", "b")
    assert server.count("authenticate") == 1


async def test_a_wrong_password_is_an_auth_error() -> None:
    """Odoo's False is said in words, without the password."""
    odoo, server = odoo_that(1, uid=False)
    with pytest.raises(AuthError, match="login of probe") as caught:
        await odoo.ping()
    assert "hunter2" not in str(caught.value)
    assert server.count("execute_kw") == 0


async def test_a_refused_call_logs_in_again_once() -> None:
    """After a rotated password or a new user id the call succeeds at the second try."""
    odoo, server = odoo_that(xmlrpc.client.Fault(3, "Access Denied"), 5)
    assert await odoo.call("m", "a") == 5
    assert server.count("authenticate") == 2


async def test_a_call_that_stays_refused_is_an_auth_error() -> None:
    """There is no third try."""
    odoo, server = odoo_that(xmlrpc.client.Fault(3, "Access Denied"))
    with pytest.raises(AuthError):
        await odoo.call("m", "a")
    assert server.count("execute_kw") == 2


class HandClock:
    """Monotonic seconds that are set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def with_secret_in(path: Path, server: ScriptedOdoo, clock: HandClock) -> OdooServer:
    """A driver whose password is the text of a file."""
    return OdooServer(replace(ADDRESS, password=Secret.of_file(path)), http=server, monotonic=clock)


async def test_a_refused_password_is_tried_once(tmp_path: Path) -> None:
    """Odoo locks an address out after a few refusals: one is remembered for every call, and says so of Odoo."""
    path = tmp_path / "secret"
    path.write_text("wr0ng")
    server = ScriptedOdoo({"authenticate": [xml(value=False)], "execute_kw": [xml(1)]})
    odoo = with_secret_in(path, server, HandClock())
    errors = [await refused(odoo) for _ in range(5)]
    assert len({str(error) for error in errors}) == 1
    assert "cool-down" in errors[-1].remedy
    assert server.count("authenticate") == 1


async def test_a_new_password_is_tried_at_once(tmp_path: Path) -> None:
    """A refusal belongs to the text that was tried."""
    path = tmp_path / "secret"
    path.write_text("wr0ng")
    server = ScriptedOdoo({"authenticate": [xml(value=False), xml(7)], "execute_kw": [xml(1)]})
    odoo = with_secret_in(path, server, HandClock())
    await refused(odoo)
    path.write_text("right")
    await odoo.ping()
    assert server.count("authenticate") == 2


async def test_a_refusal_is_forgotten_after_ten_minutes(tmp_path: Path) -> None:
    """What changes at the server alone, such as the user's password, is seen in the end."""
    path, clock = tmp_path / "secret", HandClock()
    path.write_text("same")
    server = ScriptedOdoo({"authenticate": [xml(value=False), xml(7)], "execute_kw": [xml(1)]})
    odoo = with_secret_in(path, server, clock)
    await refused(odoo)
    clock.now = 599.0
    await refused(odoo)
    clock.now = 600.0
    await odoo.ping()


async def test_a_call_that_stayed_refused_is_not_sent_again() -> None:
    """Also where the login works and the call is refused, the server is asked no more."""
    odoo, server = odoo_that(xmlrpc.client.Fault(3, "Access Denied"))
    for _ in range(3):
        await refused(odoo)
    assert (server.count("authenticate"), server.count("execute_kw")) == (2, 2)


async def test_callers_that_wait_for_a_refused_login_do_not_try_it_too() -> None:
    """Ten readings at once cost one refusal."""
    odoo, server = odoo_that(1, uid=False)
    ends = await asyncio.gather(*(odoo.ping() for _ in range(10)), return_exceptions=True)
    assert {type(end) for end in ends} == {AuthError}
    assert server.count("authenticate") == 1


async def test_what_odoo_cannot_send_is_none() -> None:
    """A method that returned None did its work."""
    odoo, _ = odoo_that(xmlrpc.client.Fault(1, NONE_FAULT))
    assert await odoo.call("stock.picking", "do_unreserve", [3]) is None


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            xmlrpc.client.Fault(1, "Traceback ...\n  secret line\nValueError: Invalid field\n\n"),
            FaultError,
            "ValueError",
        ),
        (xmlrpc.client.Fault(1, "T\nTypeError: cannot marshal <class 'frozendict'> objects"), FaultError, "frozendict"),
        (xmlrpc.client.Fault(1, UNKNOWN_DATABASE), ConnectError, "no database acme"),
        (xmlrpc.client.Fault(2, "Not enough stock\nmore"), FaultError, "Not enough stock"),
        (xmlrpc.client.Fault(4, "You are not allowed\nmore"), PermissionDeniedError, "You are not allowed"),
        (page(200), ParseError, "not XML-RPC"),
        (page(303), ParseError, "HTTP 303"),
        (page(404), ParseError, "HTTP 404"),
        (page(500), ParseError, "HTTP 500"),
        (page(502), ConnectError, "proxy"),
        (page(503), ConnectError, "proxy"),
        (page(504), ConnectError, "proxy"),
        (HttpAnswer(200, b"", 0.0, "text/xml"), ParseError, "not XML-RPC"),
        (HttpAnswer(200, b"<methodResponse>", 0.0, "text/xml"), ParseError, "not XML-RPC"),
        (HttpAnswer(200, b"\xff\xfe\x00", 0.0, "text/xml"), ParseError, "not XML-RPC"),
    ],
)
async def test_each_answer_has_its_kind(answer: Any, kind: type[TargetError], words: str) -> None:
    """Fault codes and statuses decide; of a message one line is kept, of a traceback none but the last."""
    odoo, _ = odoo_that(answer)
    with pytest.raises(kind, match=words) as caught:
        await odoo.call("m", "a")
    assert type(caught.value) is kind
    assert "secret line" not in str(caught.value)
    assert "more" not in str(caught.value)


async def test_entities_are_never_expanded() -> None:
    """An answer with a document type is refused before it is parsed."""
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>' + xml("&b;").body.replace(b"&amp;", b"&")
    odoo, _ = odoo_that(HttpAnswer(200, bomb, 0.0, "text/xml"))
    with pytest.raises(ParseError):
        await odoo.call("m", "a")


@pytest.mark.parametrize("argument", [2**40, object(), "\ud800"])
async def test_an_argument_that_cannot_be_sent_is_a_defect_of_ours(argument: Any) -> None:
    """It is not blamed on the watched system."""
    odoo, _ = odoo_that(1)
    with pytest.raises(InternalError):
        await odoo.call("m", "a", argument)


async def test_fields_are_asked_once() -> None:
    """The names of the fields are remembered for each model."""
    odoo, server = odoo_that({"name": {}, "state": {}})
    assert await odoo.fields("sale.order") == await odoo.fields("sale.order") == {"name", "state"}
    assert server.count("execute_kw") == 1


async def test_a_model_that_is_not_there_is_a_version_error() -> None:
    """A module that is not installed is told from a fault."""
    odoo, _ = odoo_that(xmlrpc.client.Fault(2, "Object no.model doesn't exist"))
    with pytest.raises(VersionError, match=r"no\.model"):
        await odoo.fields("no.model")


@pytest.mark.parametrize(
    ("answers", "version"),
    [
        ({"/web/version": [as_json({"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"})]}, 19),
        (
            {
                "/web/version": [page(404)],
                "/web/webclient/version_info": [
                    as_json({"result": {"server_version_info": [14, 0, 0, "final", 0, ""]}})
                ],
            },
            14,
        ),
        (
            {
                "/web/version": [page(303)],
                "/web/webclient/version_info": [as_json({"result": {"server_version_info": ["saas~18", 2]}})],
            },
            18,
        ),
    ],
)
async def test_the_version_is_found_on_every_version(answers: dict[str, list[HttpAnswer]], version: int) -> None:
    """New servers have a page for it, old ones a JSON-RPC route; it is asked once."""
    server = ScriptedOdoo(answers)
    odoo = OdooServer(ADDRESS, http=server)
    assert await odoo.version() == await odoo.version() == version
    assert len(server.asked) == len(answers)


VERSIONS = [as_json({"version_info": [17, 0]}), as_json({"version_info": [18, 0]})]


async def test_an_upgrade_is_seen_after_ten_minutes() -> None:
    """What an Odoo is, is remembered; not for ever."""
    now = 0.0
    odoo = OdooServer(ADDRESS, http=ScriptedOdoo({"/web/version": [*VERSIONS]}), monotonic=lambda: now)
    assert await odoo.version() == 17
    now = 599.0
    assert await odoo.version() == 17
    now = 600.0
    assert await odoo.version() == 18


async def test_an_odoo_that_was_away_may_be_another() -> None:
    """After a ping that failed, version and fields are asked again."""
    calls = [xml({"name": {}}), page(502), xml({"locked": {}})]
    server = ScriptedOdoo({"/web/version": [*VERSIONS], "authenticate": [xml(7)], "execute_kw": calls})
    odoo = OdooServer(ADDRESS, http=server, monotonic=lambda: 0.0)
    assert (await odoo.version(), await odoo.fields("sale.order")) == (17, frozenset({"name"}))
    with pytest.raises(ConnectError):
        await odoo.ping()
    assert (await odoo.version(), await odoo.fields("sale.order")) == (18, frozenset({"locked"}))


async def test_a_server_without_a_version_is_no_odoo() -> None:
    """Somebody else's pages are a parse error."""
    odoo = OdooServer(
        ADDRESS, http=ScriptedOdoo({"/web/version": [page(200)], "/web/webclient/version_info": [page(200)]})
    )
    with pytest.raises(ParseError, match="version"):
        await odoo.version()


def test_a_version_without_a_number_is_refused() -> None:
    """There is no default version."""
    with pytest.raises(ValueError, match="no number"):
        major_version("master")


def test_the_janitor_is_there_where_it_is_configured() -> None:
    """The janitor is another user of the same database."""
    assert OdooServer(ADDRESS).janitor() is None
    address = OdooAddress(
        url="http://odoo",
        database="acme",
        login="p",
        password=Secret("p"),
        janitor_login="j",
        janitor_password=Secret("j"),
    )
    janitor = OdooServer(address).janitor()
    assert janitor is not None
    assert janitor.database == "acme"
    assert janitor.janitor() is None


@pytest.mark.parametrize("wrong", [{"transport": "json2"}, {"janitor_login": "j"}])
def test_an_address_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    """Half a configuration is said early."""
    with pytest.raises(ConfigError):
        OdooAddress(url="http://odoo", database="acme", login="p", password=Secret("p"), **wrong)


# --- JSON-2 -----------------------------------------------------------------------------------------------------------
