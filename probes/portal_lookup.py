"""portal_lookup: a customer opens an order's page by the link that Odoo mails, and sees the order and its delivery.

The visitor is logged in nowhere: the link's token lets them in, and without it the page is shut, which is seen to as
well.
The order has no salesperson, as all of the probes: Odoo tells that person by mail when a customer opens a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from quaywatch.contract import Odoo, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import WrongResultError

from . import odoo_orders as orders
from . import odoo_papers as papers
from . import odoo_pickings as pickings
from . import odoo_placing as placing
from .odoo_risks import harmless

_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(placing.Wanted):
    """What the flow orders, and for whom."""


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Order, confirm, open the page with the link and without its token."""
    async with tx.step("create"):
        order = await placing.placed(odoo, options, tx)
    async with tx.step("confirm"):
        order = await placing.confirmed(odoo, order)
        picking = await pickings.of_order(odoo, order)
    async with tx.step("page"):
        link, name = await link_of(odoo, order)
        await _shown(odoo, link, (name, picking.name))
    async with tx.step("shut"):
        await _is_shut(odoo, link.partition("?")[0], name)


async def link_of(odoo: Odoo, order: orders.Order) -> tuple[str, str]:
    """The path of an order's page with its token, and the order's number.

    Raises:
        WrongResultError: when the link has no token.
    """
    link = await odoo.call(orders.ORDER, "get_portal_url", [order.id])
    if not isinstance(link, str) or "access_token=" not in link:
        raise WrongResultError("the link to the order's page has no token")
    (row,) = await odoo.call(orders.ORDER, "read", [order.id], ["name"])
    return link, row["name"]


async def _shown(odoo: Odoo, link: str, texts: tuple[str, ...]) -> None:
    page = await odoo.get(link)
    if page.status != _OK:
        remedy = "does the host name lead a visitor to this database? see Odoo's dbfilter"
        raise WrongResultError(f"the order's page is answered with HTTP {page.status}", remedy=remedy)
    papers.require_page(page.body, texts)


async def _is_shut(odoo: Odoo, path: str, name: str) -> None:
    page = await odoo.get(path)
    if page.status == _OK and name.encode() in page.body:
        raise WrongResultError("the order's page is open to everybody: it was shown without its token")


PROBE: Probe[Odoo, Options] = Probe(
    name="portal_lookup",
    flow="portal-lookup",
    transport=Transport.RPC,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("create", "confirm", "page", "shut"),
    run=run,
    sweep=placing.sweep,
    check=placing.check,
)
