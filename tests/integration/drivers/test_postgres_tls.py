"""The PostgreSQL driver over TLS."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from quaywatch.drivers.postgres import PostgresAddress, PostgresCluster
from quaywatch.drivers.trust import Trust
from quaywatch.errors import AuthError, ConnectError
from quaywatch.secret import Secret
from sandbox.parts import postgres
from sandbox.process import Services, until

TLS = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


@dataclass(frozen=True)
class Encrypted:
    """A server that speaks TLS, who signed its certificate, and what it wrote."""

    server: postgres.Postgres
    authority: trustme.CA
    log: Callable[[], str]
    data: Path

    def cluster(self, tls: Trust | None) -> PostgresCluster:
        """A driver of it, which forgets a failure at once."""
        password, later = Secret(self.server.password), itertools.count(step=2.0)
        address = PostgresAddress(host=self.server.host, port=self.server.port, password=password, ssl=tls)
        return PostgresCluster(address, monotonic=lambda: next(later))

    def trusted(self, file: Path) -> Trust:
        """What trusts its authority, by this file."""
        self.authority.cert_pem.write_to_path(file)
        return Trust(file)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    """A server of these tests' own."""
    postgres.prepare(None)
    services, authority = Services(tmp_path_factory.mktemp("tls")), trustme.CA()
    server = postgres.start(services, None, None)
    data = services.state / postgres.PRIMARY / "data"
    _give_certificate(authority, data)
    postgres.sql(server, "alter system set ssl = on")
    postgres.sql(server, "select pg_reload_conf()")
    assert until(lambda: postgres.sql(server, "show ssl") == "on", within=60)
    yield Encrypted(server, authority, services.log(postgres.PRIMARY).read_text, data)
    services.stop_all()


def _give_certificate(authority: trustme.CA, data: Path) -> None:
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(data / "server.key")
    certificate.cert_chain_pems[0].write_to_path(data / "server.crt")
    for name in ("server.key", "server.crt"):
        shutil.chown(data / name, "postgres", "postgres")
        (data / name).chmod(0o600)


async def test_tls_is_taken_where_it_is_offered(encrypted: Encrypted) -> None:
    """Without a word about TLS the line is encrypted all the same."""
    cluster = encrypted.cluster(None)
    assert await cluster.fetch(TLS) == [{"ssl": True}]
    await cluster.close()


async def test_tls_is_verified(encrypted: Encrypted, tmp_path: Path) -> None:
    """Row 24: a certificate of a known authority is taken, one of a stranger's refused.

    An authority that takes another's place in the file counts from the next connection on.
    """
    trusted = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(trusted)
    cluster = encrypted.cluster(Trust(trusted))
    with pytest.raises(ConnectError, match="certificate is not trusted"):
        await cluster.ping()
    encrypted.trusted(trusted)
    assert await cluster.fetch(TLS) == [{"ssl": True}]
    await cluster.close()


async def test_visits_over_tls_leave_no_complaint_in_the_log(encrypted: Encrypted, tmp_path: Path) -> None:
    """A line that ends with a farewell is not noise for the database's owner."""
    cluster = encrypted.cluster(encrypted.trusted(tmp_path / "ca.pem"))
    before = len(encrypted.log())
    for _ in range(3):
        async with cluster.visit("postgres") as visit:
            await visit.fetch("select 1")
    assert encrypted.log()[before:] == ""
    await cluster.close()


async def test_a_server_that_comes_to_demand_tls_is_found_out_by_one_visit(encrypted: Encrypted) -> None:
    """Visits do without what was not offered when the cluster was met, until one of them is refused for it."""
    cluster = encrypted.cluster(None)
    _set(encrypted, "off", "host")
    assert await cluster.fetch(TLS) == [{"ssl": False}]
    _set(encrypted, "on", "hostssl")
    with pytest.raises(AuthError):
        await _over_tls(cluster)
    assert await _over_tls(cluster)
    await cluster.close()


async def _over_tls(cluster: PostgresCluster) -> bool:
    async with cluster.visit("postgres") as visit:
        (row,) = await visit.fetch(TLS)
    return bool(row["ssl"])


def _set(encrypted: Encrypted, tls: str, kind: str) -> None:
    """Offer TLS or not, and let those in who come like this."""
    rules = encrypted.data / "pg_hba.conf"
    rules.write_text(f"{kind} all quaywatch 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 scram-sha-256\n")
    postgres.sql(encrypted.server, f"alter system set ssl = {tls}")
    postgres.sql(encrypted.server, "select pg_reload_conf()")
    assert until(lambda: postgres.sql(encrypted.server, "show ssl") == tls, within=60)
