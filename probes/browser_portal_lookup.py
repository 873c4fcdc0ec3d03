"""browser_portal_lookup: a customer opens an order's page by the link that Odoo mails, in a real browser.

As in portal_lookup nobody is logged in: the link's token lets the visitor in, and without it the page is shut.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from quaywatch.contract import Odoo, Page, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import FaultError, WrongResultError

from . import odoo_pickings as pickings
from . import odoo_placing as placing
from .odoo_risks import harmless
from .portal_lookup import Options, link_of

_CONTENT = "#wrapwrap"


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Order and confirm; open the page with the link and without its token."""
    async with AsyncExitStack() as stack:
        async with tx.step("prepare"):
            page = await stack.enter_async_context(odoo.browser().page(tx.mark))
        async with tx.step("order"):
            order = await placing.confirmed(odoo, await placing.placed(odoo, options, tx))
            picking = await pickings.of_order(odoo, order)
            link, name = await link_of(odoo, order)
        async with tx.step("page"):
            await _shown(page, link, (name, picking.name))
        async with tx.step("shut"):
            await _is_shut(page, link.partition("?")[0], name)


async def _shown(page: Page, link: str, texts: tuple[str, ...]) -> None:
    await page.open(link)
    await page.settle()
    shown = await page.text(_CONTENT)
    missing = sum(text not in shown for text in texts)
    if missing:
        raise WrongResultError(f"the order's page lacks {missing} of the numbers of order and delivery")


async def _is_shut(page: Page, path: str, name: str) -> None:
    try:
        await page.open(path)
    except FaultError:
        return
    await page.settle()
    if name in await page.text(_CONTENT):
        raise WrongResultError("the order's page is open to everybody: it was shown without its token")


PROBE: Probe[Odoo, Options] = Probe(
    name="browser_portal_lookup",
    flow="portal-lookup",
    transport=Transport.BROWSER,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("prepare", "order", "page", "shut"),
    run=run,
    sweep=placing.sweep,
    check=placing.check,
    every=300.0,
    deadline=90.0,
)
