"""When a certificate expires, read from its own bytes."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
import trustme

from quaywatch.drivers.tls import expiry
from quaywatch.errors import ParseError


def der(expires: datetime) -> bytes:
    """A certificate."""
    made = trustme.CA().issue_cert("erp.example.com", not_after=expires)
    return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize("year", [2001, 2030, 2049, 2050, 2100])
def test_both_ways_of_writing_a_year(year: int) -> None:
    """From 2050 on a year has four digits."""
    moment = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert expiry(der(moment)) == moment.timestamp()


@pytest.mark.parametrize("end", [0, 1, 2, 5, 40, 100, 200])
def test_a_part_of_a_certificate_is_none(end: int) -> None:
    """Nothing is guessed."""
    with pytest.raises(ParseError):
        expiry(der(datetime(2030, 1, 1, tzinfo=UTC))[:end])


@pytest.mark.parametrize(
    "noise", [b"\x30\x00", b"\x30\x02\x30\x00", b"\x30\x80", b"hello, world", b"\x30\xff" + b"x" * 300]
)
def test_noise_is_no_certificate(noise: bytes) -> None:
    """Nor does it bring anything down."""
    with pytest.raises(ParseError):
        expiry(noise)
