"""Backups as the newest objects below a prefix of an S3-compatible store.

Listing is all that is asked for, by one signed GET for each thousand objects. The signature (AWS's version 4) is made
here: it is forty lines of the standard library, while the clients that make it bring more code than the whole agent.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree as ET

from quaywatch.contract import Backup, BackupReport, BackupSet
from quaywatch.errors import AuthError, FaultError, ParseError, PermissionDeniedError, TargetError, WrongResultError
from quaywatch.secret import Secret

from .http import HttpAddress, HttpAnswer, HttpServer, refuse_gateway
from .network import revealed

PAGES: Final = 20
"""Listings of a thousand objects each past which no more are asked for."""
_EMPTY: Final = hashlib.sha256(b"").hexdigest()
_OK: Final = 200
_ENTITY: Final = b"<!ENTITY"
_REFUSED_KEYS: Final = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPrefix:
    """Where the objects are.

    Args:
        endpoint: address of the store, without the bucket.
        bucket: whose objects they are.
        prefix: what their keys begin with.
        region: as signatures name it.
        access_key: identifies who asks.
        secret_key: proves it.
        ca_file: authorities to trust instead of the system's.
        within: seconds for one listing.
    """

    endpoint: str
    bucket: str
    prefix: str = ""
    region: str = "us-east-1"
    access_key: Secret
    secret_key: Secret
    ca_file: str | None = None
    within: float = 30.0


class ObjectReports:
    """Lists the objects below a prefix. Each is a backup of the type ``object``; an empty one is not sound."""

    def __init__(self, place: ObjectPrefix, *, now: Callable[[], float] = time.time) -> None:
        self._place = place
        self._now = now
        address = HttpAddress(url=place.endpoint, ca_file=place.ca_file, answer_within=place.within)
        self._server = HttpServer(address)

    async def ready(self) -> None:
        """Nothing, if the objects may be listed.

        Raises:
            TargetError: when they may not.
        """
        await self._list({"max-keys": "1"})

    async def report(self) -> BackupReport:
        """The objects, as they are listed just now.

        Raises:
            TargetError: when they cannot be listed, or are more than `PAGES` thousand.
        """
        found: list[Backup] = []
        more: str | None = ""
        for _ in range(PAGES):
            page = await self._list({"continuation-token": more} if more else {})
            found.extend(_objects(page))
            more = page.findtext("NextContinuationToken") if page.findtext("IsTruncated") == "true" else None
            if more is None:
                return BackupReport(0.0, (BackupSet(backups=tuple(found)),))
        raise WrongResultError(f"there are more than {PAGES} thousand objects", remedy="give a narrower prefix")

    async def close(self) -> None:
        """Let go of every connection."""
        await self._server.close()

    async def _list(self, query: Mapping[str, str]) -> ET.Element:
        asked = {"list-type": "2", "prefix": self._place.prefix, **query}
        path = f"/{self._place.bucket}?{urlencode(sorted(asked.items()), quote_via=quote, safe='')}"
        moment = datetime.fromtimestamp(self._now(), UTC)
        answer = await self._server.get(path, signed(self._place, path, moment))
        refuse_gateway(answer, self._place.endpoint)
        page = _document(answer)
        if answer.status != _OK:
            raise _refusal(answer, page.findtext("Code") or "", self._place)
        return page


def signed(place: ObjectPrefix, path: str, moment: datetime) -> dict[str, str]:
    """The headers that sign a GET of ``path`` (with its query, in order and escaped) at this moment.

    Raises:
        AuthError: when the file with a key cannot be read.
    """
    stamp, day = f"{moment:%Y%m%dT%H%M%SZ}", f"{moment:%Y%m%d}"
    headers = {"host": urlsplit(place.endpoint).netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    resource, _, query = (urlsplit(place.endpoint).path + path).partition("?")
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"GET\n{resource}\n{query}\n{lines}\n{names}\n{_EMPTY}"
    scope = f"{day}/{place.region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = b"AWS4" + revealed(place.secret_key).encode()
    for word in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"):
        key = hmac.digest(key, word.encode(), "sha256")
    credential = f"Credential={revealed(place.access_key)}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={key.hex()}"
    return {
        "x-amz-content-sha256": _EMPTY,
        "x-amz-date": stamp,
        "Authorization": authorization,
    }


def _document(answer: HttpAnswer) -> ET.Element:
    """The answer's XML, without its namespace."""
    try:
        if _ENTITY in answer.body:
            raise ParseError("the store's answer declares entities, which none does")
        root = ET.fromstring(answer.body)  # noqa: S314 - without entities there is nothing to expand, and it is bounded
    except ET.ParseError as error:
        raise ParseError(f"the store's answer is no XML (status {answer.status})") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _objects(page: ET.Element) -> Iterator[Backup]:
    try:
        for one in page.iter("Contents"):
            size = int(one.findtext("Size") or 0)
            if size or not (one.findtext("Key") or "").endswith("/"):  # what only looks like a directory
                ended = datetime.fromisoformat(one.findtext("LastModified") or "").timestamp()
                yield Backup(type="object", ended=ended, stored=size, ok=size > 0)
    except ValueError as error:
        raise ParseError("an object of the listing has no proper size and time") from error


def _refusal(answer: HttpAnswer, code: str, place: ObjectPrefix) -> TargetError:
    status = str(answer.status)
    if code in _REFUSED_KEYS:
        remedy = "check access_key, secret_key and region, and the clocks of both sides"
        return AuthError(f"the store refuses the keys ({code})", remedy=remedy, code=status)
    if code == "AccessDenied":
        remedy = f"grant s3:ListBucket on {place.bucket}"
        return PermissionDeniedError("the objects may not be listed", remedy=remedy, code=status)
    if code == "NoSuchBucket":
        return WrongResultError(f"there is no bucket {place.bucket}", remedy="check bucket and endpoint", code=status)
    return FaultError(f"the store answers {status} ({code or 'no code'})", code=status)
