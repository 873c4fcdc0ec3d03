"""The bare scripts: order-create as a careful person writes it in an afternoon, without any of Quaywatch.

They make the calls and clicks that the probes make, the looking back included: who leaves that out measures that Odoo
said yes. What they lack is what Quaywatch adds: spans, deadlines, a verdict, metrics, a watch on each step.
"""

from __future__ import annotations

import re
import time
import uuid
import xmlrpc.client
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright, expect

from sandbox.parts.odoo import Odoo

_FIELDS: Final = {14: ["client_order_ref", "state", "picking_ids"]}
_FIELDS_19: Final = ["client_order_ref", "state", "locked", "picking_ids"]
_QUIETLY: Final = {"disable_cancel_warning": True, "mail_activity_automation_skip": True}
_ANSWER_WITHIN: Final = 30_000.0
"""Milliseconds that the browser waits."""


@dataclass
class User:
    """A log-in over XML-RPC, its connection kept open. ``calls`` counts what was asked."""

    server: Odoo
    login: str
    password: str
    calls: int = 0
    uid: int = field(init=False)
    proxy: xmlrpc.client.ServerProxy = field(init=False)

    def __post_init__(self) -> None:
        common = xmlrpc.client.ServerProxy(f"{self.server.url}/xmlrpc/2/common")
        with common:
            uid: Any = common.authenticate(self.server.database, self.login, self.password, {})
        self.uid = uid
        self.proxy = xmlrpc.client.ServerProxy(f"{self.server.url}/xmlrpc/2/object", allow_none=True)

    def ask(self, model: str, method: str, *arguments: Any, **keywords: Any) -> Any:
        """What a method returns."""
        self.calls += 1
        return self.proxy.execute_kw(self.server.database, self.uid, self.password, model, method, arguments, keywords)


class Script:
    """order-create on one Odoo."""

    def __init__(self, server: Odoo, version: int) -> None:
        self.took: dict[str, float] = {}
        """Seconds of each step of the last run."""
        self._server = server
        self._version = version
        self._probe = User(server, server.login, server.password)
        self._janitor = User(server, server.janitor_login, server.janitor_password)
        self._fields = _FIELDS.get(version, _FIELDS_19)

    @property
    def calls(self) -> int:
        """How many calls were made over RPC."""
        return self._probe.calls + self._janitor.calls

    def run(self) -> None:
        """Order, confirm, see the delivery; cancel and erase."""
        mark = f"bare/{uuid.uuid4()}"
        with self._step("create"):
            assert not self._orders(self._probe, "client_order_ref", mark)  # noqa: S101 - what the script is for
            line = (0, 0, {"product_id": self._server.product_id, "product_uom_qty": 1.0})
            values = {"partner_id": self._server.partner_id, "client_order_ref": mark, "order_line": [line]}
            self._probe.ask("sale.order", "create", values)
            (order,) = self._orders(self._probe, "client_order_ref", mark)
        with self._step("confirm"):
            self._probe.ask("sale.order", "action_confirm", [order["id"]])
            (order,) = self._orders(self._probe, "id", order["id"])
            assert order["state"] == "sale"  # noqa: S101 - as above
        with self._step("picking"):
            self._see_delivery(order)
        self._undo(mark)

    def _see_delivery(self, order: dict[str, Any]) -> None:
        domain = [("id", "in", order["picking_ids"])]
        states = [row["state"] for row in self._probe.ask("stock.picking", "search_read", domain, fields=["state"])]
        assert states, "no delivery"  # noqa: S101 - as above
        assert "cancel" not in states  # noqa: S101 - as above

    def _undo(self, mark: str) -> None:
        with self._step("cancel"):
            (order,) = self._orders(self._probe, "client_order_ref", mark)
            if self._version < 17:  # noqa: PLR2004 - where goods may be written as moved
                domain = [("picking_id", "in", order["picking_ids"]), ("state", "not in", ["done", "cancel"])]
                self._probe.ask("stock.move.line", "search_read", [*domain, ("qty_done", "!=", 0)], fields=["id"])
            self._probe.ask("sale.order", "action_cancel", [order["id"]], context=_QUIETLY)
            (order,) = self._orders(self._probe, "id", order["id"])
            assert order["state"] == "cancel"  # noqa: S101 - as above
        with self._step("erase"):
            self._erase(mark)

    def _erase(self, mark: str) -> None:
        (order,) = self._orders(self._janitor, "client_order_ref", mark)
        domain = [("id", "in", order["picking_ids"])]
        rows = self._janitor.ask("stock.picking", "search_read", domain, fields=["state"])
        for model, ids in (("stock.picking", [row["id"] for row in rows]), ("sale.order", [order["id"]])):
            self._janitor.ask(model, "unlink", ids)
            assert not self._janitor.ask(model, "search_count", [("id", "in", ids)])  # noqa: S101 - as above

    def _orders(self, user: User, name: str, value: Any) -> Any:
        return user.ask(
            "sale.order", "search_read", [(name, "=", value)], fields=self._fields, limit=100, order="id desc"
        )

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.took[name] = time.perf_counter() - began

    # --- in a browser

    async def click(self, browser: Browser, customer: str, product: str) -> None:
        """The same in the web client, looked at and undone over RPC."""
        mark, at = f"bare/{uuid.uuid4()}", _PLACES[self._version]
        with self._step("prepare"):
            context = await browser.new_context(viewport={"width": 1366, "height": 900}, locale="en-US")
            page = await context.new_page()
            page.set_default_timeout(_ANSWER_WITHIN)
        with self._step("login"):
            await self._log_in(page)
        with self._step("form"):
            await page.goto("about:blank")  # what differs only behind the # would not load
            await page.goto(self._server.url + at["new"], wait_until="commit")
            await page.locator(_field("partner_id")).first.wait_for()
            await _fill(page, at, mark, customer, product)
        with self._step("create"):
            await page.locator(".o_form_button_save:visible").first.click()
            await page.locator(at["saved"]).first.wait_for(state="attached")
            (order,) = self._orders(self._probe, "client_order_ref", mark)
        with self._step("confirm"):
            await page.locator("button[name=action_confirm]:visible").first.click()
            await page.locator(_SOLD).first.wait_for(state="attached")
        with self._step("picking"):
            await page.locator("button[name=action_view_delivery]:visible").first.wait_for()
            (order,) = self._orders(self._probe, "client_order_ref", mark)
            self._see_delivery(order)
        await page.goto(f"{self._server.url}/web/session/logout", wait_until="commit")
        await context.close()
        self._undo(mark)

    async def _log_in(self, page: Page) -> None:
        await page.goto(f"{self._server.url}/web/login?db={self._server.database}", wait_until="commit")
        await page.locator("input[name=login]").fill(self._server.login)
        await page.locator("input[name=password]").fill(self._server.password)
        await page.locator("input[name=password]").press("Enter")
        await page.locator(".o_main_navbar").first.wait_for(state="attached")


