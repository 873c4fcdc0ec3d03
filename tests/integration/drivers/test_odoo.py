"""The Odoo driver on Odoo 14 and 19."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio

from quaywatch.contract import Odoo as Contract
from quaywatch.drivers.odoo import OdooAddress, OdooServer
from quaywatch.errors import (
    AuthError,
    ConnectError,
    DeadlineError,
    FaultError,
    PermissionDeniedError,
    VersionError,
)
from quaywatch.secret import Secret
from sandbox.parts.odoo import Odoo
from sandbox.parts.postgres import sql
from sandbox.world import World

PARTS = ("odoo14", "odoo19")
Transport = Literal["xmlrpc", "json2"]


@dataclass(frozen=True)
class Case:
    """A running Odoo and the transport it is spoken to over."""

    version: int
    server: Odoo
    transport: Transport

    @property
    def address(self) -> OdooAddress:
        """How to log in as the probe's user."""
        return OdooAddress(
            url=self.server.url,
            database=self.server.database,
            login=self.server.login,
            password=Secret(self.server.password),
            api_key=Secret(self.server.api_key) if self.transport == "json2" else None,
            janitor_login=self.server.janitor_login,
            janitor_password=Secret(self.server.janitor_password),
            answer_within=30.0,
        )


@pytest.fixture(
    scope="module",
    params=[(14, "xmlrpc"), (19, "xmlrpc"), (19, "json2")],
    ids=lambda case: f"{case[0]}-{case[1]}",
)
def case(request: pytest.FixtureRequest, world: World) -> Case:
    """Each Odoo over each transport it has."""
    version, transport = request.param
    return Case(version, {14: world.odoo14, 19: world.odoo19}[version], transport)


@pytest_asyncio.fixture
async def erp(case: Case) -> AsyncIterator[OdooServer]:
    """The driver under test."""
    driver = OdooServer(case.address)
    yield driver
    await driver.close()


async def test_the_version_is_found(case: Case, erp: OdooServer) -> None:
    """Without a login; the driver is an Odoo of the contract."""
    contract: Contract = erp
    assert await contract.version() == case.version
    assert contract.database == case.server.database


async def test_visits_are_one_session(case: Case, erp: OdooServer, world: World) -> None:
    """A page is had without a login, and however often that happens, Odoo keeps one file of it at most."""
    sessions = world.state / f"odoo{case.version}" / "data" / "sessions"
    before = len(list(sessions.rglob("*.sess")))
    for _ in range(3):
        page = await erp.get("/web/login")
        assert (page.status, b"password" in page.body) == (200, True)
    assert len(list(sessions.rglob("*.sess"))) <= before + 1


async def test_a_ping_logs_in(erp: OdooServer) -> None:
    """The probe user's credentials work."""
    await erp.ping()


async def test_records_are_read(case: Case, erp: OdooServer) -> None:
    """Positional and named arguments mean the same over both transports."""
    domain = [["id", "=", case.server.partner_id]]
    by_position = await erp.call("res.partner", "search_read", domain, ["id"])
    by_name = await erp.call("res.partner", "search_read", domain=domain, fields=["id"], limit=1)
    assert by_position == by_name == [{"id": case.server.partner_id}]
    assert await erp.call("res.partner", "search_count", domain) == 1
    assert [row["id"] for row in await erp.call("res.partner", "read", [case.server.partner_id], ["id"])] == [
        case.server.partner_id
    ]


async def test_a_record_is_made_changed_and_erased(case: Case, erp: OdooServer) -> None:
    """One record in gives one id, a change is there, and the janitor may erase what the user may not."""
    order = await erp.call("sale.order", "create", {"partner_id": case.server.partner_id})
    assert isinstance(order, int)
    assert await erp.call("sale.order", "write", [order], {"client_order_ref": "changed"}) is True
    assert await erp.call("sale.order", "read", [order], ["client_order_ref"]) == [
        {"id": order, "client_order_ref": "changed"}
    ]
    janitor = erp.janitor()
    assert janitor is not None
    assert await janitor.call("sale.order", "unlink", [order]) is True
    assert await erp.call("sale.order", "search_count", [["id", "=", order]]) == 0


async def test_a_method_without_a_result_is_none(erp: OdooServer) -> None:
    """A None that XML-RPC cannot carry is no fault."""
    assert await erp.call("stock.picking", "do_unreserve", []) is None


