"""The Redis driver on a real server."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trustme

from quaywatch.contract import Redis
from quaywatch.drivers.redis import RedisAddress, RedisServer
from quaywatch.drivers.trust import Trust
from quaywatch.errors import AuthError, ConnectError, FaultError, PermissionDeniedError, VersionError
from quaywatch.secret import Secret
from sandbox.parts import redis
from sandbox.process import LOOPBACK, Services, Spec, accepts, free_port

PARTS = ("redis",)


async def test_info_is_raw_text(cache: RedisServer) -> None:
    """Sections come together as they were sent, without headings; the driver is a Redis of the contract."""
    watched: Redis = cache
    await watched.ping()
    info = await watched.info("memory", "server")
    assert info["maxmemory"] == str(redis.MAXMEMORY)
    assert info["redis_version"].startswith("7.")
    assert "redis_mode" in info
    assert "connected_clients" not in info
    assert not [name for name in info if name.startswith("#")]


async def test_info_without_a_section_is_everything_usual(cache: RedisServer) -> None:
    """No section means the server's default set."""
    assert {"maxmemory", "connected_clients", "uptime_in_seconds"} <= set(await cache.info())


async def test_a_section_that_is_not_there_is_empty(cache: RedisServer) -> None:
    """Absence is no error."""
    assert await cache.info("nothing") == {}


async def test_answers_are_text_whatever_the_bytes(cache: RedisServer) -> None:
    """A value that is no UTF-8 can still be shown; a number stays a number; absence is None."""
    await cache.command("SET", "odd", "x")
    await cache.command("SETBIT", "odd", 0, 1)
    assert await cache.command("GET", "odd") == "\\xf8"
    assert await cache.command("STRLEN", "odd") == 1
    assert await cache.command("GET", "no such key") is None
    assert await cache.command("CONFIG", "GET", "maxmemory") == ["maxmemory", str(redis.MAXMEMORY)]
    await cache.command("DEL", "odd")


async def test_the_server_sees_one_client_and_its_name(cache: RedisServer) -> None:
    """Callers at the same time share one named connection."""
    ids = await asyncio.gather(*(cache.command("CLIENT", "ID") for _ in range(20)))
    assert len(set(ids)) == 1
    assert "name=quaywatch" in await cache.command("CLIENT", "INFO")


async def test_a_database_is_selected(redis_address: RedisAddress) -> None:
    """Reads go to the database of the address."""
    other = RedisServer(replace(redis_address, db=3))
    assert " db=3 " in await other.command("CLIENT", "INFO")
    await other.close()


async def test_a_lost_connection_is_made_again(cache: RedisServer, redis_server: redis.Redis) -> None:
    """A connection that the server ended is noticed at the next call or the one after."""
    before = await cache.command("CLIENT", "ID")
    assert redis.command(redis_server, "CLIENT", "KILL", "ID", str(before)) == ":1"
    after = None
    for _ in range(2):
        try:
            after = await cache.command("CLIENT", "ID")
        except ConnectError:
            continue
    assert after not in (None, before)


@pytest.mark.parametrize(
    "change", [{"password": Secret("wr0ng")}, {"password": None}, {"username": "nobody"}], ids=["wrong", "none", "user"]
)
async def test_a_refused_login_is_an_auth_error(redis_address: RedisAddress, change: dict[str, object]) -> None:
    """A wrong password, a missing one and an unknown user are told from a dead server."""
    server = RedisServer(replace(redis_address, **change))  # type: ignore[arg-type] # by the table above
    with pytest.raises(AuthError) as caught:
        await server.ping()
    assert "wr0ng" not in str(caught.value)
    await server.close()


async def test_a_denied_command_tells_what_allows_it(
    cache: RedisServer, redis_address: RedisAddress, redis_server: redis.Redis
) -> None:
    """A user who may do little else still gets in, and the remedy is all that is missing."""
    await cache.command("ACL", "SETUSER", "watcher", "on", ">pass", "+ping")
    address = replace(redis_address, username="watcher", password=Secret("pass"))
    server = RedisServer(address)
    await server.ping()
    with pytest.raises(PermissionDeniedError) as caught:
        await server.info("memory")
    assert redis.command(redis_server, *caught.value.remedy.removeprefix("run: ").split()) == "+OK"
    assert await server.info("memory")
    await server.close()
    await cache.command("ACL", "DELUSER", "watcher")


async def test_a_pipeline_is_one_round_trip_with_an_answer_for_each(cache: RedisServer) -> None:
    """A command that is refused gets its error in its own place; the connection and the others' answers stay."""
    await cache.command("SET", "piped", "x")
    before = await cache.command("CLIENT", "ID")
    value, refused, absent, number = await cache.pipeline(
        ("GET", "piped"), ("LLEN", "piped"), ("GET", "no such key"), ("STRLEN", "piped")
    )
    assert (value, absent, number) == ("x", None, 1)
    assert isinstance(refused, FaultError)
    assert refused.code == "WRONGTYPE"
    assert await cache.pipeline() == ()
    assert await cache.command("CLIENT", "ID") == before
    await cache.command("DEL", "piped")


async def test_errors_of_the_server_leave_the_connection(cache: RedisServer) -> None:
    """An unknown command and a misused key are told apart, on the same connection."""
    before = await cache.command("CLIENT", "ID")
    with pytest.raises(VersionError, match="NOSUCH"):
        await cache.command("NOSUCH")
    await cache.command("SET", "text", "x")
    with pytest.raises(FaultError) as caught:
        await cache.command("LLEN", "text")
    assert caught.value.code == "WRONGTYPE"
    await cache.command("DEL", "text")
    assert await cache.command("CLIENT", "ID") == before


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the certificate of the server below."""
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_port(services: Services, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The port of a Redis that speaks TLS only."""
    redis.prepare(None)
    room, port = tmp_path_factory.mktemp("tls"), free_port()
    certificate = authority.issue_cert(LOOPBACK)
    certificate.private_key_pem.write_to_path(room / "key")
    certificate.cert_chain_pems[0].write_to_path(room / "cert")
    flags = {"port": "0", "tls-port": str(port), "bind": LOOPBACK, "save": "", "tls-auth-clients": "no"}
    files = {"tls-key-file": room / "key", "tls-cert-file": room / "cert", "tls-ca-cert-file": room / "cert"}
    words = [word for name, value in {**flags, **files}.items() for word in (f"--{name}", str(value))]
    services.start(Spec(name="redis-tls", argv=("redis-server", *words), ready=partial(accepts, port), cwd=Path("/")))
    return port


async def test_tls_is_verified(tls_port: int, authority: trustme.CA, tmp_path: Path) -> None:
    """A certificate of a known authority is taken, one of a stranger's refused.

    An authority that takes another's place in the file counts from the next connection on.
    """
    trusted = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(trusted)
    later = itertools.count(step=2.0)  # so that a failure is forgotten at once
    server = RedisServer(RedisAddress(host=LOOPBACK, port=tls_port, ssl=Trust(trusted)), monotonic=lambda: next(later))
    with pytest.raises(ConnectError, match="certificate is not trusted"):
        await server.ping()
    authority.cert_pem.write_to_path(trusted)
    await server.ping()
    await server.close()