_LINE: Final = "[name=order_line] .o_selected_row"
_SOLD: Final = '.o_statusbar_status button[data-value="sale"][aria-checked="true"]'
_TAB_OF_14: Final = "//a[@href=concat('#', //div[contains(@class,'tab-pane')][.//*[@name='{}']]/@id)]"
_PLACES: Final[dict[int, dict[str, str]]] = {
    14: {
        "new": "/web#action=sale.action_quotations_with_onboarding&model=sale.order&view_type=form",
        "option": ".ui-autocomplete .ui-menu-item a:visible",
        "other": _TAB_OF_14.format("client_order_ref"),
        "lines": _TAB_OF_14.format("order_line"),
        "product": "product_id",
        "saved": ".o_form_view.o_form_readonly",
    },
    19: {
        "new": "/odoo/action-sale.action_quotations_with_onboarding/new",
        "option": ".o-autocomplete--dropdown-item:visible",
        "other": ".o_notebook a.nav-link[name=other_information]",
        "lines": ".o_notebook a.nav-link[name=order_lines]",
        "product": "product_template_id",
        "saved": ".o_form_status_indicator_buttons.invisible",
    },
}


async def _fill(page: Page, at: dict[str, str], mark: str, customer: str, product: str) -> None:
    await page.locator(at["other"]).first.click()
    await page.locator(_field("client_order_ref")).first.fill(mark)
    await page.locator(at["lines"]).first.click()
    await _choose(page, at, _field("partner_id"), customer)
    await page.locator("[name=order_line] .o_field_x2many_list_row_add a:visible").first.click()
    await _choose(page, at, _field(at["product"], _LINE), product)
    # Who saves before the price is there clicks in vain on 19: the form stays as it is.
    price = page.locator(_field("price_unit", _LINE)).first
    await expect(price).to_have_value(re.compile("[1-9]"), timeout=_ANSWER_WITHIN)


async def _choose(page: Page, at: dict[str, str], place: str, text: str) -> None:
    """Type, take the option, and wait until Odoo has filled in what follows from it."""
    await page.locator(place).first.fill(text)
    async with page.expect_response(lambda answer: answer.url.endswith("/onchange")):
        await page.locator(f'{at["option"]}:has-text("{text}")').first.click()


def _field(name: str, within: str = "") -> str:
    return f"{within} :is([name={name}] input, input[name={name}])".strip()


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A Chromium, kept for all runs, as the agent keeps its own."""
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-quic"]
        chromium = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield chromium
        await chromium.close()
