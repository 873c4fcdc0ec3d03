"""Odoo's web client, as its user sees it: what differs between the versions stands in one table.

Selectors are Playwright's. Odoo keeps hidden copies of buttons and lists in its pages, so most say ``:visible``.
Versions between two of the table look like the older one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from quaywatch.contract import Odoo, Page, SignIn, Transaction
from quaywatch.errors import FaultError, PermissionDeniedError

_ACCESS: Final = "Access Error"
_ENGLISH: Final = "en"
_BY_TEXT: Final = (":has-text(", ":text-is(")
_REFUSED: Final[Mapping[str, str]] = {
    "p.alert.alert-danger": "login or password is wrong",
    "input[name=totp_token]": "it asks for a second factor, which a probe does not have",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selectors:
    """Where things are in one version.

    ``tab`` is the tab of a form that shows a field, by the name of the tab and that of the field. ``dialog`` is there
    when the server refused something, ``title`` says in a word what. ``saved`` is there when a form holds nothing new.
    What ``unreserve`` and ``labels`` name is clicked one after the other, and the last click on labels downloads them;
    where that is a menu, the user's language must be English. ``labelled`` is the page that prints labels, and
    ``labels_by_piece`` says that it prints one for each piece of a delivery, and not one for the product.
    ``forecasts_all`` says that the page of a delivery reckons with everybody's orders, also those that its user may not
    see.
    """

    ready: str = ".o_main_navbar"
    dialog: str
    title: str
    option: str
    tab: str
    saved: str
    product: str
    unreserve: tuple[str, ...]
    labels: tuple[str, ...]
    labels_by_piece: bool = False
    forecasts_all: bool = False
    new_order: str
    picking: str
    labelled: str


_ZPL: Final = (".modal [name=print_format] input[data-value=zpl]", ".modal button[name=process]:visible")
_14: Final = Selectors(
    dialog=".modal:visible :is(.o_dialog_warning, .o_error_detail, .o_dialog_error)",
    title=".modal:visible .modal-title",
    option=".ui-autocomplete .ui-menu-item a:visible",
    tab="//a[@href=concat('#', //div[contains(@class,'tab-pane')][.//*[@name='{field}']]/@id)]",
    saved=".o_form_view.o_form_readonly",
    product="product_id",
    unreserve=("button[name=do_unreserve]:visible",),
    labels=(
        ".o_cp_action_menus button:has(.fa-print):visible",
        ".o_cp_action_menus .o_menu_item a:has-text('Product Label (ZPL)'):visible",
    ),
    forecasts_all=True,
    new_order="/web#action=sale.action_quotations_with_onboarding&model=sale.order&view_type=form",
    picking="/web#id={id}&model=stock.picking&view_type=form",
    labelled="/web#id={product}&model=product.product&view_type=form",
)
_16: Final = replace(
    _14,
    dialog=".o_dialog :is(p[role=alert], .o_error_detail), .o_error_dialog",
    title=".o_dialog .modal-title",
    option=".o-autocomplete--dropdown-item:visible",
    tab=".o_notebook a.nav-link[name={tab}]",
    saved=".o_form_status_indicator_buttons.invisible",
    product="product_template_id",
    labels=("button[name=action_open_label_layout]:visible", *_ZPL),
    forecasts_all=False,
)
_MENU: Final = ".o_cp_action_menus button:visible"
_18: Final = replace(
    _16,
    unreserve=(_MENU, ".o-dropdown--menu .o_menu_item:has-text('Unreserve')"),
    labels=(
        _MENU,
        ".o-dropdown--menu button:has(.fa-print)",
        ".o-dropdown--menu .o_menu_item:text-is('Labels')",
        *_ZPL,
    ),
    labels_by_piece=True,
    new_order="/odoo/action-sale.action_quotations_with_onboarding/new",
    picking="/odoo/stock.picking/{id}",
    labelled="/odoo/stock.picking/{picking}",  # the menu of a product is for those who may change it
)
_VERSIONS: Final[Mapping[int, Selectors]] = {14: _14, 16: _16, 18: _18}


def selectors_of(version: int) -> Selectors:
    """The selectors of a version; those of the oldest one for anything older."""
    return _VERSIONS[max((known for known in _VERSIONS if known <= version), default=min(_VERSIONS))]


async def english(odoo: Odoo, clicked: tuple[str, ...]) -> AsyncIterator[str]:
    """A sentence when something clicked is known by its English name alone, and the user's language is another."""
    if not any(text in selector for selector in clicked for text in _BY_TEXT):
        return
    language = (await odoo.call("res.users", "context_get")).get("lang") or _ENGLISH
    if not language.startswith(_ENGLISH):
        yield f"the probe's user has the language {language}: set it to English, in which the flow reads Odoo's menus"


