"""The SDK's exporters of traces and logs, made of our settings.

With gRPC and requests they take some 20 MB of memory, so this module is imported only where one of them is wanted.
"""

from typing import Any

import grpc
import requests
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.trace.export import SpanExporter

from .grpc_transport import credentials
from .settings import Compression, Protocol, SignalSettings


def span_exporter(settings: SignalSettings) -> SpanExporter:
    """What sends spans."""
    if settings.protocol is Protocol.GRPC:
        return GrpcSpanExporter(**_grpc_arguments(settings))
    return HttpSpanExporter(**_http_arguments(settings))


def log_exporter(settings: SignalSettings) -> LogRecordExporter:
    """What sends lines of the log."""
    if settings.protocol is Protocol.GRPC:
        return GrpcLogExporter(**_grpc_arguments(settings))
    return HttpLogExporter(**_http_arguments(settings))


def _grpc_arguments(settings: SignalSettings) -> dict[str, Any]:
    """Arguments of the SDK's gRPC exporters: all of them, so that they ask the environment for nothing.

    Secrets are read now and stay: the SDK cannot change a header later.
    """
    gzip = settings.compression is Compression.GZIP
    return {
        "endpoint": settings.target,
        "insecure": not settings.tls,
        "credentials": credentials(settings) if settings.tls else None,
        "headers": {name: secret.reveal() for name, secret in settings.headers},
        "timeout": settings.timeout,
        "compression": grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression,
    }


def _http_arguments(settings: SignalSettings) -> dict[str, Any]:
    """Arguments of the SDK's HTTP exporters: as `_grpc_arguments`."""
    files = {
        "certificate_file": settings.ca_file,
        "client_certificate_file": settings.cert_file,
        "client_key_file": settings.key_file,
    }
    gzip = settings.compression is Compression.GZIP
    return {
        "endpoint": settings.endpoint,
        "headers": {name: secret.reveal() for name, secret in settings.headers},
        "timeout": settings.timeout,
        "compression": HttpCompression.Gzip if gzip else HttpCompression.NoCompression,
        "session": _session(settings.endpoint) if settings.ca_file else None,
        **{name: str(path) for name, path in files.items() if path},
    }


def _session(endpoint: str) -> requests.Session:
    """A session that takes only proxies from the environment.

    Left to itself it would let ``REQUESTS_CA_BUNDLE`` win over the authority that is configured.
    """
    session = requests.Session()
    session.trust_env = False
    session.proxies = requests.utils.get_environ_proxies(endpoint)
    return session
