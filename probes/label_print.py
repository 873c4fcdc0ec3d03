"""label_print: the slip of a delivery and the labels of a product are printed, and read as the printer would.

The slip names its delivery; the label on paper shows the product and its barcode; the labels for a label printer are as
many as were asked for, each with the barcode. Odoo gives reports only to a web session, so the user needs a password.
Labels are Odoo's own: a carrier's label costs money, and no carrier is asked for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from quaywatch.contract import Odoo, Probe, TargetKind, Transaction, Transport
from quaywatch.errors import ConfigError, VersionError

from . import odoo_papers as papers
from . import odoo_pickings as pickings
from . import odoo_placing as placing
from .odoo_names import LABEL_FORM, ZPL_TEMPLATE, called, has_label_form
from .odoo_references import resolve
from .odoo_risks import harmless

PRODUCT: Final = "product.product"
REPORT: Final = "ir.actions.report"
SLIP: Final = "stock.report_deliveryslip"
ZPL: Final = "stock.label_product_product_view"
LABELS_OF_FORM: Final = ("product.report_producttemplatelabel2x7", "product.report_producttemplatelabel")
LABELS: Final = ("product.report_productlabel",)
"""Labels of a product on paper where no form gives the copies: it prints one for each record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(placing.Wanted):
    """What the flow orders, for whom, and what it prints."""

    copies: int = field(default=2, metadata={"help": "how many labels for a label printer a run asks for"})
    paper: Literal["pdf", "html"] = field(
        default="pdf",
        metadata={"help": "slip and label as PDF, or as the page it is made of where Odoo has no wkhtmltopdf"},
    )
    zpl: bool = field(default=True, metadata={"help": "whether labels for a label printer, in ZPL, are printed"})

    def __post_init__(self) -> None:
        placing.Wanted.__post_init__(self)
        if not 1 <= self.copies <= 20:  # noqa: PLR2004 - it is a trial, not a print run
            raise ValueError("copies: 1 to 20 are expected")


@dataclass(frozen=True, slots=True)
class Product:
    """A product, and what its labels show."""

    id: int
    name: str
    barcode: str


@harmless
async def run(odoo: Odoo, options: Options, tx: Transaction) -> None:
    """Order, confirm, print the slip, the label on paper and the labels in ZPL."""
    async with tx.step("create"):
        product = await labelled(odoo, options.product)
        order = await placing.placed(odoo, options, tx)
    async with tx.step("confirm"):
        order = await placing.confirmed(odoo, order)
        picking = await pickings.of_order(odoo, order)
    async with tx.step("slip"):
        slip = _Paper(SLIP, (picking.id,), None, (picking.name, product.name), has_barcode=False)
        await slip.printed(odoo, options.paper)
    async with tx.step("label"):
        await (await _label(odoo, product, tx)).printed(odoo, options.paper)
    if options.zpl:
        async with tx.step("zpl"):
            await _zpl(odoo, product, options.copies, tx)


async def labelled(odoo: Odoo, reference: int | str) -> Product:
    """The product that an option names.

    Raises:
        ConfigError: when it is not there, or has no barcode.
    """
    record = await resolve(odoo, PRODUCT, "default_code", reference)
    rows = await odoo.call(PRODUCT, "search_read", [("id", "=", record)], fields=["name", "barcode"], limit=1)
    if not rows or not rows[0]["barcode"]:
        raise ConfigError(f"{PRODUCT} {record}: it is not there or has no barcode, which its labels must show")
    return Product(record, rows[0]["name"], rows[0]["barcode"])


@dataclass(frozen=True, slots=True)
class _Paper:
    """A report on paper, and what it must show."""

    report: str
    records: tuple[int, ...]
    options: dict[str, Any] | None
    texts: tuple[str, ...]
    has_barcode: bool

    async def printed(self, odoo: Odoo, form: Literal["pdf", "html"]) -> None:
        """Print it and read it; where a PDF's letters cannot be read, the page that it was made of."""
        if form == "pdf":
            body = await odoo.report(self.report, self.records, form="pdf", options=self.options)
            # Reading takes a tenth of a second of calculation, in which nothing else would move.
            if await asyncio.to_thread(papers.require_pdf, body, self.texts, picture=self.has_barcode):
                return
        page = await odoo.report(self.report, self.records, form="html", options=self.options)
        papers.require_page(page, self.texts)


async def _label(odoo: Odoo, product: Product, tx: Transaction) -> _Paper:
    texts = (product.name, product.barcode)
    if not await has_label_form(odoo):
        return _Paper(await _available(odoo, LABELS), (product.id,), None, texts, has_barcode=True)
    options = await _filled_form(odoo, product, 1, "2x7xprice", tx)
    return _Paper(await _available(odoo, LABELS_OF_FORM), (), options, texts, has_barcode=True)


async def _available(odoo: Odoo, names: tuple[str, ...]) -> str:
    """The first of these reports that is there."""
    rows = await odoo.call(REPORT, "search_read", [("report_name", "in", list(names))], fields=["report_name"])
    present = {row["report_name"] for row in rows}
    found = next((name for name in names if name in present), None)
    if found is None:
        raise VersionError(f"there is none of the reports {', '.join(names)}", remedy="switch the step off, or tell us")
    return found


async def _zpl(odoo: Odoo, product: Product, copies: int, tx: Transaction) -> None:
    if await has_label_form(odoo):
        options = await _filled_form(odoo, product, copies, "zpl", tx)
        body = await odoo.report(ZPL, form="text", options=options)
    else:
        body = await odoo.report(ZPL, [product.id] * copies, form="text")
    papers.require_zpl(body, barcode=product.barcode, copies=copies)


async def _filled_form(odoo: Odoo, product: Product, copies: int, layout: str, tx: Transaction) -> dict[str, Any]:
    """What the form for labels hands to the report: Odoo's XML-RPC cannot send it, its keys being numbers."""
    values = {"print_format": layout, "custom_quantity": copies, "product_ids": [(6, 0, [product.id])]}
    form = await odoo.call(LABEL_FORM, "create", values)

    async def discard() -> None:
        await odoo.call(LABEL_FORM, "unlink", [form])

    tx.undo("discard form", discard)
    template = await called(odoo, ZPL_TEMPLATE)
    chosen = (await odoo.call(LABEL_FORM, "read", [form], [template]))[0][template] if template else None
    return {
        "active_model": PRODUCT,
        "quantity_by_product": {str(product.id): copies},
        "layout_wizard": form,
        "price_included": False,
        **({template: chosen} if template else {}),
    }


async def check(odoo: Odoo, options: Options) -> AsyncIterator[str]:
    """Rights and records, the product's barcode, and whether Odoo can make PDFs."""
    findings = [finding async for finding in placing.check(odoo, options)]
    for finding in findings:
        yield finding
    if findings:
        return
    try:
        await labelled(odoo, options.product)
    except ConfigError as error:
        yield str(error)
    state = await odoo.call(REPORT, "get_wkhtmltopdf_state")
    if options.paper == "pdf" and state not in ("ok", "workers"):
        yield f"Odoo says of its wkhtmltopdf: {state}; install it, or set the probe's option paper to html"


PROBE: Probe[Odoo, Options] = Probe(
    name="label_print",
    flow="label-print",
    transport=Transport.RPC,
    drives=TargetKind.ODOO,
    options=Options,
    steps=("create", "confirm", "slip", "label", "zpl"),
    run=run,
    sweep=placing.sweep,
    check=check,
)
