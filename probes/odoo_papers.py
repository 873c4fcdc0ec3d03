"""What Odoo prints, read as the printer or the reader of it would: a label is one only when it can be scanned.

Odoo answers with success and a blank page, a page of an error, no label at all, or a label without its barcode.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from quaywatch.errors import WrongResultError

if TYPE_CHECKING:
    from pypdf import PageObject

_LABEL: Final = re.compile(r"\^XA(.*?)\^XZ", re.DOTALL)
_BARCODE: Final = r"\^B[^Y\^][^\^]*\^FD{}\^FS"
"""A command for a barcode of any kind, and its datum; ``^BY`` only sets the width of the bars."""
_TAG: Final = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_SMALLEST_PICTURE: Final = 100
"""Pixels across. A picture that could not be loaded is printed as a sign of 16."""
_FEWEST_CURVES: Final = 50
"""A letter drawn as an outline has several curves; the frames and lines of a form have none."""


def require_zpl(body: bytes, *, barcode: str, copies: int) -> None:
    """Nothing, if these are so many labels for a label printer, each with the barcode.

    Raises:
        WrongResultError: when they are not.
    """
    text = body.decode(errors="replace")
    labels = _LABEL.findall(text)
    if not len(labels) == text.count("^XA") == text.count("^XZ"):
        raise WrongResultError("the ZPL has a label that begins and does not end, or the other way round")
    if len(labels) != copies:
        raise WrongResultError(f"the ZPL has {len(labels)} labels instead of {copies}")
    wanted = re.compile(_BARCODE.format(re.escape(barcode)))
    bare = sum(not wanted.search(label) for label in labels)
    if bare:
        raise WrongResultError(f"{bare} of {copies} ZPL labels are without the product's barcode")


def require_page(body: bytes, texts: Iterable[str]) -> None:
    """Nothing, if a page of HTML shows all these texts.

    Raises:
        WrongResultError: when one is missing.
    """
    shown = html.unescape(_TAG.sub(" ", body.decode(errors="replace")))
    _require_texts(shown, texts, "the page")


def require_pdf(body: bytes, texts: Iterable[str], *, picture: bool) -> bool:
    """Whether the texts of a PDF can be read; if so, they are all there.

    They cannot where wkhtmltopdf draws letters as outlines, as one does that lacks Odoo's patches.

    Args:
        body: the PDF.
        texts: what must be in it.
        picture: whether a barcode, which is a picture, must be in it; what the picture shows is not read.

    Raises:
        WrongResultError: when it is no PDF, is blank, or something is missing.
    """
    from pypdf import PdfReader  # noqa: PLC0415 - a seventh of the agent's memory, for those who print
    from pypdf.errors import PyPdfError  # noqa: PLC0415 - as above

    try:
        pages = PdfReader(io.BytesIO(body)).pages
        shown = " ".join(page.extract_text() for page in pages)
        widest = max((width for page in pages for width in _pictures(page)), default=0)
        curves = 0 if shown.strip() else sum(_curves(page) for page in pages)
    except (PyPdfError, ValueError, KeyError, TypeError) as error:
        raise WrongResultError(f"what should be a PDF cannot be read as one: {type(error).__name__}") from error
    if picture and widest < _SMALLEST_PICTURE:
        remedy = "look at web.base.url or report.url, where wkhtmltopdf gets pictures from, and at reportlab's renderPM"
        raise WrongResultError("the PDF is without the picture of a barcode", remedy=remedy)
    if not shown.strip() and curves < _FEWEST_CURVES:
        raise WrongResultError("the PDF is blank")
    if not shown.strip():
        return False
    _require_texts(shown, texts, "the PDF")
    return True


def _require_texts(shown: str, texts: Iterable[str], where: str) -> None:
    flat = _flat(shown)
    missing = sum(_flat(text) not in flat for text in texts)
    if missing:
        raise WrongResultError(f"{where} lacks {missing} of the texts that it must show")


def _flat(text: str) -> str:
    return " ".join(text.split())


def _pictures(page: PageObject) -> Iterator[int]:
    """The widths of a page's pictures, in pixels."""
    resources: Any = page.get("/Resources", {})
    for reference in resources.get_object().get("/XObject", {}).values():
        thing = reference.get_object()
        if thing.get("/Subtype") == "/Image":
            yield int(thing["/Width"])


def _curves(page: PageObject) -> int:
    from pypdf.generic import ContentStream  # noqa: PLC0415 - as above

    content = page.get_contents()
    if content is None:
        return 0
    return sum(operator == b"c" for _, operator in ContentStream(content, page.pdf).operations)