@asynccontextmanager
async def web_client(odoo: Odoo, tx: Transaction) -> AsyncIterator[Client]:
    """The web client, not yet logged in to; the session is logged out of, however the run ends."""
    selectors = selectors_of(await odoo.version())
    async with odoo.browser().page(tx.mark) as page:
        yield Client(page, selectors, odoo.database)


class Client:
    """A page of the web client.

    Args:
        page: the page.
        at: where things are.
        database: which one to log in to.
    """

    def __init__(self, page: Page, at: Selectors, database: str) -> None:
        self.page = page
        self.at = at
        self._database = database

    async def sign_in(self) -> None:
        """Log in, until the menu is there.

        Raises:
            AuthError: when the login is refused, or asks for a second factor.
        """
        await self.page.open(f"/web/login?db={self._database}")
        form = SignIn(
            login_field="input[name=login]",
            password_field="input[name=password]",  # noqa: S106 - a selector
            accepted=self.at.ready,
            refused=_REFUSED,
            farewell="/web/session/logout",
        )
        await self.page.sign_in(form)

    async def show(self, path: str, *seen: str) -> str:
        """Load a path, until one of these is seen, and answer which."""
        await self.page.open(path)
        return await self.see(*seen)

    async def see(self, *selectors: str) -> str:
        """Wait for one of these, and answer which.

        Raises:
            PermissionDeniedError: when Odoo shows that the user may not.
            FaultError: when Odoo shows any other error.
        """
        found = await self.page.wait(self.at.dialog, *selectors)
        if found != self.at.dialog:
            return found
        title = (await self.page.text(self.at.title)).strip()
        error = PermissionDeniedError if title == _ACCESS else FaultError
        raise error(f"Odoo shows an error in a dialog: {title}")

    async def click(self, selector: str) -> None:
        """Click, as soon as it is there."""
        await self.see(selector)
        await self.page.click(selector)

    async def fill(self, selector: str, text: str) -> None:
        """Fill a field, as soon as it is there."""
        await self.see(selector)
        await self.page.fill(selector, text)

    async def choose(self, selector: str, typed: str, option: str) -> None:
        """Type into a field, take the first option offered that has a text, and let Odoo fill in what follows."""
        await self.fill(selector, typed)
        await self.click(f'{self.at.option}:has-text("{_quoted(option)}")')
        await self.page.settle()  # a form that is saved before is not valid yet

    async def follow(self, selectors: tuple[str, ...]) -> None:
        """Click one after the other, as through a menu."""
        for selector in selectors:
            await self.click(selector)

    async def download(self, selectors: tuple[str, ...]) -> bytes:
        """Click one after the other, and answer the file that the last click downloads.

        Raises:
            PermissionDeniedError: when Odoo shows that the user may not.
            FaultError: when Odoo shows any other error.
        """
        *menu, last = selectors
        await self.follow(tuple(menu))
        await self.see(last)
        file = asyncio.create_task(self.page.download(last))
        error = asyncio.create_task(self.see())
        try:
            await asyncio.wait((file, error), return_when=asyncio.FIRST_COMPLETED)
            if not file.done():
                await error
            return await file
        finally:
            file.cancel()
            error.cancel()
            await asyncio.gather(file, error, return_exceptions=True)

    async def turn_to(self, tab: str, field: str) -> None:
        """Turn to the tab of a form that shows a field."""
        await self.click(self.at.tab.format(tab=tab, field=field))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def state(name: str) -> str:
    """What is there when the record's bar of states shows this one."""
    return f'.o_statusbar_status button[data-value="{name}"][aria-checked="true"]'


def field(name: str, within: str = "") -> str:
    """Where something is typed into a field of a form, or of a part of it."""
    return f"{within} :is([name={name}] input, input[name={name}])".strip()
