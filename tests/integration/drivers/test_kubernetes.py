"""A Lease object over REST, at a small server with the concurrency of the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from quaywatch.drivers.kubernetes import KubernetesLease, LeaseAddress
from quaywatch.errors import AuthError, ConnectError, DeadlineError, PermissionDeniedError, TargetError
from tests.integration.runtime.lease_api import LeaseApi


@pytest_asyncio.fixture
async def api() -> AsyncIterator[LeaseApi]:
    """A server without objects."""
    api = LeaseApi()
    async with api.serving():
        yield api


@pytest.fixture
def token(api: LeaseApi, tmp_path: Path) -> Path:
    """The file with the token."""
    token = tmp_path / "token"
    token.write_text(api.token + "\n")
    return token


@pytest.fixture
def address(api: LeaseApi, token: Path) -> LeaseAddress:
    """Where it is, with its token in a file."""
    return LeaseAddress(name="quaywatch", namespace="monitoring", url=api.url, token_file=str(token), answer_within=0.5)


@pytest_asyncio.fixture
async def lease(address: LeaseAddress) -> AsyncIterator[KubernetesLease]:
    """The object, as an agent sees it."""
    lease = KubernetesLease(address)
    yield lease
    await lease.close()


async def test_it_is_made_read_and_changed(api: LeaseApi, lease: KubernetesLease) -> None:
    """What others wrote on the object stays on it."""
    assert await lease.read() is None
    made = await lease.create(holderIdentity="anna", leaseDurationSeconds=15, leaseTransitions=3)
    assert made is not None
    assert (made.holder, made.duration, made.transitions, made.renewed) == ("anna", 15, 3, "")
    api.touch()
    found = await lease.read()
    assert found is not None
    changed = await lease.update(found.changed(holderIdentity="bert", renewTime="2026-01-01T00:00:00.000000Z"))
    assert changed is not None
    assert (changed.holder, changed.duration, changed.renewed) == ("bert", 15, "2026-01-01T00:00:00.000000Z")
    assert api.objects["monitoring", "quaywatch"]["metadata"]["labels"] == {"team": "logistics"}


async def test_one_of_several_writers_wins(lease: KubernetesLease) -> None:
    """Who names a version that is not the last one, or makes what is there, has lost, and that is no error."""
    made = await lease.create(holderIdentity="anna")
    assert made is not None
    assert await lease.create(holderIdentity="bert") is None
    assert await lease.update(made.changed(holderIdentity="bert")) is not None
    assert await lease.update(made.changed(holderIdentity="cleo")) is None


def renew(token: Path, text: str) -> None:
    """What the kubelet does."""
    token.write_text(text)


async def test_a_token_that_was_renewed_is_used(api: LeaseApi, lease: KubernetesLease, token: Path) -> None:
    """The file is read for each request; with the old one the server refuses."""
    await lease.read()
    api.token = "second"
    with pytest.raises(AuthError):
        await lease.read()
    renew(token, api.token)
    assert await lease.read() is None


async def test_a_missing_right_is_named(api: LeaseApi, lease: KubernetesLease) -> None:
    """The error says what the role must hold."""
    api.allowed = False
    with pytest.raises(PermissionDeniedError, match="get, create and update on leases"):
        await lease.read()


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"url": "http://127.0.0.1:1"}, ConnectError),
        ({"token_file": "/nonexistent/token"}, AuthError),
        ({"namespace": None}, AuthError),
    ],
    ids=["nobody listens", "no token", "not in a pod"],
)
async def test_what_is_missing_is_said(
    changed: dict[str, str | None], error: type[TargetError], address: LeaseAddress
) -> None:
    """Each is an error of the tree."""
    lease = KubernetesLease(replace(address, **changed))  # type: ignore[arg-type]  # each of them fits its field
    with pytest.raises(error):
        await lease.read()
    await lease.close()


async def test_a_server_that_says_nothing_is_waited_for_so_long(api: LeaseApi, lease: KubernetesLease) -> None:
    """And no longer."""
    api.answers.clear()
    with pytest.raises(DeadlineError):
        await lease.read()
