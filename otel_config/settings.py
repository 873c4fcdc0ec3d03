"""How telemetry leaves, as a configuration says it once file and environment are merged."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from quaywatch.secret import Secret

from .catalogue import Signal
from .encoding import BATCH_BYTES
from .queue import QUEUE_BYTES
from .wire import Temporality

GRPC_PORT: Final = 4317
SPANS_EVERY: Final = 5.0
LINES_EVERY: Final = 1.0
"""Seconds, as OpenTelemetry's specification has them."""


class Protocol(StrEnum):
    """How OTLP is spoken."""

    GRPC = "grpc"
    HTTP = "http/protobuf"


class Compression(StrEnum):
    """What requests are compressed with."""

    GZIP = "gzip"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSettings:
    """Where and how one signal is sent.

    ``endpoint`` is a URL; with `Protocol.HTTP` it is the whole address of the signal, with `Protocol.GRPC` only host
    and port count. ``headers`` have lower-case names. ``timeout`` in seconds. ``insecure`` decides on TLS for a gRPC
    endpoint without a scheme.
    """

    endpoint: str
    protocol: Protocol = Protocol.GRPC
    headers: tuple[tuple[str, Secret], ...] = ()
    compression: Compression = Compression.GZIP
    timeout: float = 10.0
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        scheme, separator, _ = self.endpoint.partition("://")
        return scheme == "https" if separator else not self.insecure

    @property
    def target(self) -> str:
        """Host and port, as gRPC names them."""
        parts = urlsplit(self.endpoint if "://" in self.endpoint else f"//{self.endpoint}")
        return parts.netloc if parts.port else f"{parts.netloc}:{GRPC_PORT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpSettings:
    """How everything leaves over OTLP. A signal that is None is off. Times in seconds, sizes in bytes.

    ``interval`` is that of the metrics; spans and lines of the log leave ``spans_every`` and ``lines_every`` seconds.
    ``queue_bytes`` bounds the metrics that wait; spans and lines may wait in a quarter of that each. ``service_name``
    and ``resource`` are what the environment says about the resource.
    """

    metrics: SignalSettings | None = None
    traces: SignalSettings | None = None
    logs: SignalSettings | None = None
    temporality: Temporality = Temporality.CUMULATIVE
    interval: float = 15.0
    spans_every: float = SPANS_EVERY
    lines_every: float = LINES_EVERY
    batch_bytes: int = BATCH_BYTES
    queue_bytes: int = QUEUE_BYTES
    spool: Path | None = None
    service_name: str = ""
    resource: tuple[tuple[str, str], ...] = field(default=())

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The signals that are on."""
        every: tuple[Signal, ...] = ("metrics", "traces", "logs")
        return tuple(signal for signal in every if getattr(self, signal) is not None)
