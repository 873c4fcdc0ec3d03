"""OTLP over gRPC."""

from pathlib import Path
from typing import Final

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from .outcome import Failed, Failure, Outcome, Sent, of_code, short
from .settings import Compression, SignalSettings

_EXPORT: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
_OPTIONS: Final = (
    # The queue has its own back-off; gRPC's, up to two minutes long, would come on top of it.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Otherwise a new channel may take over the very connection that hangs, from the one that is being closed.
    ("grpc.use_local_subchannel_pool", 1),
)
_STATUS_DETAILS: Final = "grpc-status-details-bin"


class GrpcTransport:
    """Sends to one gRPC back end. Payloads go out as they are: what is encoded once is not parsed again.

    Secrets and certificates are read anew for each connection, headers for each request.
    """

    def __init__(self, settings: SignalSettings) -> None:
        self._settings = settings
        self._channel: grpc.aio.Channel | None = None

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
        if self._channel is None:
            self._channel = _channel(self._settings)
        call = self._channel.unary_unary(
            _EXPORT,
            request_serializer=lambda request: request,
            response_deserializer=ExportMetricsServiceResponse.FromString,
        )
        metadata = tuple((name, secret.reveal()) for name, secret in self._settings.headers)
        response = await call(payload, timeout=self._settings.timeout, metadata=metadata)
        partial = response.partial_success
        return Sent(partial.rejected_data_points, short(partial.error_message))


def _channel(settings: SignalSettings) -> grpc.aio.Channel:
    gzip = settings.compression is Compression.GZIP
    compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
    if not settings.tls:
        return grpc.aio.insecure_channel(settings.target, options=_OPTIONS, compression=compression)
    return grpc.aio.secure_channel(settings.target, credentials(settings), options=_OPTIONS, compression=compression)


def credentials(settings: SignalSettings) -> grpc.ChannelCredentials:
    """The certificates of a TLS connection. Raises OSError when a file cannot be read."""
    return grpc.ssl_channel_credentials(
        root_certificates=_content(settings.ca_file),
        private_key=_content(settings.key_file),
        certificate_chain=_content(settings.cert_file),
    )


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
