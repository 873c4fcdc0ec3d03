"""Certificates that clients get: hosts in, seconds out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest

from exporters.tls_expiry import EXPORTER, MOST, Options
from quaywatch.contract import Answer, Certificate, Value
from quaywatch.errors import ConnectError

Read = Callable[..., Awaitable[dict[tuple[str, ...], Value]]]


class Server:
    """A target with certificates by host and port; there is nobody elsewhere."""

    def __init__(self, url: str, certificates: Mapping[tuple[str, int], Certificate]) -> None:
        self.url = url
        self._certificates = certificates

    async def ping(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """Nothing is open."""

    async def get(self, path: str) -> Answer:
        """No exporter of certificates should ask for a page."""
        raise AssertionError(path)

    async def certificate(self, host: str, port: int) -> Certificate:
        """The certificate of that host."""
        if (host, port) not in self._certificates:
            raise ConnectError("nobody")
        return self._certificates[host, port]


def now() -> float:
    """The agent's clock."""
    return 1000.0


@pytest.mark.parametrize(
    ("url", "site", "name"),
    [
        ("https://erp.example.com/base", ("erp.example.com", 443), "erp.example.com"),
        ("https://erp.example.com:8443", ("erp.example.com", 8443), "erp.example.com:8443"),
    ],
)
async def test_the_targets_own_host_is_looked_at(url: str, site: tuple[str, int], name: str, read: Read) -> None:
    """Row 35: without hosts it is that of the url; the usual port is no part of the name."""
    server = Server(url, {site: Certificate(expires=1060.0, verified=True)})
    assert await read(EXPORTER, server, state=now) == {
        ("tls.handshake.ok", name): 1,
        ("tls.certificate.remaining", name): 60.0,
        ("tls.certificate.verified", name): 1,
    }


async def test_a_target_without_tls_has_no_certificate(read: Read) -> None:
    """That is no failed handshake."""
    assert await read(EXPORTER, Server("http://traefik:8080", {}), state=now) == {}


async def test_a_host_that_fails_hides_no_other(read: Read) -> None:
    """It has no certificate and says so; an expired one that nobody trusts is measured all the same."""
    server = Server("http://traefik:8080", {("b.example.com", 443): Certificate(expires=940.0, verified=False)})
    found = await read(EXPORTER, server, Options(hosts=("a.example.com", "b.example.com")), now)
    assert found == {
        ("tls.handshake.ok", "a.example.com"): 0,
        ("tls.handshake.ok", "b.example.com"): 1,
        ("tls.certificate.remaining", "b.example.com"): -60.0,
        ("tls.certificate.verified", "b.example.com"): 0,
    }


async def test_a_host_that_is_named_twice_is_one(read: Read) -> None:
    """With its usual port, and with addresses too."""
    options = Options(hosts=("erp.example.com", "erp.example.com:443", "[::1]:8443", "10.0.0.1"))
    found = await read(EXPORTER, Server("http://traefik:8080", {}), options, now)
    assert {key[1] for key in found} == {"erp.example.com", "::1:8443", "10.0.0.1"}


@pytest.mark.parametrize("host", ["", "https://erp", "erp/path", "erp:0", "erp:65536", "erp:x", "a b", "me@erp"])
def test_what_is_no_host_is_refused(host: str) -> None:
    """With the option's name in front, so that it is shown at its line."""
    with pytest.raises(ValueError, match=r"^hosts: "):
        Options(hosts=(host,))


def test_too_many_hosts_are_refused() -> None:
    """They are all looked at together."""
    with pytest.raises(ValueError, match=f"at most {MOST}"):
        Options(hosts=tuple(f"host{number}" for number in range(MOST + 1)))