async def test_a_wrong_password_is_an_auth_error(case: Case) -> None:
    """The error names the user, never the password."""
    wrong = Secret("wr0ng")
    address = replace(case.address, password=wrong, api_key=wrong if case.transport == "json2" else None)
    driver = OdooServer(address)
    with pytest.raises(AuthError) as caught:
        await driver.ping()
    assert "wr0ng" not in str(caught.value)
    await driver.close()


async def test_a_secret_is_read_at_each_call(case: Case, tmp_path: Path) -> None:
    """Row 24: a user id that is remembered does not hide that the secret is wrong now, and a right one works again."""
    path = tmp_path / "secret"
    right = (case.address.api_key or case.address.password).reveal()
    address = replace(case.address, api_key=Secret.of_file(path)) if case.transport == "json2" else case.address
    driver = OdooServer(replace(address, password=Secret.of_file(path)))
    path.write_text(right)
    await driver.ping()
    path.write_text("wr0ng")
    with pytest.raises(AuthError):
        await driver.ping()
    path.write_text(right)
    await driver.ping()
    await driver.close()


async def test_a_wrong_password_locks_nobody_out(case: Case, tmp_path: Path) -> None:
    """However often it is asked for, Odoo sees it once and takes the right one at once afterwards."""
    path = tmp_path / "secret"
    path.write_text("wr0ng")
    secret = Secret.of_file(path)
    driver = OdooServer(replace(case.address, password=secret, api_key=secret if case.address.api_key else None))
    for _ in range(20):
        with pytest.raises(AuthError):
            await driver.ping()
    path.write_text((case.address.api_key or case.address.password).reveal())
    await driver.ping()
    await driver.close()


async def test_a_user_may_ask_for_its_rights(case: Case, erp: OdooServer) -> None:
    """By whatever method its version has for it."""
    if case.version == 19:
        may = await erp.call("sale.order", "has_access", [], "create")
    else:
        may = await erp.call("sale.order", "check_access_rights", "create", raise_exception=False)
    assert may is True


async def test_what_the_user_may_not_do_is_a_permission_error(erp: OdooServer) -> None:
    """Rights are told from faults."""
    with pytest.raises(PermissionDeniedError):
        await erp.call("ir.config_parameter", "search_read", [], ["key"])


async def test_a_private_method_is_a_permission_error(erp: OdooServer) -> None:
    """So are methods that are not for callers from outside."""
    with pytest.raises(PermissionDeniedError):
        await erp.call("res.partner", "_compute_display_name", [1])


@pytest.mark.parametrize(
    "call",
    [
        ("no.model", "search", []),
        ("res.partner", "no_method", [1]),
        ("res.partner", "search_read", [["no_field", "=", 1]]),
    ],
    ids=["model", "method", "field"],
)
async def test_what_is_not_there_is_a_fault_of_one_line(erp: OdooServer, call: tuple[Any, ...]) -> None:
    """Of the server's traceback one short line is kept."""
    with pytest.raises(FaultError) as caught:
        await erp.call(*call)
    assert "\n" not in str(caught.value)
    assert "File " not in str(caught.value)


async def test_fields_tell_what_a_version_has(erp: OdooServer) -> None:
    """Version differences can be decided from the names."""
    assert {"name", "state", "client_order_ref"} <= await erp.fields("sale.order")
    with pytest.raises(VersionError):
        await erp.fields("no.model")


async def test_an_unknown_database_is_a_connect_error(case: Case) -> None:
    """The name is said."""
    driver = OdooServer(replace(case.address, database="nowhere"))
    with pytest.raises(ConnectError, match="nowhere"):
        await driver.ping()
    await driver.close()


async def test_calls_leave_one_login(case: Case, erp: OdooServer, world: World) -> None:
    """A driver logs in once over XML-RPC and never over JSON-2."""
    count = partial(sql, world.postgres, "select count(*) from res_users_log", case.server.database)
    before = int(count())
    for _ in range(3):
        await erp.ping()
    assert int(count()) - before == (1 if case.transport == "xmlrpc" else 0)


async def test_a_call_that_is_too_slow_ends(case: Case) -> None:
    """The caller's deadline holds whatever the server does."""
    driver = OdooServer(replace(case.address, answer_within=0.001))
    with pytest.raises(DeadlineError):
        await driver.ping()
    await driver.close()
