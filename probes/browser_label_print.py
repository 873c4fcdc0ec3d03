"""browser_label_print: labels for a label printer are printed in the web client, and read as the printer would.

The order is placed and its goods are reserved over RPC. Up to 17 the label is the product's: that of a delivery is
empty until somebody counted. From 18 on labels are the delivery's: a product's menu is for those who may change it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from quaywatch.contract import Odoo, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import ConfigError

from . import odoo_papers as papers
from . import odoo_pickings as pickings
from . import odoo_placing as placing
from .label_print import Product, labelled
from .odoo_pages import Client, english, selectors_of, web_client
from .odoo_risks import harmless


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(placing.Wanted):
    """What the flow orders and prints labels of, and for whom: whole pieces, few of them."""

    def __post_init__(self) -> None:
        placing.Wanted.__post_init__(self)
        if self.quantity not in range(1, 21):
            raise ValueError("quantity: a whole number from 1 to 20 is expected, since each piece gets a label")


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Order, confirm and reserve; open what prints labels, and download them."""
    async with AsyncExitStack() as stack:
        async with tx.step("prepare"):
            client = await stack.enter_async_context(web_client(odoo, tx))
            product = await labelled(odoo, options.product)
        async with tx.step("order"):
            order = await placing.confirmed(odoo, await placing.placed(odoo, options, tx))
            picking = await pickings.reserve(odoo, order)
        async with tx.step("login"):
            await client.sign_in()
        async with tx.step("open"):
            page = client.at.labelled.format(product=product.id, picking=picking.id)
            await client.show(page, client.at.labels[0])
        async with tx.step("zpl"):
            await _printed(client, product, int(options.quantity))


async def _printed(client: Client, product: Product, pieces: int) -> None:
    body = await client.download(client.at.labels)
    papers.require_zpl(body, barcode=product.barcode, copies=pieces if client.at.labels_by_piece else 1)


async def check(odoo: Odoo, options: Options) -> AsyncIterator[str]:
    """Rights and records, the product's barcode, and the user's language."""
    findings = [finding async for finding in placing.check(odoo, options)]
    for finding in findings:
        yield finding
    if not findings:
        try:
            await labelled(odoo, options.product)
        except ConfigError as error:
            yield str(error)
    async for finding in english(odoo, selectors_of(await odoo.version()).labels):
        yield finding


PROBE: Probe[Odoo, Options] = Probe(
    name="browser_label_print",
    flow="label-print",
    transport=Transport.BROWSER,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("prepare", "order", "login", "open", "zpl"),
    run=run,
    sweep=placing.sweep,
    check=check,
    every=300.0,
    deadline=90.0,
)
