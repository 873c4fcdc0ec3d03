"""What is kept of a page on which a run failed: a picture and Playwright's trace, without secrets, and not for ever."""

from __future__ import annotations

import asyncio
import html
import io
import json
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, quote_plus

from quaywatch.drivers.s3 import Bucket, ObjectPrefix

_SUFFIXES: Final = (".png", ".zip")
_NAME: Final = re.compile(r"[^A-Za-z0-9.-]+")
_MASK: Final = b"***"
_NAMED: Final = rb"(?:csrf_token|access_token)"
_BETWEEN: Final = rb"(?:[\\\"'\s:=,]|%3[Dd]|value)*"
_TOKEN: Final = rb"(?=[a-z_.-]*\d)([\w.-]{16,})"
_BEFORE_NAME: Final = rb"[\\\"'\s,]+name[\\\"'\s:=]+"
_TOKENS: Final = re.compile(
    _NAMED + _BETWEEN + _TOKEN + rb"|value" + _BETWEEN + _TOKEN + _BEFORE_NAME + _NAMED,
    re.IGNORECASE,
)
"""What lets in, or lets do something, whoever has it: as a page, a script, an address or a snapshot names it."""


class Store(Protocol):
    """Where evidence is kept."""

    async def put(self, name: str, content: bytes) -> str:
        """Keep a file, and answer where it can be found.

        Raises:
            OSError: when it cannot be kept in a directory.
            TargetError: when it cannot be kept elsewhere.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStore:
    """A directory of which nothing else is touched than the pictures and traces that this store put there.

    Args:
        directory: made when it is not there.
        max_age: seconds after which a file goes.
        max_bytes: of all files together; the oldest go first. A file that is larger alone is not kept.
        clock: Unix time.
    """

    directory: Path
    max_age: float
    max_bytes: int
    clock: Callable[[], float] = time.time

    async def put(self, name: str, content: bytes) -> str:
        """Keep a file, let the old ones go, and answer its path.

        Raises:
            OSError: when it cannot be written, or is too large.
        """
        return await asyncio.to_thread(self._put, name, content)

    def _put(self, name: str, content: bytes) -> str:
        if len(content) > self.max_bytes:
            raise OSError(f"{name} has {len(content)} bytes, {self.max_bytes} are allowed")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._make_room(len(content))
        path = self.directory / name
        with open(path, "wb", opener=_for_owner_only) as file:
            file.write(content)
        os.utime(path, (self.clock(), self.clock()))
        return str(path)

    def _make_room(self, wanted: int) -> None:
        left = self.max_bytes - wanted
        for path in sorted(self._kept(), key=_written, reverse=True):
            left -= path.stat().st_size
            if left < 0 or _written(path) < self.clock() - self.max_age:
                path.unlink(missing_ok=True)

    def _kept(self) -> Iterable[Path]:
        return [path for path in self.directory.glob("quaywatch_*") if path.suffix in _SUFFIXES]


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketStore:
    """An S3-compatible store. How long and how much it keeps is up to the bucket: this only writes."""

    place: ObjectPrefix

    async def put(self, name: str, content: bytes) -> str:
        """Keep a file, and answer its address.

        Raises:
            TargetError: when it cannot be written.
        """
        bucket = Bucket(self.place)  # failures are rare: no connection waits for the next one
        try:
            return await bucket.put(name, content)
        finally:
            await bucket.close()


def _for_owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _written(path: Path) -> float:
    return path.stat().st_mtime


def file_name(run: str) -> str:
    """A run's mark as the beginning of a file's name."""
    return _NAME.sub("_", run)


def without_secrets(trace: bytes, secrets: Sequence[str]) -> bytes:
    """A trace in which none of these texts is to be found, in any spelling that a web page has for them.

    Nor are tokens that pages name as such.
    """
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(trace)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new:
        spellings |= {token for entry in old.namelist() for token in _tokens(old.read(entry))}
        longest_first = sorted(spellings, key=len, reverse=True)
        for entry in old.namelist():
            content = old.read(entry)
            for spelling in longest_first:
                content = content.replace(spelling, _MASK)
            new.writestr(entry, content)
    return result.getvalue()


def _tokens(content: bytes) -> Iterable[bytes]:
    return [before or after for before, after in _TOKENS.findall(content)]


def _spellings(secret: str) -> set[bytes]:
    if not secret:
        return set()
    as_json = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    texts = {secret, *as_json, html.escape(secret), quote(secret, safe=""), quote_plus(secret)}
    return {text.encode() for text in texts}
