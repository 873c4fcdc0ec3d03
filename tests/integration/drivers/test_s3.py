"""Evidence of failed pages in a real S3-compatible store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quaywatch.drivers.browser import BucketStore
from quaywatch.drivers.s3 import ObjectPrefix
from quaywatch.errors import AuthError, ConnectError, WrongResultError
from quaywatch.secret import Secret
from sandbox.parts import backups
from sandbox.parts.backups import Store
from sandbox.process import Services, free_port


@pytest.fixture(scope="module")
def store(services: Services) -> Store:
    """A store with one bucket, ``pages``."""
    one = backups.start_store(services)
    (one.root / "pages").mkdir()
    return one


@pytest.fixture
def place(store: Store) -> ObjectPrefix:
    """A part of the bucket."""
    return ObjectPrefix(
        endpoint=store.url,
        bucket="pages",
        prefix="erp/eu-1/",
        access_key=Secret(store.access_key),
        secret_key=Secret(store.secret_key),
        within=30.0,
    )


async def test_a_file_is_kept_below_the_prefix(store: Store, place: ObjectPrefix) -> None:
    """It is there byte by byte, under the address that is answered, and takes the place of an older one."""
    for content in (b"", bytes(range(256)) * 4096):
        address = await BucketStore(place=place).put("quaywatch_acme_x_1.png", content)
        assert address == "s3://pages/erp/eu-1/quaywatch_acme_x_1.png"
        assert (store.root / address.removeprefix("s3://")).read_bytes() == content


async def test_a_store_that_refuses_says_why(place: ObjectPrefix) -> None:
    """A wrong key, a bucket that is not there, nobody at all."""
    for wrong, error in (
        (replace(place, secret_key=Secret("wrong")), AuthError),
        (replace(place, bucket="nowhere"), WrongResultError),
        (replace(place, endpoint=f"http://127.0.0.1:{free_port()}"), ConnectError),
    ):
        with pytest.raises(error):
            await BucketStore(place=wrong).put("quaywatch_acme_x_1.png", b"x")
