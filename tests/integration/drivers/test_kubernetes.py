"""A Lease object over REST, at a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from quaywatch.drivers.kubernetes import KubernetesLease, LeaseAddress
from quaywatch.errors import AuthError, ConnectError, DeadlineError, PermissionDeniedError, TargetError
from sandbox.world import World
from tests.integration.runtime.cluster import Namespace, namespace, relay_to

PARTS = ("kubernetes",)
pytestmark = pytest.mark.timeout(900)
"""The API server is compiled the first time."""


@pytest.fixture
def here(world: World) -> Iterator[Namespace]:
    """A namespace."""
    with namespace(world.kubernetes) as made:
        yield made


@pytest.fixture
def address(here: Namespace, tmp_path: Path) -> LeaseAddress:
    """Where the object is, with the token of the namespace's account in a file."""
    return LeaseAddress(
        name="quaywatch",
        namespace=here.name,
        url=here.server.url,
        token_file=str(here.token(tmp_path / "token")),
        ca_file=str(here.server.ca_file),
    )


@pytest_asyncio.fixture
async def lease(address: LeaseAddress) -> AsyncIterator[KubernetesLease]:
    """The object, as an agent sees it."""
    lease = KubernetesLease(address)
    yield lease
    await lease.close()


async def test_it_is_made_read_and_changed(here: Namespace, lease: KubernetesLease) -> None:
    """What others wrote on the object stays on it."""
    assert await lease.read() is None
    made = await lease.create(holderIdentity="anna", leaseDurationSeconds=15, leaseTransitions=3)
    assert made is not None
    assert (made.holder, made.duration, made.transitions, made.renewed) == ("anna", 15, 3, "")
    here.label_lease("quaywatch")
    found = await lease.read()
    assert found is not None
    changed = await lease.update(found.changed(holderIdentity="bert", renewTime="2026-01-01T00:00:00.000000Z"))
    assert changed is not None
    assert (changed.holder, changed.duration, changed.renewed) == ("bert", 15, "2026-01-01T00:00:00.000000Z")
    assert here.lease("quaywatch")["metadata"]["labels"] == {"team": "logistics"}


async def test_one_of_several_writers_wins(lease: KubernetesLease) -> None:
    """Who names a version that is not the last one, or makes what is there, has lost, and that is no error."""
    made = await lease.create(holderIdentity="anna")
    assert made is not None
    assert await lease.create(holderIdentity="bert") is None
    assert await lease.update(made.changed(holderIdentity="bert")) is not None
    assert await lease.update(made.changed(holderIdentity="cleo")) is None


def renew(address: LeaseAddress, text: str) -> str:
    """What the kubelet does; the token before."""
    token = Path(address.token_file)
    before = token.read_text()
    token.write_text(text)
    return before


async def test_a_token_that_was_renewed_is_used(address: LeaseAddress, lease: KubernetesLease) -> None:
    """The file is read for each request; with a bad one the server refuses."""
    good = renew(address, "spoiled")
    with pytest.raises(AuthError):
        await lease.read()
    renew(address, good)
    assert await lease.read() is None


async def test_a_missing_right_is_named(world: World, address: LeaseAddress, tmp_path: Path) -> None:
    """The error says what the role must hold."""
    with namespace(world.kubernetes, rights=()) as bare:
        lease = KubernetesLease(replace(address, namespace=bare.name, token_file=str(bare.token(tmp_path / "bare"))))
        with pytest.raises(PermissionDeniedError, match="get, create and update on leases"):
            await lease.read()
        await lease.close()


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


async def test_a_server_that_says_nothing_is_waited_for_so_long(here: Namespace, address: LeaseAddress) -> None:
    """And no longer."""
    async with relay_to(here.server) as relay:
        relay.dark = True
        lease = KubernetesLease(replace(address, url=f"https://127.0.0.1:{relay.port}", answer_within=0.5))
        with pytest.raises(DeadlineError):
            await lease.read()
        await lease.close()
