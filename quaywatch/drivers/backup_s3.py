"""Backups as the newest objects below a prefix of an S3-compatible store; listing is all that is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final
from xml.etree import ElementTree as ET

from quaywatch.contract import Backup, BackupReport, BackupSet
from quaywatch.errors import ParseError, WrongResultError

from .s3 import Bucket, ObjectPrefix

PAGES: Final = 20
"""Listings of a thousand objects each past which no more are asked for."""


class ObjectReports:
    """Lists the objects below a prefix. Each is a backup of the type ``object``; an empty one is not sound."""

    def __init__(self, place: ObjectPrefix, *, now: Callable[[], float] = time.time) -> None:
        self._bucket = Bucket(place, now=now)

    async def ready(self) -> None:
        """Nothing, if the objects may be listed.

        Raises:
            TargetError: when they may not.
        """
        await self._bucket.page({"max-keys": "1"})

    async def report(self) -> BackupReport:
        """The objects, as they are listed just now.

        Raises:
            TargetError: when they cannot be listed, or are more than `PAGES` thousand.
        """
        found: list[Backup] = []
        more: str | None = ""
        for _ in range(PAGES):
            page = await self._bucket.page({"continuation-token": more} if more else {})
            found.extend(_objects(page))
            more = page.findtext("NextContinuationToken") if page.findtext("IsTruncated") == "true" else None
            if more is None:
                return BackupReport(0.0, (BackupSet(backups=tuple(found)),))
        raise WrongResultError(f"there are more than {PAGES} thousand objects", remedy="give a narrower prefix")

    async def close(self) -> None:
        """Let go of every connection."""
        await self._bucket.close()


def _objects(page: ET.Element) -> Iterator[Backup]:
    try:
        for one in page.iter("Contents"):
            size = int(one.findtext("Size") or 0)
            if size or not (one.findtext("Key") or "").endswith("/"):  # what only looks like a directory
                ended = datetime.fromisoformat(one.findtext("LastModified") or "").timestamp()
                yield Backup(type="object", ended=ended, stored=size, ok=size > 0)
    except ValueError as error:
        raise ParseError("an object of the listing has no proper size and time") from error
