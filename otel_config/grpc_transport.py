"""OTLP over gRPC."""

from pathlib import Path
from typing import Final

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from .catalogue import Signal
from .outcome import Failed, Failure, Outcome, of_code, short
from .services import SERVICES
from .settings import Compression, SignalSettings

_OPTIONS: Final = (
    # The queue has its own back-off; gRPC's, up to two minutes long, would come on top of it.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Otherwise a new channel may take over the very connection that hangs, from the one that is being closed.
    ("grpc.use_local_subchannel_pool", 1),
)
_STATUS_DETAILS: Final = "grpc-status-details-bin"
_Certificates = tuple[bytes | None, bytes | None, bytes | None]
"""What the files hold of whom we trust, of our certificate and of its key."""


class GrpcTransport:
    """Sends to one gRPC back end. Payloads go out as they are: what is encoded once is not parsed again.

    Headers are read anew for each request, and so are certificates: when they have changed, it connects again.
    """

    def __init__(self, signal: Signal, settings: SignalSettings) -> None:
        self._service = SERVICES[signal]
        self._settings = settings
        self._channel: grpc.aio.Channel | None = None
        self._made_of: _Certificates | None = None

    async def send(self, payload: bytes) -> Outcome:
        """Deliver one encoded request within the time-out."""
        try:
            return await self._send(payload)
        except (OSError, UnicodeDecodeError) as error:
            return Failed(Failure.REFUSED, f"a header's or certificate's file: {type(error).__name__}")
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                # The line may be dead without a word: the next attempt gets a new one.
                await self.close()
            return _failed(error)

    async def close(self) -> None:
        """Let go of the connection without waiting for the other side."""
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await channel.close(grace=None)

    async def _send(self, payload: bytes) -> Outcome:
        channel = await self._opened()
        call = channel.unary_unary(
            self._service.method,
            request_serializer=lambda request: request,
            response_deserializer=self._service.response,
        )
        metadata = tuple((name, secret.reveal()) for name, secret in self._settings.headers)
        return self._service.taken(await call(payload, timeout=self._settings.timeout, metadata=metadata))

    async def _opened(self) -> grpc.aio.Channel:
        certificates = self._certificates()
        if self._channel is None or certificates != self._made_of:
            await self.close()
            self._channel, self._made_of = _channel(self._settings, certificates), certificates
        return self._channel

    def _certificates(self) -> _Certificates | None:
        """As the files are now, or as they last could be read: whoever renews them may be half-way."""
        settings = self._settings
        if not settings.tls:
            return None
        try:
            return _content(settings.ca_file), _content(settings.cert_file), _content(settings.key_file)
        except OSError:
            if self._made_of is None:
                raise
            return self._made_of


def _channel(settings: SignalSettings, certificates: _Certificates | None) -> grpc.aio.Channel:
    gzip = settings.compression is Compression.GZIP
    compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
    if certificates is None:
        return grpc.aio.insecure_channel(settings.target, options=_OPTIONS, compression=compression)
    trusted, certificate, key = certificates
    shown = grpc.ssl_channel_credentials(root_certificates=trusted, private_key=key, certificate_chain=certificate)
    return grpc.aio.secure_channel(settings.target, shown, options=_OPTIONS, compression=compression)


def _content(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None


def _failed(error: grpc.aio.AioRpcError) -> Failed:
    pause = _pause(error)
    failure = of_code(error.code(), retry_asked=pause is not None)
    return Failed(failure, short(f"{error.code().name}: {error.details() or ''}"), pause)


def _pause(error: grpc.aio.AioRpcError) -> float | None:
    """The pause the server asked for by RetryInfo, in seconds."""
    details = dict(error.trailing_metadata() or ()).get(_STATUS_DETAILS)
    if not isinstance(details, bytes):
        return None
    info = RetryInfo()
    for detail in Status.FromString(details).details:
        if detail.Unpack(info):
            return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None
