"""Encrypted lines: who is trusted, and who must show a certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from otel_config.outcome import Failed, Failure, Outcome, Sent
from otel_config.settings import Protocol
from otel_config.telemetry import Telemetry
from tests.integration.otel_config.otlp_server import Certificates, OtlpServer
from tests.integration.otel_config.support import RESOURCE, settings
from tests.integration.otel_config.test_export import transport
from tests.unit.otel_config.fakes import FakeMeter, Held, many


@dataclass(frozen=True)
class Authority:
    """A certificate authority and files made by it."""

    ca: trustme.CA
    directory: Path

    def ca_file(self) -> Path:
        """What a client trusts."""
        return self._written("ca.pem", self.ca.cert_pem.bytes())

    def client(self) -> dict[str, Path]:
        """A client's certificate and key."""
        pair = self.ca.issue_cert("agent@quaywatch")
        return {
            "cert_file": self._written("client.pem", pair.cert_chain_pems[0].bytes()),
            "key_file": self._written("client.key", pair.private_key_pem.bytes()),
        }

    def server(self, *, asks_clients: bool) -> Certificates:
        """The server's side."""
        pair = self.ca.issue_cert("localhost")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        pair.configure_cert(context)
        if asks_clients:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return Certificates(
            certificate=pair.cert_chain_pems[0].bytes(),
            key=pair.private_key_pem.bytes(),
            context=context,
            client_ca=self.ca.cert_pem.bytes() if asks_clients else None,
        )

    def _written(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of this test."""
    return Authority(trustme.CA(), tmp_path)


async def asked(authority: Authority, protocol: Protocol, *, asks_clients: bool, **files: object) -> Outcome:
    """What becomes of one request to a server of the authority by a client with these files."""
    server = OtlpServer(protocol, tls=authority.server(asks_clients=asks_clients))
    await server.start()
    line = transport(server, **files)
    try:
        return await line.send(b"")
    finally:
        await line.close()
        await server.stop()


async def test_a_trusted_server_is_spoken_to(authority: Authority, protocol: Protocol) -> None:
    """With its authority's certificate."""
    assert await asked(authority, protocol, asks_clients=False, ca_file=authority.ca_file()) == Sent()


async def test_a_server_of_an_unknown_authority_is_not(authority: Authority, protocol: Protocol) -> None:
    """It counts as an outage: nothing is lost, and nothing is sent."""
    outcome = await asked(authority, protocol, asks_clients=False)
    assert isinstance(outcome, Failed)
    assert outcome.failure is Failure.OUTAGE


async def test_a_client_shows_its_certificate(authority: Authority, protocol: Protocol) -> None:
    """To a server that asks for one; without, it is not let in."""
    ca = authority.ca_file()
    assert await asked(authority, protocol, asks_clients=True, ca_file=ca, **authority.client()) == Sent()
    assert isinstance(await asked(authority, protocol, asks_clients=True, ca_file=ca), Failed)


async def test_a_certificate_that_is_missing_is_a_refusal(authority: Authority, protocol: Protocol) -> None:
    """Metrics wait until the file is there again."""
    outcome = await asked(authority, protocol, asks_clients=False, ca_file=authority.directory / "none.pem")
    assert isinstance(outcome, Failed)
    assert outcome.failure is Failure.REFUSED


async def test_renewed_certificates_are_taken_up_by_every_signal(tmp_path: Path, protocol: Protocol) -> None:
    """Row 24: a server of another authority, which asks for certificates of its own, is spoken to with renewed files.

    Nothing is restarted for it, and what was said before it leaves then.
    """
    old, new = Authority(trustme.CA(), tmp_path), Authority(trustme.CA(), tmp_path)
    files = {"ca_file": old.ca_file(), **old.client()}
    server = OtlpServer(protocol, tls=old.server(asks_clients=True))
    await server.start()
    at = settings(server.address, protocol, "metrics", "traces", "logs", files=files)
    telemetry = await Telemetry.start(at, Held(many(1)), FakeMeter(), RESOURCE)
    telemetry.tracer.start_span("before").end()
    assert await telemetry.flush(20)
    await server.stop()
    server.tls = new.server(asks_clients=True)
    await server.start()
    telemetry.tracer.start_span("meanwhile").end()
    assert not await telemetry.flush(1)
    assert files == {"ca_file": new.ca_file(), **new.client()}
    telemetry.tracer.start_span("after").end()
    assert await telemetry.flush(20)
    names = [scope.spans[0].name for took in server.traces for scope in took.request.resource_spans[0].scope_spans]
    assert names == ["before", "meanwhile", "after"]
    await telemetry.close(5)
    await server.stop()


async def test_all_signals_go_over_tls(authority: Authority, protocol: Protocol) -> None:
    """Metrics, traces and logs trust the same authority and show the same certificate."""
    server = OtlpServer(protocol, tls=authority.server(asks_clients=True))
    await server.start()
    files = {"ca_file": authority.ca_file(), **authority.client()}
    at = settings(server.address, protocol, "metrics", "traces", "logs", files=files)
    telemetry = await Telemetry.start(at, Held(many(1)), FakeMeter(), RESOURCE)
    telemetry.tracer.start_span("one").end()
    assert await telemetry.flush(5)
    assert server.metrics
    assert server.traces
    await telemetry.close(5)
    await server.stop()
