"""An S3-compatible store: objects below a prefix of a bucket, by signed requests.

The signature (AWS's version 4) is made here: it is forty lines of the standard library, while the clients that make it
bring more code than the whole agent.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree as ET

from quaywatch.errors import AuthError, FaultError, ParseError, PermissionDeniedError, TargetError, WrongResultError
from quaywatch.secret import Secret

from .http import HttpAddress, HttpAnswer, HttpServer, refuse_gateway
from .network import revealed

_OK: Final = 200
_ENTITY: Final = b"<!ENTITY"
_REFUSED_KEYS: Final = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"})
_RIGHTS: Final = {"GET": ("listed", "s3:ListBucket"), "PUT": ("written", "s3:PutObject")}
Method = Literal["GET", "PUT"]


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
        within: seconds for one request.
    """

    endpoint: str
    bucket: str
    prefix: str = ""
    region: str = "us-east-1"
    access_key: Secret
    secret_key: Secret
    ca_file: str | None = None
    within: float = 30.0


class Bucket:
    """The objects below a prefix of a bucket.

    Args:
        place: where they are.
        now: Unix time, which signatures bear.
    """

    def __init__(self, place: ObjectPrefix, *, now: Callable[[], float] = time.time) -> None:
        self._place = place
        self._now = now
        address = HttpAddress(url=place.endpoint, ca_file=place.ca_file, answer_within=place.within)
        self._server = HttpServer(address)

    async def page(self, query: Mapping[str, str]) -> ET.Element:
        """A listing of at most a thousand objects, its elements without namespace.

        Raises:
            TargetError: when they may not be listed.
        """
        asked = {"list-type": "2", "prefix": self._place.prefix, **query}
        path = f"/{self._place.bucket}?{urlencode(sorted(asked.items()), quote_via=quote, safe='')}"
        answer = await self._server.get(path, self._signed("GET", path))
        self._require_ok("GET", answer)
        return _document(answer)

    async def put(self, name: str, content: bytes) -> str:
        """Write an object, in place of one that has its name, and answer its address.

        Raises:
            TargetError: when it cannot be written.
        """
        key = f"{self._place.bucket}/{self._place.prefix}{name}"
        path = f"/{quote(key)}"
        answer = await self._server.put(path, content, self._signed("PUT", path, content))
        self._require_ok("PUT", answer)
        return f"s3://{key}"

    async def close(self) -> None:
        """Let go of every connection."""
        await self._server.close()

    def _signed(self, method: Method, path: str, body: bytes = b"") -> dict[str, str]:
        return signed(self._place, method, path, body, datetime.fromtimestamp(self._now(), UTC))

    def _require_ok(self, method: Method, answer: HttpAnswer) -> None:
        refuse_gateway(answer, self._place.endpoint)
        if answer.status != _OK:
            raise _refusal(method, answer, self._place)


def signed(place: ObjectPrefix, method: Method, path: str, body: bytes, moment: datetime) -> dict[str, str]:
    """The headers that sign a request for ``path`` (with its query, in order and escaped) at this moment.

    Raises:
        AuthError: when the file with a key cannot be read.
    """
    stamp, day = f"{moment:%Y%m%dT%H%M%SZ}", f"{moment:%Y%m%d}"
    content = hashlib.sha256(body).hexdigest()
    headers = {"host": urlsplit(place.endpoint).netloc, "x-amz-content-sha256": content, "x-amz-date": stamp}
    resource, _, query = (urlsplit(place.endpoint).path + path).partition("?")
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"{method}\n{resource}\n{query}\n{lines}\n{names}\n{content}"
    scope = f"{day}/{place.region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = b"AWS4" + revealed(place.secret_key).encode()
    for word in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"):
        key = hmac.digest(key, word.encode(), "sha256")
    credential = f"Credential={revealed(place.access_key)}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={key.hex()}"
    return {"x-amz-content-sha256": content, "x-amz-date": stamp, "Authorization": authorization}


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


def _refusal(method: Method, answer: HttpAnswer, place: ObjectPrefix) -> TargetError:
    status = str(answer.status)
    code = _document(answer).findtext("Code") or ""
    if code in _REFUSED_KEYS:
        remedy = "check access_key, secret_key and region, and the clocks of both sides"
        return AuthError(f"the store refuses the keys ({code})", remedy=remedy, code=status)
    if code == "AccessDenied":
        done, right = _RIGHTS[method]
        remedy = f"grant {right} on {place.bucket}"
        return PermissionDeniedError(f"the objects may not be {done}", remedy=remedy, code=status)
    if code == "NoSuchBucket":
        return WrongResultError(f"there is no bucket {place.bucket}", remedy="check bucket and endpoint", code=status)
    return FaultError(f"the store answers {status} ({code or 'no code'})", code=status)
