"""OTLP over HTTP, as binary protobuf."""

import gzip
import time
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from quaywatch import __version__
from quaywatch.drivers.trust import Trust
from quaywatch.errors import ConfigError

from .catalogue import Signal
from .outcome import Failed, Failure, Outcome, Sent, of_status, short
from .services import SERVICES, Service
from .settings import Compression, SignalSettings

_PROTOBUF: Final = "application/x-protobuf"
_USER_AGENT: Final = f"Quaywatch/{__version__}"
_LONGEST_ANSWER: Final = 64 * 1024


class HttpTransport:
    """Sends to one HTTP back end. Redirects are not followed; proxies of the environment are used.

    Secrets are read anew for each request, and certificates once their files have changed.
    """

    def __init__(self, signal: Signal, settings: SignalSettings) -> None:
        self._service = SERVICES[signal]
        self._settings = settings
        self._trust = Trust(settings.ca_file, cert_file=settings.cert_file, key_file=settings.key_file)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, payload: bytes) -> Outcome:
        """Deliver one encoded request within the time-out."""
        try:
            return await self._send(payload)
        except TimeoutError:
            return Failed(Failure.OUTAGE, f"no answer within {self._settings.timeout:g} s")
        except aiohttp.InvalidURL:
            return Failed(Failure.REFUSED, "the endpoint is no address")
        except (aiohttp.ClientError, ConnectionError) as error:
            return Failed(Failure.OUTAGE, short(f"{type(error).__name__}: {error}"))
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            return Failed(Failure.REFUSED, f"a header's or certificate's file: {type(error).__name__}")

    async def close(self) -> None:
        """Let go of the connections without waiting for the other side."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _send(self, payload: bytes) -> Outcome:
        if self._session is None:
            self._session = self._opened()
        async with self._session.post(
            self._settings.endpoint,
            data=self._body(payload),
            headers=self._headers(),
            allow_redirects=False,
            ssl=self._trust.context() if self._settings.tls else True,
        ) as answer:
            said = await answer.content.read(_LONGEST_ANSWER)
            return _outcome(answer, said, self._service)

    def _body(self, payload: bytes) -> bytes:
        return payload if self._settings.compression is Compression.NONE else gzip.compress(payload, 1)

    def _opened(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            headers={"Content-Type": _PROTOBUF, "User-Agent": _USER_AGENT},
            trust_env=True,
        )

    def _headers(self) -> dict[str, str]:
        headers = {name: secret.reveal() for name, secret in self._settings.headers}
        if self._settings.compression is Compression.GZIP:
            headers["Content-Encoding"] = "gzip"
        return headers


def _outcome(answer: aiohttp.ClientResponse, said: bytes, service: Service) -> Outcome:
    if answer.ok and answer.status < 300:  # noqa: PLR2004 - the 2xx
        return _sent(said, service)
    why = short(f"HTTP {answer.status} {answer.reason or ''} {_words(answer, said)}")
    return Failed(of_status(answer.status), why, retry_after(answer.headers.get("Retry-After")))


def _sent(said: bytes, service: Service) -> Sent:
    try:
        return service.taken(service.response(said))
    except DecodeError:
        # Some back ends answer a success with a text of their own.
        return Sent()


def _words(answer: aiohttp.ClientResponse, said: bytes) -> str:
    """What an error says: the protocol has a message for it, many back ends and all proxies have a text."""
    if answer.content_type != _PROTOBUF:
        return said.decode("utf-8", "replace")
    try:
        return str(Status.FromString(said).message)
    except DecodeError:
        return ""


def retry_after(header: str | None) -> float | None:
    """The seconds of a Retry-After header, which holds a number or a date; None for none or nonsense."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
