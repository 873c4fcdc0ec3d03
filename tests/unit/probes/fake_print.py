"""What the Odoo in memory prints: small PDFs made by hand, pages, and labels for a label printer."""

from __future__ import annotations

from collections.abc import Sequence

LETTER = b"0 0 m 1 1 2 2 3 3 c 4 4 5 5 6 6 c f\n"


def pdf(texts: Sequence[str], *, picture: int = 600, outlines: int = 0) -> bytes:
    """A PDF of one page: texts as text, so many curves of outlined letters, and a picture so many pixels wide."""
    lines = b"".join(b"(%s) Tj T*\n" % text.encode() for text in texts)
    content = b"BT /F1 12 Tf 14 TL 20 700 Td\n" + lines + b"ET\n" + LETTER * (outlines // 2)
    image = b"<< /Type /XObject /Subtype /Image /Width %d /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray"
    resources = b"/Resources << /Font << /F1 5 0 R >> /XObject << /Im1 6 0 R >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R %s >>" % resources,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        image % picture + b" /Length 1 >>\nstream\n0\nendstream",
    ]
    return _assembled(objects)


def _assembled(objects: Sequence[bytes]) -> bytes:
    """The file with its table of where each object is."""
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return body + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        size,
        table,
        size,
        len(body),
    )


def page(texts: Sequence[str]) -> bytes:
    """A page that shows texts."""
    shown = "".join(f"<p>{text}</p>" for text in texts)
    return f"<html><style>p {{}}</style><body>{shown}</body></html>".encode()


def zpl(name: str, barcode: str, copies: int) -> bytes:
    """Labels as Odoo makes them, white space and all."""
    label = f"\n ^XA^CI28\n^FT35,40^A0N,25^FD{name}^FS\n^FO35,77^BY2 ^BCN,100,Y,N,N ^FD{barcode}^FS\n^XZ\n "
    return (label * copies or "\n  \n").encode()
