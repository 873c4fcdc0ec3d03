"""The certificate that a server shows, whether or not it is one to trust."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from quaywatch.contract import Certificate
from quaywatch.errors import ParseError

from .deadline import deadline
from .network import connect_error

_VERSION: Final = 0xA0
"""The tag of a certificate's version, which old ones leave out."""
_SHORT_YEAR: Final = 0x17
_LONG_LENGTH: Final = 0x80


async def shown_certificate(host: str, port: int, trusted: ssl.SSLContext, within: float) -> Certificate:
    """What a client gets who asks for ``host``; one that ``trusted`` refuses is looked at all the same.

    Raises:
        TargetError: within so many seconds, when there is no handshake.
        ParseError: when the certificate cannot be read.
    """
    where = f"{host}:{port}"
    async with deadline(within, f"{where}: TLS"):
        try:
            return Certificate(expires=expiry(await _handshake(host, port, trusted)), verified=True)
        except ssl.SSLCertVerificationError:
            pass
        except OSError as error:
            raise connect_error(error, where) from error
        try:
            return Certificate(expires=expiry(await _handshake(host, port, _indifferent())), verified=False)
        except OSError as error:
            raise connect_error(error, where) from error


async def _handshake(host: str, port: int, context: ssl.SSLContext) -> bytes:
    """The server's certificate, in DER."""
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        # A farewell would wait for the other side.
        writer.transport.abort()
    if certificate is None:
        raise ParseError(f"{host}:{port}: the server showed no certificate")
    return certificate


def _indifferent() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def expiry(certificate: bytes) -> float:
    """When a certificate in DER expires, as Unix time.

    The standard library reads only certificates that it has verified, and these are not the interesting ones.

    Raises:
        ParseError: when it is no certificate.
    """
    try:
        ((_, whole),) = _elements(certificate)
        _, signed = next(_elements(whole))
        _, _, _, (_, validity), *_ = (element for element in _elements(signed) if element[0] != _VERSION)
        _, (tag, moment) = _elements(validity)
        shape = "%y%m%d%H%M%SZ" if tag == _SHORT_YEAR else "%Y%m%d%H%M%SZ"
        return datetime.strptime(moment.decode("ascii"), shape).replace(tzinfo=UTC).timestamp()
    except (ValueError, IndexError, StopIteration) as error:
        raise ParseError("the certificate cannot be read") from error


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element that stands in DER one after the other."""
    while der:
        tag, length, begin = der[0], der[1], 2
        if length & _LONG_LENGTH:
            begin += length - _LONG_LENGTH
            length = int.from_bytes(der[2:begin], "big")
        if len(der) < begin + length:
            raise ValueError("an element is longer than what there is")
        yield tag, der[begin : begin + length]
        der = der[begin + length :]
